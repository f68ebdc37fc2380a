import Controllers
import Glibc
import KubernetesAPI
import KubernetesClient
import Logging
import Netlink
import NodeAgent
import Synchronization

/// Shows a rollout as it goes: what `swiftlet rollout watch` does.
public struct RolloutWatch: Sendable {
    private let name: String
    private let namespace: String
    private let client: KubernetesClient
    private let nodeAddresses: Set<Netlink.IPAddress>
    /// Nil without the right to look: to count connections one has to be root.
    private let tracking: ConnectionTracking?
    private let timeouts = TrackingTimeouts.read()

    /// - Parameter deployment: `web`, `deployment/web` or `deployments/web`.
    /// - Throws: ``ClusterError`` when there is no such cluster on this machine, or when another kind is meant.
    public init(_ configuration: ClusterConfiguration, deployment: String, namespace: String) throws {
        let parts = deployment.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let kinds: Set = ["deployment", "deployments", "deploy", "deployment.apps", "deployments.apps"]
        guard let name = parts.last, !name.isEmpty,
            parts.count == 1 || parts.count == 2 && kinds.contains(parts[0])
        else {
            throw ClusterError(
                .badConfiguration,
                "Expected a Deployment such as deployment/web, found \"\(deployment)\".")
        }
        guard InstanceLock.holder(of: configuration.lockFile) != nil else {
            throw ClusterError(
                .notRunning, "Expected a running cluster, found none. Start it first: swiftlet up --detach.")
        }
        self.name = name
        self.namespace = namespace
        client = KubernetesClient(
            transport: try HTTPSTransport(
                kubeconfig: try Kubeconfig.load(path: configuration.adminKubeconfig)))
        let network = try NodeNetwork(configuration, logger: Logger(label: "swiftlet.network"))
        nodeAddresses = network.nodeAddresses
        tracking = try? ConnectionTracking()
    }

    /// How often connections are counted.
    private static let pace = Duration.milliseconds(500)

    /// Shows pictures until the task is cancelled.
    ///
    /// - Parameters:
    ///   - once: one picture only.
    ///   - size: how large the terminal is that the last picture can be drawn over on; without it there is a line
    ///     for each thing that changes.
    ///   - show: is given what to write to the terminal.
    /// - Throws: `APIError` when there is no such Deployment.
    public func run(
        once: Bool, size: (@Sendable () -> TerminalSize)?, show: @Sendable (String) -> Void
    ) async throws {
        _ = try await client.get(Deployment.self, name: name, namespace: namespace)
        let informers = InformerSet(client: client, logger: Logger(label: "swiftlet.informers"))
        let scope = InformerScope(namespace: namespace)
        let deployments = informers.informer(Deployment.self, scope: scope)
        let sets = informers.informer(ReplicaSet.self, scope: scope)
        let pods = informers.informer(Pod.self, scope: scope)
        let slices = informers.informer(EndpointSlice.self, scope: scope)
        await withTaskGroup(of: Void.self) { group in
            // It ends with the task, and by nothing else.
            group.addTask { try? await informers.run() }
            await informers.waitForSync()
            var before: RolloutPicture?
            var frame = TerminalFrame()
            while !Task.isCancelled {
                guard let deployment = deployments.get(namespace: namespace, name: name) else {
                    show("deployment/\(name) is gone\n")
                    break
                }
                var endpoints = EndpointView()
                for slice in slices.list() { endpoints.set(slice) }
                let all = pods.list()
                let picture = RolloutPicture(
                    deployment, replicaSets: sets.list(), pods: all, endpoints: endpoints,
                    connections: count(all, endpoints))
                if once {
                    show(picture.lines.joined(separator: "\n") + "\n")
                    break
                }
                if let size {
                    show(frame.draw(picture.lines, size()))
                } else {
                    for line in picture.news(since: before) { show("\(Time.now()) \(line)\n") }
                }
                before = picture
                do { try await ContinuousClock().sleep(for: Self.pace) } catch { break }
            }
            group.cancelAll()
        }
    }

    private func count(_ pods: [Pod], _ endpoints: EndpointView) -> [String: RolloutPicture.Connections] {
        guard let tracking else { return [:] }
        // One walk through the kernel's table for all pods: each takes its time, whatever is in there.
        var found: [Netlink.IPAddress: [TrackedConnection]] = [:]
        let addresses = Set(pods.flatMap(\.status.podIPs).compactMap { Netlink.IPAddress($0.ip) })
        for family in Set(addresses.map(\.family)) {
            guard let all = try? tracking.connections(ConnectionFilter(), family: family) else { return [:] }
            for connection in all where addresses.contains(connection.reply.source) {
                found[connection.reply.source, default: []].append(connection)
            }
        }
        var counted: [String: RolloutPicture.Connections] = [:]
        for pod in pods {
            let count = ConnectionCount(
                ports: endpoints.ports(of: pod.metadata.uid), nodeAddresses: nodeAddresses, timeouts: timeouts
            )
            var sum = RolloutPicture.Connections(open: 0, recent: 0)
            for address in pod.status.podIPs.compactMap({ Netlink.IPAddress($0.ip) }) {
                sum.open += count.count(found[address] ?? []).open
                sum.recent += count.recent(found[address] ?? [])
            }
            counted[pod.metadata.uid] = sum
        }
        return counted
    }
}
