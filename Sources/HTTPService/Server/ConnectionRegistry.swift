import NIOCore
import Synchronization

/// What of a server is alive: its connections and the exchanges on them, so that they can be told to come to an
/// end, and waited for.
final class ConnectionRegistry: Sendable {
    struct Entry: Sendable {
        /// Connections are waited for; streams of HTTP/2 live inside of one.
        let isConnection: Bool
        /// Asks for a graceful end. May be called from any thread.
        let drain: @Sendable () -> Void
        /// Ends at once. May be called from any thread.
        let close: @Sendable () -> Void
    }

    private struct Shared {
        var entries: [UInt64: Entry] = [:]
        var connections = 0
        var lastNumber: UInt64 = 0
        var isDraining = false
        var emptied: EventLoopPromise<Void>?
    }

    private let shared = Mutex(Shared())

    /// Enters something alive; if the server is already shutting down it is asked to end right away.
    func add(_ entry: Entry) -> UInt64 {
        let (number, isDraining) = shared.withLock { shared in
            shared.lastNumber += 1
            shared.entries[shared.lastNumber] = entry
            if entry.isConnection { shared.connections += 1 }
            return (shared.lastNumber, shared.isDraining)
        }
        if isDraining { entry.drain() }
        return number
    }

    /// Strikes out something that ended.
    func remove(_ number: UInt64) {
        let emptied = shared.withLock { shared -> EventLoopPromise<Void>? in
            guard let entry = shared.entries.removeValue(forKey: number), entry.isConnection else {
                return nil
            }
            shared.connections -= 1
            guard shared.connections == 0 else { return nil }
            defer { shared.emptied = nil }
            return shared.emptied
        }
        emptied?.succeed()
    }

    /// How many connections are open.
    var connectionCount: Int { shared.withLock { $0.connections } }

    /// Asks everything to end, and what does not within `timeout` is ended.
    func drain(within timeout: TimeAmount, on eventLoop: any EventLoop) async {
        let promise = eventLoop.makePromise(of: Void.self)
        let entries = shared.withLock { shared -> [Entry] in
            shared.isDraining = true
            if shared.connections == 0 { promise.succeed() } else { shared.emptied = promise }
            return Array(shared.entries.values)
        }
        for entry in entries { entry.drain() }
        let deadline = eventLoop.scheduleTask(in: timeout) { self.closeAll() }
        // Closing cannot fail, and a promise that only succeeds has no error to throw.
        try? await promise.futureResult.get()
        deadline.cancel()
    }

    private func closeAll() {
        let entries = shared.withLock { Array($0.entries.values) }
        for entry in entries { entry.close() }
    }
}
