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
            } else if Files.text("\(hierarchy)/cgroup.controllers")?.split(whereSeparator: \.isWhitespace)
                .contains("cpu") == true
            {
                try Files.overwrite("\(hierarchy)/cgroup.subtree_control", "+cpu")
                try Files.createFolder(group)
                // From 2…262144 to 1…10000, as container runtimes do.
                try Files.overwrite("\(group)/cpu.weight", "\(1 + (shares - 2) * 9999 / 262_142)")
            }
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
