import Glibc

/// Control groups as containers use them: a folder of the same name below every mounted hierarchy (version 1,
/// version 2, or both).
package enum ControlGroups {
    /// Removes a group and those in it everywhere, as far as they hold no process; containerd leaves the
    /// groups of pods behind (shell: `find /sys/fs/cgroup/*/swiftlet/pod… -depth -type d -exec rmdir {} \;`).
    package static func remove(_ path: String, hierarchies: [String] = hierarchies()) {
        for hierarchy in hierarchies { removeFolders("\(hierarchy)/\(path)") }
    }

    /// Gives a group its weight against the groups and processes beside it, and makes it where it is not there yet.
    ///
    ///     echo 2048 > /sys/fs/cgroup/cpu/swiftlet/cpu.shares      # version 1
    ///     echo 79 > /sys/fs/cgroup/swiftlet/cpu.weight            # version 2
    ///
    /// - Parameter shares: as in version 1, 2 to 262144; a process has 1024.
    /// - Throws: `ContainerRuntimeError` if the kernel refuses.
    package static func setShares(
        _ shares: Int, of path: String, hierarchies: [String] = hierarchies()
    ) throws(ContainerRuntimeError) {
        for hierarchy in hierarchies {
            let group = "\(hierarchy)/\(path)"
            if Files.exists("\(hierarchy)/cpu.shares") {
                try Files.createFolder(group)
                try Files.overwrite("\(group)/cpu.shares", "\(shares)")
            } else if has("cpu", hierarchy) {
                try make(path, with: "cpu", hierarchy)
                // From 2…262144 to 1…10000, as container runtimes do.
                try Files.overwrite("\(group)/cpu.weight", "\(1 + (shares - 2) * 9999 / 262_142)")
            }
        }
    }

    /// Gives a group limits, and makes it where it is not there yet. Where the kernel has no such limits there are none.
    ///
    ///     echo 50000 > /sys/fs/cgroup/cpu/swiftlet/pod…/cpu.cfs_quota_us              # version 1
    ///     echo 67108864 > /sys/fs/cgroup/memory/swiftlet/pod…/memory.limit_in_bytes
    ///     echo 50000 100000 > /sys/fs/cgroup/swiftlet/pod…/cpu.max                    # version 2
    ///     echo 67108864 > /sys/fs/cgroup/swiftlet/pod…/memory.max
    ///
    /// - Parameters:
    ///   - quota: microseconds of processor time in each period; 0 for no limit.
    ///   - period: microseconds.
    ///   - memory: bytes; 0 for no limit.
    /// - Throws: `ContainerRuntimeError` if the kernel refuses.
    package static func limit(
        _ path: String, quota: Int, period: Int, memory: Int, hierarchies: [String] = hierarchies()
    ) throws(ContainerRuntimeError) {
        for hierarchy in hierarchies {
            let group = "\(hierarchy)/\(path)"
            if quota > 0 {
                if Files.exists("\(hierarchy)/cpu.cfs_quota_us") {
                    try Files.createFolder(group)
                    try Files.overwrite("\(group)/cpu.cfs_period_us", "\(period)")
                    try Files.overwrite("\(group)/cpu.cfs_quota_us", "\(quota)")
                } else if has("cpu", hierarchy) {
                    try make(path, with: "cpu", hierarchy)
                    if Files.exists("\(group)/cpu.max") {
                        try Files.overwrite("\(group)/cpu.max", "\(quota) \(period)")
                    }
                }
            }
            if memory > 0 {
                if Files.exists("\(hierarchy)/memory.limit_in_bytes") {
                    try Files.createFolder(group)
                    try Files.overwrite("\(group)/memory.limit_in_bytes", "\(memory)")
                } else if has("memory", hierarchy) {
                    try make(path, with: "memory", hierarchy)
                    try Files.overwrite("\(group)/memory.max", "\(memory)")
                }
            }
        }
    }

    /// Whether a hierarchy of version 2 has this controller.
    private static func has(_ controller: String, _ hierarchy: String) -> Bool {
        Files.text("\(hierarchy)/cgroup.controllers")?.split(whereSeparator: \.isWhitespace)
            .contains { $0 == controller } == true
    }

    /// Makes a group of version 2 that has this controller, which those above it must pass on.
    private static func make(
        _ path: String, with controller: String, _ hierarchy: String
    ) throws(ContainerRuntimeError) {
        var group = hierarchy
        for part in path.split(separator: "/") {
            try Files.overwrite("\(group)/cgroup.subtree_control", "+\(controller)")
            group += "/\(part)"
            try Files.createFolder(group)
        }
    }

    /// The names of the groups directly below a group, over all hierarchies.
    package static func children(of path: String, hierarchies: [String] = hierarchies()) -> Set<String> {
        var names: Set<String> = []
        for hierarchy in hierarchies {
            for name in Files.list("\(hierarchy)/\(path)")
            where Files.isFolder("\(hierarchy)/\(path)/\(name)") {
                names.insert(name)
            }
        }
        return names
    }

    /// Where hierarchies are mounted.
    package static func hierarchies() -> [String] {
        guard let table = Files.text("/proc/self/mounts") else { return [] }
        return table.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count > 2, fields[2] == "cgroup" || fields[2] == "cgroup2" else { return nil }
            return String(fields[1])
        }
    }

    private static func removeFolders(_ path: String) {
        guard Files.isFolder(path) else { return }
        for name in Files.list(path) { removeFolders("\(path)/\(name)") }
        rmdir(path)
    }
}
