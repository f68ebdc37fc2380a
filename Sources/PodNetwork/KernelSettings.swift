import Netlink

/// Settings of the kernel that routed pods need (`sysctl`). What was there before is noted, so that it can be put
/// back.
struct KernelSettings: Sendable {
    /// Where the old values are noted.
    let notes: String
    /// The families that are passed on.
    let families: Set<IPAddress.Family>

    /// A setting and the value it needs.
    struct Setting: Sendable, Hashable {
        var path: String
        var value: String
    }

    /// Packets are passed on between pods, and between pods and the rest. Writing this resets other settings of
    /// all interfaces, so it is only done where needed. (Reverse path filters need no change, even strict ones:
    /// the route to each pod is over its own interface.)
    static let forwarding = Setting(path: "/proc/sys/net/ipv4/ip_forward", value: "1")
    static let forwarding6 = Setting(path: "\(interfaces6)/all/forwarding", value: "1")

    /// A TCP connection that was broken off with a reset is forgotten at once, not after ten seconds, in which the kernel
    /// would lead a client that uses the port again to the pod that broke it off, which may have ended since.
    static let brokenConnections = Setting(
        path: "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close", value: "0")

    private static let interfaces6 = "/proc/sys/net/ipv6/conf"

    /// What is needed of this machine, in the order in which it is set.
    private func needed() throws(PodNetworkError) -> [Setting] {
        var settings: [Setting] = []
        // A kernel without connection tracking has no such setting.
        if try Files.read(Self.brokenConnections.path) != nil { settings.append(Self.brokenConnections) }
        if families.contains(.ipv4) { settings.append(Self.forwarding) }
        if families.contains(.ipv6) {
            // A machine that passes packets on heeds no router advertisements, by which it may have its own
            // address and way out, unless it is told to.
            for name in try Files.names(in: Self.interfaces6) {
                let path = "\(Self.interfaces6)/\(name)/accept_ra"
                if Self.trimmed(try Files.read(path) ?? "") == "1" {
                    settings.append(Setting(path: path, value: "2"))
                }
            }
            settings.append(Self.forwarding6)
        }
        return settings
    }

    /// Sets what is not as it must be.
    func establish() throws(PodNetworkError) {
        for setting in try needed() {
            let old = Self.trimmed(try Files.read(setting.path) ?? "")
            guard old != setting.value else { continue }
            let noted = try Files.read(notes) ?? ""
            if !noted.contains(setting.path) {
                try Files.replace(notes, Array((noted + "\(setting.path) \(old) \(setting.value)\n").utf8))
            }
            try Files.write(setting.path, setting.value)
        }
    }

    /// Puts back what was there before, where nobody has changed it since.
    func restore() throws(PodNetworkError) {
        for line in (try Files.read(notes) ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            // An interface may be gone.
            guard words.count == 3, let now = try Files.read(String(words[0])), Self.trimmed(now) == words[2]
            else { continue }
            try Files.write(String(words[0]), String(words[1]))
        }
        try Files.remove(notes)
    }

    private static func trimmed(_ text: String) -> String {
        String(text.prefix { !$0.isWhitespace })
    }
}
