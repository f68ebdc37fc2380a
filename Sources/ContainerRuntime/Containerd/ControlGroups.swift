import Glibc

/// Control groups as containers use them: a folder of the same name below every mounted hierarchy (version 1,
/// version 2, or both).
package enum ControlGroups {
    /// Removes a group and those in it everywhere, as far as they hold no process; containerd leaves the
    /// groups of pods behind (shell: `find /sys/fs/cgroup/*/swiftlet/pod… -depth -type d -exec rmdir {} \;`).
    package static func remove(_ path: String, hierarchies: [String] = hierarchies()) {
        for hierarchy in hierarchies { removeFolders("\(hierarchy)/\(path)") }
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
