import Netlink

/// What the proxy must know about its node and cluster.
public struct ProxyConfiguration: Sendable, Hashable {
    /// The name of the node, as endpoints name it.
    public var nodeName: String
    /// The node's addresses, one of a family; the source of the node's own connections to Services.
    public var nodeAddresses: [IPAddress]
    /// The ranges from which Services get their addresses.
    public var serviceRanges: [IPNetwork]
    /// The ranges from which pods get their addresses.
    public var podRanges: [IPNetwork]
    /// The ranges from which the pods of this node get their addresses, as far as that is known. Their connections
    /// come back through this node whatever answers them, so their source never needs to change.
    public var nodePodRanges: [IPNetwork] = []
    /// Addresses of the Service range at which this node answers itself, such as the cluster DNS address.
    /// They are put on the proxy's interface and never translated.
    public var nodeLocalAddresses: [IPAddress]
    /// The name of the proxy's nftables tables.
    public var tableName = "swiftlet"
    /// The name of the interface to which the Service range is routed; at most 15 bytes.
    public var interfaceName = "swiftlet0"

    public init(
        nodeName: String, nodeAddresses: [IPAddress], serviceRanges: [IPNetwork], podRanges: [IPNetwork],
        nodeLocalAddresses: [IPAddress] = []
    ) {
        self.nodeName = nodeName
        self.nodeAddresses = nodeAddresses
        self.serviceRanges = serviceRanges
        self.podRanges = podRanges
        self.nodeLocalAddresses = nodeLocalAddresses
    }
    /// For a node with addresses of one family.
    public init(
        nodeName: String, nodeAddress: IPAddress?, serviceRanges: [IPNetwork], podRanges: [IPNetwork],
        nodeLocalAddresses: [IPAddress] = []
    ) {
        self.init(
            nodeName: nodeName, nodeAddresses: nodeAddress.map { [$0] } ?? [], serviceRanges: serviceRanges,
            podRanges: podRanges, nodeLocalAddresses: nodeLocalAddresses)
    }

    /// The node's address of this family.
    public func nodeAddress(_ family: IPAddress.Family) -> IPAddress? {
        nodeAddresses.first { $0.family == family }
    }

    /// The ranges of the pods whose answers pass this node: its own pods', or all pods' when its own range is not
    /// known.
    package func insideRanges(_ family: IPAddress.Family) -> [IPNetwork] {
        let own = nodePodRanges.filter { $0.address.family == family }
        return own.isEmpty ? podRanges.filter { $0.address.family == family } : own
    }
}
