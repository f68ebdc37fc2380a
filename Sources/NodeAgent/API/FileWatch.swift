import CLinux
import ContainerRuntime
import Glibc
import NIOCore
import NIOPosix

/// Waits for a file or folder to change, over inotify, on a thread of its own.
package final class FileWatch: Sendable {
    private let descriptor: Int32
    private let wakeup: Int32
    private let thread = NIOThreadPool(numberOfThreads: 1)

    package init(_ path: String) throws(ContainerRuntimeError) {
        let watch = swiftlet_watch_path(path)
        guard watch >= 0 else {
            throw ContainerRuntimeError(.io, "\(path) cannot be watched: \(errorText(-watch)).")
        }
        descriptor = watch
        wakeup = swiftlet_eventfd()
        thread.start()
    }

    deinit {
        let pool = thread
        pool.shutdownGracefully { _ in }
        close(descriptor)
        close(wakeup)
    }

    /// Returns once something has changed since the last return, or `poke()` was called. Throws
    /// `CancellationError` when the task is cancelled.
    package func wait() async throws {
        try await withTaskCancellationHandler {
            try await thread.runIfActive { [descriptor, wakeup] in
                _ = swiftlet_poll_either(descriptor, wakeup, -1)
                swiftlet_watch_clear(descriptor)
                swiftlet_eventfd_clear(wakeup)
            }
        } onCancel: {
            poke()
        }
        try Task.checkCancellation()
    }

    /// Lets a wait return.
    package func poke() { swiftlet_eventfd_set(wakeup) }
}
