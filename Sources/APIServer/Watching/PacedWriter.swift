import HTTPService
import Synchronization

/// A client that takes nothing, and so holds what was written for it.
package struct StalledClientError: Error, CustomStringConvertible {
    let patience: Duration

    package var description: String { "the client took nothing for \(patience)" }
}

/// Writes to a client, and notices when it takes nothing any more.
package final class PacedWriter: ResponseWriter {
    /// For how long a client may take nothing of what is written for it.
    package static let patience = Duration.seconds(30)

    private let writer: any ResponseWriter
    /// Counts up when a write begins and when it ends: odd while one is under way.
    private let steps = Atomic<UInt64>(0)

    package init(writer: any ResponseWriter) { self.writer = writer }

    package func write(_ bytes: [UInt8]) async throws {
        steps.wrappingAdd(1, ordering: .relaxed)
        defer { steps.wrappingAdd(1, ordering: .relaxed) }
        try await writer.write(bytes)
    }

    /// Returns when the time is over, or when cancelled.
    ///
    /// - Throws: ``StalledClientError`` when one write takes longer than the patience, or up to twice that.
    package func watchOver(for time: Duration, _ clock: any Clock<Duration>) async throws {
        var remaining = time
        var before: UInt64 = 0
        while remaining > .zero {
            let pause = min(remaining, Self.patience)
            do {
                try await clock.sleep(for: pause)
            } catch {
                return
            }
            remaining -= pause
            let now = steps.load(ordering: .relaxed)
            if !now.isMultiple(of: 2), now == before { throw StalledClientError(patience: Self.patience) }
            before = now
        }
    }
}
