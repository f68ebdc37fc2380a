import HTTPService
import KubernetesAPI
import KubernetesClient
import Logging
import Netlink
import ServiceProxy

/// What a proxy that runs by itself finds out before it starts: how to reach the API, and where it is.
struct ProxySetup: Sendable {
    let client: KubernetesClient
    let configuration: ProxyConfiguration
    /// Whether the server has ServiceCIDR objects, which Kubernetes has since 1.33.
    let followsRanges: Bool
    let zone: String?

    /// - Throws: ``ClusterError`` with code `kubeconfig` or `badConfiguration`; the errors of the client once the
    ///   server answered.
    init(_ options: ProxyOptions, logger: Logger) async throws {
        client = try Self.client(options)
        let node = try await Self.node(options, client, logger: logger)
        let found = try await Self.serviceRanges(client)
        followsRanges = found != nil
        let texts = options.serviceCIDRs.isEmpty ? found ?? [] : options.serviceCIDRs
        guard !texts.isEmpty else {
            throw ClusterError(
                .badConfiguration,
                "Expected to find the range of Service addresses, and the API server has no ServiceCIDR objects. "
                    + "Give it with --service-cidr, such as 10.96.0.0/12.")
        }
        let own = node.spec.podCIDRs.isEmpty ? [node.spec.podCIDR] : node.spec.podCIDRs
        let pods = options.clusterCIDRs.isEmpty ? own.filter { !$0.isEmpty } : options.clusterCIDRs
        var configuration = ProxyConfiguration(
            nodeName: options.nodeName, nodeAddresses: Self.addresses(of: node),
            serviceRanges: try texts.map { try Self.range($0, "--service-cidr") },
            podRanges: try pods.map { try Self.range($0, "--cluster-cidr") })
        configuration.nodePodRanges = own.compactMap { IPNetwork($0) }
        self.configuration = configuration
        zone = node.metadata.labels["topology.kubernetes.io/zone"]
    }

    /// - Throws: ``ClusterError`` with code `kubeconfig`.
    private static func client(_ options: ProxyOptions) throws -> KubernetesClient {
        do {
            let kubeconfig = try Kubeconfig.load(path: options.kubeconfig)
            return KubernetesClient(
                transport: try HTTPSTransport(kubeconfig: kubeconfig, context: options.context),
                userAgent: "kube-proxy/\(Version.swiftlet)")
        } catch {
            throw ClusterError(
                .kubeconfig,
                "Expected \(options.kubeconfig) to be a kubeconfig with a server and a user; see what kubectl says "
                    + "to it: kubectl --kubeconfig \(options.kubeconfig) cluster-info", cause: error)
        }
    }

    /// The Node that the proxy runs on. The server may not be there yet, and the Node neither: both are waited for.
    private static func node(
        _ options: ProxyOptions, _ client: KubernetesClient, logger: Logger
    ) async throws -> Node {
        var backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(10))
        while true {
            do {
                return try await client.get(Node.self, name: options.nodeName)
            } catch {
                try Task.checkCancellation()
                if let refusal = error as? APIError, [401, 403].contains(refusal.status.code) { throw error }
                logger.notice(
                    "cannot read the Node that this proxy is for; trying again",
                    metadata: ["node": "\(options.nodeName)", "error": "\(error)"])
            }
            try await ContinuousClock().sleep(for: backoff.next())
        }
    }

    /// The ranges that the ServiceCIDR objects say; nil when the server does not know the kind.
    private static func serviceRanges(_ client: KubernetesClient) async throws -> [String]? {
        do {
            return try await client.list(ServiceCIDR.self).items.flatMap(\.spec.cidrs)
        } catch let error as APIError where error.isNotFound {
            return nil
        }
    }

    private static func addresses(of node: Node) -> [Netlink.IPAddress] {
        let all = node.status.addresses.filter { $0.type == "InternalIP" }.compactMap {
            Netlink.IPAddress($0.address)
        }
        return [Netlink.IPAddress.Family.ipv4, .ipv6].compactMap { family in all.first { $0.family == family }
        }
    }

    static func range(_ text: String, _ option: String) throws -> IPNetwork {
        guard let range = IPNetwork(text) else {
            throw ClusterError(
                .badConfiguration,
                "Expected \(option) to be a range such as 10.96.0.0/16, found \"\(text)\".")
        }
        return range
    }
}
