import ContainerRuntime
import Glibc
import KubernetesAPI

/// The files of a volume that is made of API objects: path below the volume, content and mode.
package struct VolumeFiles: Sendable, Hashable {
    package struct File: Sendable, Hashable {
        package var content: [UInt8]
        package var mode: Int

        package init(content: [UInt8], mode: Int) {
            self.content = content
            self.mode = mode
        }
    }

    package private(set) var files: [String: File] = [:]

    package init() {}

    /// Adds a file; a path that leaves the volume is refused.
    package mutating func add(_ path: String, _ content: [UInt8], mode: Int)
        throws(ContainerConfigurationError)
    {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard !path.isEmpty, !parts.contains(".."), !parts.contains(""), !path.hasPrefix("..") else {
            throw ContainerConfigurationError("the path \"\(path)\" is not a relative path inside the volume")
        }
        files[path] = File(content: content, mode: mode)
    }

    /// Adds the keys of a ConfigMap or Secret: all of them, or those listed.
    package mutating func add(
        _ data: [String: [UInt8]], items: [KeyToPath], mode: Int, optional: Bool
    ) throws(ContainerConfigurationError) {
        if items.isEmpty {
            for (key, content) in data { try add(key, content, mode: mode) }
            return
        }
        for item in items {
            guard let content = data[item.key] else {
                if optional { continue }
                throw ContainerConfigurationError("references non-existent config key: \(item.key)")
            }
            try add(item.path, content, mode: item.mode ?? mode)
        }
    }

    /// Adds fields of the pod.
    package mutating func add(
        _ items: [DownwardAPIVolumeFile], mode: Int, facts: DownwardAPI
    ) throws(ContainerConfigurationError) {
        for item in items {
            if let field = item.fieldRef {
                try add(item.path, Array(try facts.field(field.fieldPath).utf8), mode: item.mode ?? mode)
            } else if let resource = item.resourceFieldRef {
                guard let container = facts.pod.container(resource.containerName) else {
                    throw ContainerConfigurationError(
                        "container \"\(resource.containerName)\" not found in the pod")
                }
                let text = try facts.resource(resource, in: container)
                try add(item.path, Array(text.utf8), mode: item.mode ?? mode)
            }
        }
    }

    /// Writes the files so that a reader sees the old set or the new one: a new folder, then one rename of
    /// the symbolic link `..data` that all names go through.
    package func write(to folder: String, group: Int?) throws(ContainerRuntimeError) {
        try Files.createFolder(folder)
        if matches(folder) { return }
        let data = "\(folder)/..data"
        let previous = Self.link(data)
        let stamp = "..\(UInt64.random(in: 0 ... .max))"
        let fresh = "\(folder)/\(stamp)"
        try Files.createFolder(fresh)
        for (path, file) in files.sorted(by: { $0.key < $1.key }) {
            let target = "\(fresh)/\(path)"
            if let slash = target.lastIndex(of: "/") { try Files.createFolder(String(target[..<slash])) }
            let mode = mode_t(truncatingIfNeeded: file.mode & 0o777 | (group == nil ? 0 : 0o040))
            try Files.write(file.content, to: target, mode: mode)
            if let group { chown(target, uid_t.max, gid_t(truncatingIfNeeded: group)) }
        }
        let temporary = "\(folder)/..data_tmp"
        unlink(temporary)
        guard symlink(stamp, temporary) == 0, rename(temporary, data) == 0 else {
            throw ContainerRuntimeError(.io, "Cannot write \(data): \(errorText(errno)).")
        }
        let names = Set(files.keys.compactMap { $0.split(separator: "/").first.map(String.init) })
        for name in names where Self.link("\(folder)/\(name)") != "..data/\(name)" {
            try Files.remove("\(folder)/\(name)")
            guard symlink("..data/\(name)", "\(folder)/\(name)") == 0 else {
                throw ContainerRuntimeError(.io, "Cannot write \(folder)/\(name): \(errorText(errno)).")
            }
        }
        for name in Files.list(folder) where !name.hasPrefix("..") && !names.contains(name) {
            try Files.remove("\(folder)/\(name)")
        }
        if let previous { try Files.remove("\(folder)/\(previous)") }
    }

    private func matches(_ folder: String) -> Bool {
        guard Self.link("\(folder)/..data") != nil else { return false }
        let names = Set(files.keys.compactMap { $0.split(separator: "/").first.map(String.init) })
        guard Set(Files.list(folder).filter { !$0.hasPrefix("..") }) == names else { return false }
        return files.allSatisfy { path, file in (try? Files.read("\(folder)/\(path)")) == file.content }
    }

    private static func link(_ path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { raw in
            raw.baseAddress.map { readlink(path, $0.assumingMemoryBound(to: CChar.self), raw.count) } ?? -1
        }
        return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
    }
}
