import Netlink

/// How the pods of a node are connected.
public struct PodNetworkConfiguration: Sendable, Hashable {
    /// The name of the network, by which CNI and `host-local` keep their notes.
    public var name = "swiftlet"
    /// Where addresses come from: one range, or one of each family; a pod has an address of each. At least one.
    public var ranges: [Range]
    /// The largest packet in bytes; nil to take the uplink's.
    public var mtu: UInt32?
    /// The directory for all that the network keeps on disk.
    public var directory: String
    /// Where CNI plugins may be installed, in the order of preference.
    public var pluginDirectories = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"]
    /// Where the CNI library in the container runtime keeps results.
    public var resultDirectory = "/var/lib/cni/results"
    /// The name of the nftables table that gives pods the node's address outside the cluster.
    public var tableName = "swiftlet-pods"

    /// Addresses of one family.
    public struct Range: Sendable, Hashable {
        /// The range from which the pods of this node get their addresses, such as 10.244.0.0/24. The first
        /// address is the gateway's.
        public var node: IPNetwork
        /// The range of all pods of the cluster, such as 10.244.0.0/16. What goes there keeps its sender.
        public var cluster: IPNetwork

        public init(node: IPNetwork, cluster: IPNetwork) {
            self.node = node.canonical
            self.cluster = cluster.canonical
        }

        public var family: IPAddress.Family { node.address.family }
    }

    /// - Parameters:
    ///   - ranges: in the order in which pods name their addresses.
    ///   - directory: for all that the network keeps on disk.
    public init(ranges: [Range], directory: String) {
        self.ranges = ranges
        self.directory = directory
    }

    /// The families that pods have addresses of.
    var families: Set<IPAddress.Family> { Set(ranges.map(\.family)) }

    /// Where the container runtime finds the network's description (containerd's `conf_dir`).
    public var configurationDirectory: String { directory + "/net.d" }
    /// Where the container runtime finds the plugins (containerd's `bin_dir`).
    public var binaryDirectory: String { directory + "/bin" }
    /// Where `host-local` notes which address belongs to which sandbox.
    public var allocationDirectory: String { directory + "/networks" }

    /// The plugins that are needed.
    var plugins: [String] {
        ["ptp", "host-local", "loopback"] + (families.contains(.ipv6) ? ["tuning"] : [])
    }
}
