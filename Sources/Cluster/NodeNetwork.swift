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
    private let nodeAddress: IPAddress
    private let nodeRange: IPNetwork
    private let podRange: IPNetwork
    private let serviceRanges: [IPNetwork]

    /// The node's address, as text.
    var address: String { nodeAddress.description }

    /// The addresses of the node's pods.
    var podsOfNode: IPNetwork { nodeRange }

    /// Where the node's own processes talk to its pods from: its address, and where routes to pods begin.
    var nodeAddresses: Set<IPAddress> {
        var addresses: Set<IPAddress> = [nodeAddress]
        // The gateway of the node's pods.
        if let gateway = nodeRange.address.advanced(by: 1) { addresses.insert(gateway) }
        return addresses
    }

    /// - Throws: ``ClusterError`` with code `badConfiguration`, or `PodNetworkError` if the machine has no address.
    init(_ configuration: ClusterConfiguration, logger: Logger) throws {
        self.configuration = configuration
        podRange = try Self.range(configuration.podCIDR, "--pod-cidr")
        serviceRanges = try configuration.serviceCIDRs.map { try Self.range($0, "--service-cidr") }
        guard let nodeRange = IPNetwork(podRange.address, prefixLength: max(24, podRange.prefixLength)) else {
            throw ClusterError(
                .badConfiguration, "Expected --pod-cidr to hold a /24 for each node, found \(podRange).")
        }
        self.nodeRange = nodeRange
        if let given = configuration.nodeAddress {
            guard let parsed = IPAddress(given) else {
                throw ClusterError(
                    .badConfiguration, "Expected --node-address to be an IP address, found \"\(given)\".")
            }
            nodeAddress = parsed
        } else {
            nodeAddress = try NodeAddress.find(excluding: [podRange] + serviceRanges)
        }
        pods = PodNetwork(
            PodNetworkConfiguration(
                nodeRange: nodeRange, clusterRange: podRange, directory: "\(configuration.agentDirectory)/cni"
            ),
            logger: logger)
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
            nodeName: configuration.nodeName, nodeAddress: nodeAddress, serviceRanges: serviceRanges,
            podRanges: [podRange], nodeLocalAddresses: IPAddress(configuration.clusterDNS).map { [$0] } ?? [])
        proxy.nodePodRanges = [nodeRange]
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
                ranges: ([configuration.podCIDR] + configuration.serviceCIDRs).compactMap { AddressRange($0) }
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

    /// Gives the node the Service range and the address of cluster DNS, as the proxy does: before it does, so that
    /// DNS can be asked right from the start.
    func establishServiceRange() throws {
        try ServiceRange(proxyConfiguration, RouteSocket()).establish()
    }

    var nodeConfiguration: NodeConfiguration {
        var node = NodeConfiguration(
            nodeName: configuration.nodeName, addresses: [address], podCIDR: nodeRange.description,
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
