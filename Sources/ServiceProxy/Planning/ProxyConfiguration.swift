import Netlink

/// What the proxy must know about its node and cluster.
public struct ProxyConfiguration: Sendable, Hashable {
    /// The name of the node, as endpoints name it.
    public var nodeName: String
    /// The node's address; the source of the node's own connections to Services.
    public var nodeAddress: IPAddress?
    /// The ranges from which Services get their addresses.
    public var serviceRanges: [IPNetwork]
    /// The ranges from which pods get their addresses.
    public var podRanges: [IPNetwork]
    /// Addresses of the Service range at which this node answers itself, such as the cluster DNS address.
    /// They are put on the proxy's interface and never translated.
    public var nodeLocalAddresses: [IPAddress]
    /// The name of the proxy's nftables tables.
    public var tableName = "swiftlet"
    /// The name of the interface to which the Service range is routed; at most 15 bytes.
    public var interfaceName = "swiftlet0"

    public init(
        nodeName: String, nodeAddress: IPAddress?, serviceRanges: [IPNetwork], podRanges: [IPNetwork],
        nodeLocalAddresses: [IPAddress] = []
    ) {
        self.nodeName = nodeName
        self.nodeAddress = nodeAddress
        self.serviceRanges = serviceRanges
        self.podRanges = podRanges
        self.nodeLocalAddresses = nodeLocalAddresses
    }
}
