import ContainerRuntime
import Glibc

/// What the machine offers, as far as a cluster needs it. A value, so that judging it needs no machine.
public struct MachineFacts: Sendable, Equatable {
    public var isRoot = true
    /// Programs that were found, by name.
    public var programs: [String: String] = [:]
    /// Kernel features that answered a probe.
    public var features: Set<KernelFeature> = Set(KernelFeature.allCases)
    /// Process that holds the API port; nil if it is free.
    public var apiPortIsFree = true

    public init() {}
}

/// A kernel feature that is asked for before anything is started.
public enum KernelFeature: String, CaseIterable, Sendable {
    case nftables
    case overlayfs
    case networkNamespaces
    case cgroups

    /// What it is for and how to get it.
    var advice: String {
        switch self {
        case .nftables:
            return
                "nftables (Service addresses are translated by it): load the modules nf_tables and nft_chain_nat"
        case .overlayfs: return "overlayfs (container file systems): load the module overlay"
        case .networkNamespaces:
            return "network namespaces (one for each pod): use a kernel with CONFIG_NET_NS"
        case .cgroups: return "cgroups (limits of containers): mount them at /sys/fs/cgroup"
        }
    }
}

/// Says before anything is made what would fail later.
public enum Preflight {
    /// Where Debian and others keep CNI plugins.
    public static let pluginDirectories = ["/usr/lib/cni", "/opt/cni/bin"]

    /// The first obstacle, or nil.
    ///
    /// - Parameter usesOwnRuntime: whether containerd is started by us (the default).
    public static func obstacle(
        _ facts: MachineFacts, configuration: ClusterConfiguration, usesOwnRuntime: Bool = true
    ) -> ClusterError? {
        guard facts.isRoot else {
            return ClusterError(
                .notRoot,
                "Expected to run as root (pods need namespaces, mounts and the kernel's tables), "
                    + "found an ordinary user. Try again with sudo.")
        }
        for feature in KernelFeature.allCases where !facts.features.contains(feature) {
            return ClusterError(
                .kernelFeatureMissing,
                "Expected a kernel with \(feature.rawValue), found none. Swiftlet needs \(feature.advice).")
        }
        var needed = ["ptp", "host-local", "loopback"].map { ($0, "containernetworking-plugins") }
        if usesOwnRuntime {
            needed += [("containerd", "containerd"), ("containerd-shim-runc-v2", "containerd")]
        }
        for (program, package) in needed where facts.programs[program] == nil {
            return missing(program, package)
        }
        if usesOwnRuntime, facts.programs["runc"] == nil, facts.programs["crun"] == nil {
            return missing("runc", "runc")
        }
        guard facts.apiPortIsFree else {
            return ClusterError(
                .portInUse,
                "Expected port \(configuration.apiPort) to be free for the API server, found another program "
                    + "listening. Stop it (ss -ltnp 'sport = :\(configuration.apiPort)' tells which), "
                    + "or choose another port with --port.")
        }
        return nil
    }

    private static func missing(_ program: String, _ package: String) -> ClusterError {
        ClusterError(
            .programMissing,
            "Expected the program \(program), found none on the PATH or in \(pluginDirectories.joined(separator: ", ")). "
                + "Install it: apt-get install \(package).")
    }

    /// Looks the machine over. Nothing is left behind.
    public static func inspect(port: Int, hasNftables: Bool) -> MachineFacts {
        var facts = MachineFacts()
        facts.isRoot = geteuid() == 0
        let paths = (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").map(String.init)
        let standard = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        for program in ["containerd", "containerd-shim-runc-v2", "runc", "crun"] {
            facts.programs[program] = find(program, in: paths + standard)
        }
        for program in ["ptp", "host-local", "loopback"] {
            facts.programs[program] = find(program, in: pluginDirectories)
        }
        var features: Set<KernelFeature> = []
        if hasNftables { features.insert(.nftables) }
        let filesystems = Files.text("/proc/filesystems") ?? ""
        if filesystems.split(separator: "\n").contains(where: { $0.hasSuffix("\toverlay") }) {
            features.insert(.overlayfs)
        }
        if Files.exists("/proc/self/ns/net") { features.insert(.networkNamespaces) }
        if !Files.list("/sys/fs/cgroup").isEmpty { features.insert(.cgroups) }
        facts.features = features
        facts.apiPortIsFree = isFree(port)
        return facts
    }

    private static func find(_ program: String, in directories: [String]) -> String? {
        directories.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }

    /// Whether a TCP port of the loopback address can be listened on.
    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        // As the server itself does it: connections of an earlier run that linger are no obstacle.
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return bound == 0 && listen(descriptor, 1) == 0
    }
}
