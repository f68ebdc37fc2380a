import ContainerRuntime
import Glibc
import KubernetesAPI
import KubernetesClient
import Netlink
import PodNetwork
import ServiceProxy

/// How the cluster on this machine is, as `swiftlet status` shows it.
public struct StatusReport: Sendable {
    /// For people.
    public var text: String
    /// Whether it runs, answers and has a ready node.
    public var isHealthy: Bool

    /// Asks the running cluster.
    ///
    /// - Throws: nothing for a cluster that does not run or does not answer; the report says so.
    public static func gather(_ configuration: ClusterConfiguration) async throws -> StatusReport {
        guard let process = InstanceLock.holder(of: configuration.lockFile) else {
            return StatusReport(
                text: "swiftlet   not running (start it: swiftlet up --detach)", isHealthy: false)
        }
        var rows = [
            ["swiftlet", "running, process \(process)\(memory(of: process).map { ", \($0)" } ?? "")"]
        ]
        var isHealthy = false
        do {
            let kubeconfig = try Kubeconfig.load(path: configuration.adminKubeconfig)
            let client = KubernetesClient(transport: try HTTPSTransport(kubeconfig: kubeconfig))
            let nodes = try await client.list(Node.self).items
            rows.append(["API", kubeconfig.clusters.values.first?.server ?? ""])
            for node in nodes {
                let ready = node.status.conditions.first { $0.type == "Ready" }
                let isReady = ready?.status == "True"
                let why = isReady ? "" : " (\(ready?.message ?? "no report yet"))"
                rows.append(["node \(node.metadata.name)", "\(isReady ? "Ready" : "NotReady")\(why)"])
                isHealthy = isHealthy || isReady
            }
            let pods = try await client.list(Pod.self).items
            let running = pods.count { $0.status.phase == "Running" }
            rows.append(["pods", "\(pods.count), \(running) running"])
            let services = try await client.list(Service.self).items
            rows.append(["services", "\(services.count)"])
            let slices = try await client.list(EndpointSlice.self).items
            for (node, lag) in try await lags(client, services: services, slices: slices) {
                rows.append(["proxy \(node)", lag.description])
            }
            let ranges = nodes.flatMap(\.spec.podCIDRs).compactMap { IPNetwork($0) }
            rows += try ForwardingObstacle.find(pods: ranges).map { ["warning", "\($0)"] }
        } catch let error as PodNetworkError {
            rows.append(["warning", "whether a firewall stands before pods is not known: \(error)"])
        } catch {
            rows.append(["API", "does not answer: \(error). See \(configuration.logFile)"])
        }
        let width = rows.map { $0[0].count }.max() ?? 0
        let lines = rows.map { "\($0[0])\(String(repeating: " ", count: width - $0[0].count + 3))\($0[1])" }
        return StatusReport(text: lines.joined(separator: "\n"), isHealthy: isHealthy)
    }

    /// How far each node's kernel is behind these objects.
    ///
    /// A node publishes once a second at most, so that whoever seems to be behind has two to show that it is not.
    private static func lags(
        _ client: KubernetesClient, services: [Service], slices: [EndpointSlice]
    ) async throws -> [(node: String, lag: ProxyLag)] {
        let list = try await client.list(Lease.self, namespace: RevisionPublisher.namespace)
        var leases: [String: Lease] = [:]
        for lease in list.items { leases[lease.metadata.name] = lease }
        func lags() -> [(node: String, lag: ProxyLag)] {
            leases.sorted { $0.key < $1.key }.compactMap { name, lease in
                RevisionPublisher.revisions(of: lease).map {
                    (name, ProxyLag($0, services: services, slices: slices))
                }
            }
        }
        var found = lags()
        guard found.contains(where: \.lag.isBehind) else { return found }
        let watch = try await client.watch(
            Lease.self, namespace: RevisionPublisher.namespace,
            resourceVersion: list.metadata.resourceVersion, timeout: .seconds(2))
        for try await event in watch {
            guard case .modified(let lease) = event else { continue }
            leases[lease.metadata.name] = lease
            found = lags()
            guard found.contains(where: \.lag.isBehind) else { break }
        }
        return found
    }

    /// Resident memory, as /proc tells it.
    private static func memory(of process: pid_t) -> String? {
        guard let status = Files.text("/proc/\(process)/status"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        return "\(kilobytes / 1024) MiB of memory"
    }
}
