import Glibc

/// Everything that can be chosen about a cluster, with its defaults.
public struct ClusterConfiguration: Sendable, Equatable {
    /// What must survive a restart: the store, certificates, containers, images.
    public var stateDirectory = "/var/lib/swiftlet"
    /// Sockets, the lock, the log of a detached run. Paths of sockets are short, so keep it short too.
    public var runDirectory = "/run/swiftlet"
    /// Container logs, `NAMESPACE_POD_UID/CONTAINER/N.log`.
    public var podLogDirectory = "/var/log/pods"
    /// Folder of OCI and Docker archives that containers may be started from; `image load` copies into it.
    public var imageDirectory: String { "\(stateDirectory)/images" }
    /// The name of this machine's Node.
    public var nodeName = ClusterConfiguration.hostName
    /// The address of this machine's Node, or one of each family behind a comma; nil: that of the default
    /// route's interface.
    public var nodeAddress: String?
    /// Where the API answers, on 127.0.0.1 and the node's address.
    public var apiPort = 6443
    /// Addresses of pods: an IPv4 range, of which each node has a /24, and perhaps behind a comma an IPv6 one, of
    /// which it has a /64; pods have an address of each.
    public var podCIDR = "10.244.0.0/16"
    /// Addresses of Services: an IPv4 range, and perhaps an IPv6 one, with which the cluster's Services can be
    /// dual-stack.
    public private(set) var serviceCIDRs = ["10.96.0.0/16"]
    /// The first of them.
    var serviceCIDR: String { serviceCIDRs[0] }
    /// The address at which cluster DNS answers: the tenth of the Service range.
    public var clusterDNS = "10.96.0.10"
    /// The domain of Service names.
    public var clusterDomain = "cluster.local"
    /// What cluster DNS does with names outside of the cluster, and other choices.
    public var dns = DNSSettings()

    /// Whether the end of a pod, and a rollout, wait for the data plane. Only a test wants it otherwise.
    public var hasGates = true

    /// An audit policy (`audit.k8s.io/v1` Policy); nil: no request is kept.
    public var auditPolicyFile: String?
    /// The file that audit events go to; "-" is the standard output.
    public var auditLogPath: String?
    /// The size in MiB beyond which a new audit log is begun.
    public var auditLogMaximumSize = 100
    /// How many earlier audit logs are kept; 0: all.
    public var auditLogMaximumBackups = 0

    /// The address of `default/kubernetes`: the first of the Service range.
    var apiServiceAddress: String { Self.address(1, of: serviceCIDR) ?? "10.96.0.1" }

    public init() {}

    /// The Service ranges as they are given on the command line.
    public var serviceCIDRText: String { serviceCIDRs.joined(separator: ",") }

    /// Chooses the Service ranges, separated by a comma; cluster DNS moves to the first one's tenth address.
    ///
    /// - Throws: ``ClusterError`` with code `badConfiguration` if the first is no IPv4 range of at least 16
    ///   addresses, or the second no IPv6 range.
    public mutating func setServiceCIDR(_ text: String) throws {
        let ranges = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard let first = ranges.first, ranges.count <= 2, let dns = Self.address(10, of: first),
            ranges.dropFirst().allSatisfy({ $0.contains(":") && $0.contains("/") })
        else {
            throw ClusterError(
                .badConfiguration,
                "Expected --service-cidr to be an IPv4 range such as 10.96.0.0/16, or one and an IPv6 range "
                    + "behind a comma (10.96.0.0/16,fd00:96::/112), found \"\(text)\".")
        }
        serviceCIDRs = ranges
        clusterDNS = dns
    }

    /// The n-th address of an IPv4 range of at least 16 addresses.
    private static func address(_ index: UInt32, of range: String) -> String? {
        let parts = range.split(separator: "/")
        guard parts.count == 2, let length = UInt32(parts[1]), length <= 28 else { return nil }
        let octets = parts[0].split(separator: ".", omittingEmptySubsequences: false).compactMap {
            UInt32($0)
        }
        guard octets.count == 4, octets.allSatisfy({ $0 < 256 }) else { return nil }
        let base = octets.reduce(0) { $0 << 8 | $1 }
        let mask: UInt32 = length == 0 ? 0 : ~0 << (32 - length)
        let address = (base & mask) + index
        return [24, 16, 8, 0].map { String(address >> $0 & 255) }.joined(separator: ".")
    }

    /// The lock that one running `swiftlet up` holds; its content is the process id.
    public var lockFile: String { "\(runDirectory)/swiftlet.pid" }
    /// The output of a detached run.
    public var logFile: String { "\(runDirectory)/swiftlet.log" }
    /// The store's database.
    public var databaseFile: String { "\(stateDirectory)/server/state.db" }
    /// Certificates and keys.
    public var pkiDirectory: String { "\(stateDirectory)/server/pki" }
    /// The administrator's kubeconfig, as `swiftlet kubeconfig` prints it.
    public var adminKubeconfig: String { "\(stateDirectory)/server/admin.kubeconfig" }
    /// Pod volumes, containerd's root, CNI state.
    public var agentDirectory: String { "\(stateDirectory)/agent" }

    /// The machine's name as a Node name: lower case (RFC 1123).
    private static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "node" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name.isEmpty ? "node" : name.lowercased()
    }
}
