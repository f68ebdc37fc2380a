import CLinux
import Glibc

/// A network namespace, kept alive by an open descriptor.
///
/// A thread that has changed its namespace must not go back to a pool of threads, so everything that has to
/// happen inside runs on a thread of its own that ends afterwards. Sockets opened there stay inside for ever and
/// can be used from anywhere.
public final class NetworkNamespace: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Makes a new namespace that holds nothing but a loopback interface, which is down. It lasts as long as
    /// this value or something inside it does. Shell: `unshare --net`.
    /// - Throws: `NetlinkError` with `.file` when the thread may not have a new namespace (needs root).
    public static func make() async throws -> NetworkNamespace {
        try await onThread {
            guard clinux_unshare_network() == 0 else {
                throw NetlinkError(
                    .file(path: "unshare(CLONE_NEWNET)", errno: errno), request: "make a network namespace")
            }
            return try opened("/proc/thread-self/ns/net")
        }
    }

    /// Opens a namespace by its file, such as `/run/netns/NAME` or `/proc/PID/ns/net`.
    public static func opened(_ path: String) throws(NetlinkError) -> NetworkNamespace {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw NetlinkError(.file(path: path, errno: errno), request: "open a network namespace")
        }
        return NetworkNamespace(descriptor: descriptor)
    }

    /// Runs `body` inside, on a thread of its own. Shell: `nsenter --net=FILE COMMAND`.
    public func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await Self.onThread { [self] in
            guard clinux_enter_network(descriptor) == 0 else {
                throw NetlinkError(
                    .file(path: "setns(CLONE_NEWNET)", errno: errno), request: "enter a network namespace")
            }
            return try body()
        }
    }

    /// The open descriptor, to name the namespace in a request; valid while `body` runs.
    public func withDescriptor<Value>(_ body: (Int32) throws -> Value) rethrows -> Value {
        try withExtendedLifetime(self) { try body(descriptor) }
    }

    /// Runs `body` on a new thread that ends with it.
    private static func onThread<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let thread = OwnThread { continuation.resume(with: Result { try body() }) }
            if !thread.start() {
                continuation.resume(
                    throwing: NetlinkError(
                        .file(path: "pthread_create", errno: errno), request: "start a thread"))
            }
        }
    }
}
