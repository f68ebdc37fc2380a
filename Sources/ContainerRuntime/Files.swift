import Glibc

/// The few things this program does with files, over the system calls.
package enum Files {
    /// Reads a whole file.
    package static func read(_ path: String) throws(ContainerRuntimeError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("read", path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            guard count > 0 else { return bytes }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    /// Reads a file as text, nil when there is none or it is no UTF-8.
    package static func text(_ path: String) -> String? {
        guard let bytes = try? read(path) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Writes a file so that a reader sees the old content or the new one, never a part.
    package static func write(
        _ bytes: [UInt8], to path: String, mode: mode_t = 0o644
    ) throws(ContainerRuntimeError) {
        let temporary = "\(path).tmp.\(getpid())"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure("write", path) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress.map { $0 + written }, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                let error = failure("write", path)
                close(descriptor)
                unlink(temporary)
                throw error
            }
            written += count
        }
        // The umask must not decide who may read a Secret or run a program.
        fchmod(descriptor, mode)
        close(descriptor)
        guard rename(temporary, path) == 0 else {
            let error = failure("write", path)
            unlink(temporary)
            throw error
        }
    }

    /// Writes to a file that is there, in one call, as files of the kernel want it.
    package static func overwrite(_ path: String, _ text: String) throws(ContainerRuntimeError) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("write", path) }
        defer { close(descriptor) }
        let count = text.utf8.count
        guard Glibc.write(descriptor, text, count) == count else { throw failure("write", path) }
    }

    /// Creates a folder and those above it (`mkdir -p`).
    package static func createFolder(_ path: String, mode: mode_t = 0o755) throws(ContainerRuntimeError) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, mode) == 0 || errno == EEXIST else { throw failure("create", made) }
        }
        guard isFolder(path) else {
            throw ContainerRuntimeError(.io, "\(path) was expected to be a folder; it is something else.")
        }
    }

    /// The names in a folder, sorted; empty when there is no such folder.
    package static func list(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a file or a folder with all in it; symbolic links are removed, never followed, and mounts in
    /// it stop the removal (their content is not ours).
    package static func remove(_ path: String) throws(ContainerRuntimeError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw failure("remove", path)
        }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in list(path) { try remove("\(path)/\(name)") }
            guard rmdir(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
        } else {
            guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
        }
    }

    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    package static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// The absolute path of a program: as given when it has a slash, else looked up in PATH and in the
    /// folders for system programs, which a user's PATH often lacks.
    package static func program(_ name: String, environment: [String: String]) -> String? {
        if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
        let folders =
            (environment["PATH"] ?? "").split(separator: ":").map(String.init)
            + ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return folders.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 && !isFolder($0) }
    }

    private static func failure(_ verb: String, _ path: String) -> ContainerRuntimeError {
        ContainerRuntimeError(.io, "Cannot \(verb) \(path): \(errorText(errno)).")
    }
}
