import CLinux
import Glibc
import NIOCore
import NIOPosix

/// Another program, started by us (a child) or found running (adopted); seen through its pidfd.
///
/// A child is started in a session of its own with its output in a file, so that it lives on when we are
/// killed. Waiting needs no thread of the concurrency pool: a thread of its own blocks in `poll`.
package final class ChildProcess: Sendable {
    /// The process id.
    package let pid: Int32
    private let pidfd: Int32
    private let wakeup: Int32
    private let isChild: Bool
    private let watcher = NIOThreadPool(numberOfThreads: 1)

    private init(pid: Int32, isChild: Bool) throws(ContainerRuntimeError) {
        let descriptor = swiftlet_pidfd_open(pid)
        guard descriptor >= 0 else {
            throw ContainerRuntimeError(.io, "Process \(pid) cannot be watched: \(errorText(-descriptor)).")
        }
        self.pid = pid
        self.isChild = isChild
        pidfd = descriptor
        wakeup = swiftlet_eventfd()
        watcher.start()
    }

    deinit {
        let pool = watcher
        pool.shutdownGracefully { _ in }
        close(pidfd)
        close(wakeup)
    }

    /// Starts `path` (absolute) with `arguments` (without the program's name).
    ///
    /// - Parameters:
    ///   - output: a descriptor for standard output and error; nil discards both. It stays the caller's.
    ///   - newSession: detached from our session, so that a terminal's Ctrl-C does not reach it.
    package static func start(
        _ path: String, _ arguments: [String], environment: [String: String], output: Int32? = nil,
        newSession: Bool = true
    ) throws(ContainerRuntimeError) -> ChildProcess {
        let variables = environment.map { "\($0.key)=\($0.value)" }.sorted()
        let result = withCStrings([path] + arguments) { argv in
            withCStrings(variables) { environment in
                swiftlet_spawn(path, argv, environment, -1, output ?? -1, output ?? -1, newSession ? 1 : 0)
            }
        }
        guard result > 0 else {
            throw ContainerRuntimeError(.io, "\(path) cannot be started: \(errorText(-result)).")
        }
        return try ChildProcess(pid: result, isChild: true)
    }

    /// Watches a process that somebody else started, an earlier life of ours for example.
    package static func adopt(pid: Int32) throws(ContainerRuntimeError) -> ChildProcess {
        try ChildProcess(pid: pid, isChild: false)
    }

    /// Sends a signal; a process that has gone already is not an error.
    package func signal(_ number: Int32) {
        _ = swiftlet_pidfd_send_signal(pidfd, number)
    }

    /// Whether the process has ended.
    package var hasEnded: Bool { swiftlet_poll_either(pidfd, -1, 0) == 1 }

    /// Waits for the end and returns the exit status (128 + signal number when a signal ended it; nil when
    /// the process is not our child, whose status only its parent learns). Throws `CancellationError` when
    /// the task is cancelled first; the process then runs on.
    package func waitForEnd() async throws -> Int32? {
        let ended = try await withTaskCancellationHandler {
            try await watcher.runIfActive { [pidfd, wakeup] in
                swiftlet_poll_either(pidfd, wakeup, -1) == 1
            }
        } onCancel: {
            swiftlet_eventfd_set(wakeup)
        }
        guard ended else {
            swiftlet_eventfd_clear(wakeup)
            throw CancellationError()
        }
        guard isChild else { return nil }
        var code: Int32 = 0
        return swiftlet_reap(pid, &code) == 1 ? code : nil
    }
}

/// The text of an errno.
package func errorText(_ number: Int32) -> String {
    String(cString: strerror(number))
}

/// Calls `body` with a null-terminated array of C strings that live as long as the call.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers)
}
