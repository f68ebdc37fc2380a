import Glibc

/// Where audit lines go.
package protocol AuditSink: Sendable {
    /// Writes lines, each with its line feed. Called by one task at a time.
    mutating func write(_ lines: [UInt8]) throws(APIServerError)
}

/// A file that lines are added to and that makes room for a new one once it is large. Backups carry the time in
/// their names: `audit-2026-01-31T12-00-00.000.log`.
package struct AuditFile: AuditSink {
    private let path: String
    /// Bytes.
    private let maximumSize: Int
    /// How many backups are kept; 0: all.
    private let maximumBackups: Int
    private let stamp: @Sendable () -> String
    private var descriptor: Int32
    private var size: Int

    /// - Parameters:
    ///   - path: "-" is the standard output.
    ///   - stamp: the present time as it stands in the names of backups.
    /// - Throws: `configuration` when the file cannot be opened.
    package init(
        path: String, maximumSize: Int, maximumBackups: Int, stamp: @escaping @Sendable () -> String
    ) throws(APIServerError) {
        self.path = path
        self.maximumSize = maximumSize
        self.maximumBackups = maximumBackups
        self.stamp = stamp
        (descriptor, size) = path == "-" ? (STDOUT_FILENO, 0) : try Self.open(path)
    }

    private static func open(_ path: String) throws(APIServerError) -> (Int32, Int) {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("open", path) }
        return (descriptor, max(0, Int(lseek(descriptor, 0, SEEK_END))))
    }

    private static func failure(_ action: String, _ path: String) -> APIServerError {
        APIServerError(.audit, "the audit log: cannot \(action) \(path): \(String(cString: strerror(errno)))")
    }

    package mutating func write(_ lines: [UInt8]) throws(APIServerError) {
        if path != "-", size > 0, size + lines.count > maximumSize { try rotate() }
        var rest = lines[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                throw Self.failure("write", path)
            }
            rest = rest.dropFirst(written)
        }
        size += lines.count
    }

    // MARK: Rotation

    private mutating func rotate() throws(APIServerError) {
        let (folder, stem, ending) = Self.parts(of: path)
        guard rename(path, "\(folder)/\(stem)-\(stamp())\(ending)") == 0 else {
            throw Self.failure("rename", path)
        }
        let fresh = try Self.open(path)
        close(descriptor)
        (descriptor, size) = fresh
        guard maximumBackups > 0 else { return }
        let backups = Self.list(folder).filter {
            $0.hasPrefix(stem + "-") && $0.hasSuffix(ending)
                && $0.utf8.count > stem.utf8.count + ending.utf8.count + 1
        }.sorted()
        for old in backups.dropLast(maximumBackups) where unlink("\(folder)/\(old)") != 0 {
            throw Self.failure("remove", old)
        }
    }

    /// `/var/log/audit.log` as `/var/log`, `audit`, `.log`.
    package static func parts(of path: String) -> (folder: String, stem: String, ending: String) {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { String(path[..<$0]) } ?? "."
        let name = slash.map { path[path.index(after: $0)...] } ?? path[...]
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else {
            return (folder.isEmpty ? "/" : folder, String(name), "")
        }
        return (folder.isEmpty ? "/" : folder, String(name[..<dot]), String(name[dot...]))
    }

    private static func list(_ folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }
}
