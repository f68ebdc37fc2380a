import Glibc

/// Makes sure that one cluster runs on its directories, and tells which process that is.
///
/// The lock is the kernel's (`flock`), so that it goes with the process however that ends; the file's
/// content, a process id, is only for people and for `swiftlet down`.
public struct InstanceLock: ~Copyable, Sendable {
    private let descriptor: Int32

    /// Takes the lock.
    ///
    /// - Throws: ``ClusterError`` with code `alreadyRunning` when another process holds it.
    public init(_ path: String) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw ClusterError.system("open the lock \(path)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = Self.content(descriptor).map { "process \($0)" } ?? "another process"
            // What is thrown after all is set runs `deinit`, which closes the file.
            throw ClusterError(
                .alreadyRunning,
                "Expected no cluster on \(path), found one that runs (\(holder)). "
                    + "Look at it with 'swiftlet status', stop it with 'swiftlet down'.")
        }
        ftruncate(descriptor, 0)
        let content = Array("\(getpid())\n".utf8)
        guard write(descriptor, content, content.count) == content.count else {
            throw ClusterError.system("write the lock \(path)")
        }
    }

    deinit { close(descriptor) }

    /// The process that holds the lock; nil if none does.
    public static func holder(of path: String) -> pid_t? {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) != 0 else { return nil }
        return content(descriptor)
    }

    private static func content(_ descriptor: Int32) -> pid_t? {
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return nil }
        return pid_t(String(decoding: buffer.prefix(count).prefix { $0 != 10 }, as: UTF8.self))
    }
}
