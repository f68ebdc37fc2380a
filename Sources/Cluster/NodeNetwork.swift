import ClusterDNS
import ContainerRuntime
import Logging
import Netlink
import NodeAgent
import PodNetwork
import ServiceProxy

/// This node's place in the cluster's address space, and what follows from it for each room.
struct NodeNetwork: Sendable {
    let pods: PodNetwork
    private let configuration: ClusterConfiguration
    /// The node's own, of each family at most one.
    private let ownAddresses: [IPAddress]
    private let podRanges: [PodNetworkConfiguration.Range]
    private let serviceRanges: [IPNetwork]
    private let logger: Logger

    /// The node's first address, as text.
    var address: String { ownAddresses[0].description }

    /// The addresses of the node's pods.
    var podsOfNode: [IPNetwork] { podRanges.map(\.node) }

    /// Where the node's own processes talk to its pods from: its addresses, and where routes to pods begin.
    var nodeAddresses: Set<IPAddress> {
        // The gateways of the node's pods.
        Set(ownAddresses + podsOfNode.compactMap { $0.first.advanced(by: 1) })
    }

    /// - Throws: ``ClusterError`` with code `badConfiguration`, or `PodNetworkError` if the machine has no address.
    init(_ configuration: ClusterConfiguration, logger: Logger) throws {
        self.configuration = configuration
        self.logger = logger
        podRanges = try Self.podRanges(configuration.podCIDR)
        serviceRanges = try configuration.serviceCIDRs.map { try Self.range($0, "--service-cidr") }
        ownAddresses = try Self.addresses(
            configuration.nodeAddress, families: podRanges.map(\.family),
            excluding: podRanges.map(\.cluster) + serviceRanges)
        pods = PodNetwork(
            PodNetworkConfiguration(ranges: podRanges, directory: "\(configuration.agentDirectory)/cni"),
            logger: logger)
    }

    /// The pods' ranges, IPv4 first, and in each the part of this node: a /24, of IPv6 a /64.
    private static func podRanges(_ text: String) throws -> [PodNetworkConfiguration.Range] {
        let ranges = try list(text).map { try range($0, "--pod-cidr") }
        guard [[.ipv4], [.ipv4, .ipv6]].contains(ranges.map(\.address.family)) else {
            throw ClusterError(
                .badConfiguration,
                "Expected --pod-cidr to be an IPv4 range such as 10.244.0.0/16, or one and an IPv6 range behind a "
                    + "comma (10.244.0.0/16,fd00:244::/56), found \"\(text)\".")
        }
        return try ranges.map { cluster in
            let length = cluster.address.family == .ipv4 ? 24 : 64
            guard let node = IPNetwork(cluster.first, prefixLength: max(length, cluster.prefixLength)) else {
                throw ClusterError(
                    .badConfiguration,
                    "Expected --pod-cidr to hold a /\(length) for each node, found \(cluster).")
            }
            return PodNetworkConfiguration.Range(node: node, cluster: cluster)
        }
    }

    /// The node's address of each family: those that were given, or what the machine has.
    private static func addresses(
        _ given: String?, families: [IPAddress.Family], excluding excluded: [IPNetwork]
    ) throws -> [IPAddress] {
        guard let given else { return try families.map { try NodeAddress.find($0, excluding: excluded) } }
        let parsed = list(given).map { IPAddress($0) }
        guard parsed.map({ $0?.family }) == families else {
            throw ClusterError(
                .badConfiguration,
                families.count == 1
                    ? "Expected --node-address to be an IPv4 address, found \"\(given)\"."
                    : "Expected --node-address to be an IPv4 and an IPv6 address with a comma between, since pods "
                        + "have both; found \"\(given)\".")
        }
        return parsed.compactMap { $0 }
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    private static func range(_ text: String, _ option: String) throws -> IPNetwork {
        guard let range = IPNetwork(text) else {
            throw ClusterError(
                .badConfiguration,
                "Expected \(option) to be a range such as 10.244.0.0/16, found \"\(text)\".")
        }
        return range
    }

    var proxyConfiguration: ProxyConfiguration {
        var proxy = ProxyConfiguration(
            nodeName: configuration.nodeName, nodeAddresses: ownAddresses, serviceRanges: serviceRanges,
            podRanges: podRanges.map(\.cluster),
            nodeLocalAddresses: IPAddress(configuration.clusterDNS).map { [$0] } ?? [])
        proxy.nodePodRanges = podsOfNode
        return proxy
    }

    var dnsConfiguration: DNSConfiguration {
        get throws {
            guard let listen = ListenAddress(configuration.clusterDNS) else {
                throw ClusterError(
                    .badConfiguration,
                    "Expected the address of cluster DNS to be an IP address, found \"\(configuration.clusterDNS)\"."
                )
            }
            var dns = DNSConfiguration(
                listen: [listen], domain: configuration.clusterDomain,
                ranges: (podRanges.map(\.cluster.description) + configuration.serviceCIDRs).compactMap {
                    AddressRange($0)
                }
            )
            try configuration.dns.apply(to: &dns)
            return dns
        }
    }

    /// The address at which cluster DNS answers, as text.
    var dnsAddress: String { configuration.clusterDNS }

    /// Frees queries to cluster DNS from connection tracking.
    var untrackedDNS: UntrackedPort? {
        IPAddress(configuration.clusterDNS).map {
            UntrackedPort(table: "swiftlet-dns", address: $0, port: 53)
        }
    }

    /// The nftables tables besides the proxy's, which has an eye on its own.
    var tables: [FixedTable] { pods.tables + (untrackedDNS.map { [$0.table] } ?? []) }

    /// Tells of firewalls that may let nothing through to pods.
    func warnOfObstacles() {
        do {
            for obstacle in try ForwardingObstacle.find(pods: podRanges.map(\.cluster)) {
                logger.warning("\(obstacle)")
            }
        } catch {
            logger.warning(
                "whether a firewall stands before pods is not known", metadata: ["error": "\(error)"])
        }
    }

    /// Gives the node the Service range and the address of cluster DNS, as the proxy does: before it does, so that
    /// DNS can be asked right from the start.
    func establishServiceRange() throws {
        try ServiceRange(proxyConfiguration, RouteSocket()).establish()
    }

    /// A pod has got its network, and nothing of the pod runs yet.
    @Sendable func podIsWired() {
        do {
            try pods.useAddressesAtOnce()
        } catch {
            logger.warning(
                "a new pod may not be reached over IPv6 for a second or two", metadata: ["error": "\(error)"])
        }
    }

    var nodeConfiguration: NodeConfiguration {
        var node = NodeConfiguration(
            nodeName: configuration.nodeName, addresses: ownAddresses.map(\.description),
            podCIDRs: podsOfNode.map(\.description),
            stateDirectory: configuration.agentDirectory, runDirectory: configuration.runDirectory)
        node.clusterDNS = configuration.clusterDNS
        node.clusterDomain = configuration.clusterDomain
        node.podLogDirectory = configuration.podLogDirectory
        node.version = Version.kubernetes
        return node
    }

    var containerd: ContainerdConfiguration {
        ContainerdConfiguration(
            stateDirectory: "\(configuration.agentDirectory)/containerd",
            runDirectory: "\(configuration.runDirectory)/containerd",
            logFile: "\(configuration.runDirectory)/containerd.log",
            cniPluginDirectories: [pods.configuration.binaryDirectory],
            cniConfigurationDirectory: pods.configuration.configurationDirectory)
    }
}
