import Glibc

/// The few things that the network does with files.
enum Files {
    private static func error(_ path: String, _ what: String) -> PodNetworkError {
        let number = errno
        return PodNetworkError(
            .file(path: path, errno: number),
            "\(path) could not be \(what): \(String(cString: strerror(number)))")
    }

    /// Makes a directory and those above it.
    static func makeDirectory(_ path: String) throws(PodNetworkError) {
        var current = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            current += "/" + part
            if mkdir(current, 0o755) != 0, errno != EEXIST { throw error(current, "made") }
        }
    }

    /// The text of a file; nil when there is none.
    static func read(_ path: String) throws(PodNetworkError) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw error(path, "read")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw error(path, "read")
            }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    /// Writes a file so that readers see the old text or the new one, never a part.
    static func replace(_ path: String, _ bytes: [UInt8]) throws(PodNetworkError) {
        let temporary = path + ".new"
        try write(temporary, bytes, O_WRONLY | O_CREAT | O_TRUNC)
        guard rename(temporary, path) == 0 else { throw error(path, "written") }
    }

    /// Writes to a file that is there, such as one of the kernel's settings.
    static func write(_ path: String, _ text: String) throws(PodNetworkError) {
        try write(path, Array(text.utf8), O_WRONLY)
    }

    private static func write(_ path: String, _ bytes: [UInt8], _ flags: Int32) throws(PodNetworkError) {
        let descriptor = open(path, flags | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw error(path, "written") }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw error(path, "written")
            }
            rest = rest.dropFirst(count)
        }
    }

    /// The names in a directory; none when there is no such directory.
    static func names(in path: String) throws(PodNetworkError) -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw error(path, "listed")
        }
        defer { closedir(directory) }
        var result: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { result.append(name) }
        }
        return result.sorted()
    }

    /// Removes a file; one that is not there is no error.
    static func remove(_ path: String) throws(PodNetworkError) {
        if unlink(path) != 0, errno != ENOENT { throw error(path, "removed") }
    }

    /// Removes a directory and all that is in it; one that is not there is no error.
    static func removeDirectory(_ path: String) throws(PodNetworkError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in try names(in: path) { try removeDirectory(path + "/" + name) }
            if rmdir(path) != 0, errno != ENOENT { throw error(path, "removed") }
        } else {
            try remove(path)
        }
    }

    /// Makes a symbolic link, in place of what is there.
    static func link(_ path: String, to target: String) throws(PodNetworkError) {
        try remove(path)
        guard symlink(target, path) == 0 else { throw error(path, "made") }
    }

    static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }
}
