public import ContainerRuntime
import KubernetesAPI

/// What the node agent must know of its node and cluster.
public struct NodeConfiguration: Sendable {
    /// The node's name in the API.
    public var nodeName: String
    /// The node's addresses, the first one first.
    public var addresses: [String]
    /// The parts of the cluster's pod addresses that this node gives out, of each family at most one, such as
    /// `10.244.0.0/24`.
    public var podCIDRs: [String]
    /// Where pods send their DNS queries.
    public var clusterDNS = "10.96.0.10"
    public var clusterDomain = "cluster.local"
    /// Persistent files of pods.
    public var stateDirectory: String
    /// Files of pods that live in memory; must be on a tmpfs.
    public var runDirectory: String
    /// Log files of pods.
    public var podLogDirectory = "/var/log/pods"
    /// The control group that all pods' groups are in.
    public var controlGroup = "/swiftlet"
    /// Further labels of the node.
    public var labels: [String: String] = [:]
    /// The version that the node reports.
    public var version = "v1.35.0"
    /// The resolver configuration of the node, which pods inherit as far as their DNS policy says.
    public var hostResolverFile = "/etc/resolv.conf"
    /// How many pods may run on the node.
    public var maximumPods = 110

    /// Whether the machine has an image of its own, which is fetched from nowhere else.
    public var hasImage: @Sendable (ImageReference) -> Bool = { _ in false }

    public init(
        nodeName: String, addresses: [String], podCIDRs: [String], stateDirectory: String,
        runDirectory: String
    ) {
        self.nodeName = nodeName
        self.addresses = addresses
        self.podCIDRs = podCIDRs
        self.stateDirectory = stateDirectory
        self.runDirectory = runDirectory
    }

    package var folders: PodFolders {
        PodFolders(
            root: "\(stateDirectory)/pods", memoryRoot: "\(runDirectory)/pods", logRoot: podLogDirectory)
    }
}
