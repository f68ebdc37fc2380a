/// Settings of the kernel that routed pods need (`sysctl`). What was there before is noted, so that it can be put
/// back.
struct KernelSettings: Sendable {
    /// Where the old values are noted.
    let notes: String

    /// A setting and the value it needs.
    struct Setting: Sendable, Hashable {
        var path: String
        var value: String
    }

    /// Packets are passed on between pods, and between pods and the rest. Writing this resets other settings of
    /// all interfaces, so it is only done where needed. (Reverse path filters need no change, even strict ones:
    /// the route to each pod is over its own interface.)
    static let needed = [
        Setting(path: "/proc/sys/net/ipv4/ip_forward", value: "1")
    ]

    /// Sets what is not as it must be.
    func establish() throws(PodNetworkError) {
        for setting in Self.needed {
            let old = Self.trimmed(try Files.read(setting.path) ?? "")
            guard old != setting.value else { continue }
            let noted = try Files.read(notes) ?? ""
            if !noted.contains(setting.path) {
                try Files.replace(notes, Array((noted + "\(setting.path) \(old)\n").utf8))
            }
            try Files.write(setting.path, setting.value)
        }
    }

    /// Puts back what was there before, where nobody has changed it since.
    func restore() throws(PodNetworkError) {
        for line in (try Files.read(notes) ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, let setting = Self.needed.first(where: { $0.path == words[0] }),
                Self.trimmed(try Files.read(setting.path) ?? "") == setting.value
            else { continue }
            try Files.write(setting.path, String(words[1]))
        }
        try Files.remove(notes)
    }

    private static func trimmed(_ text: String) -> String {
        String(text.prefix { !$0.isWhitespace })
    }
}
