import Logging
import Synchronization

/// Takes audit lines without keeping requests waiting, and writes them in the order in which they came.
///
/// There is a bound to what waits: when the disk is so slow that it is reached, further events are left out, and
/// the server's own log says how many.
package final class AuditLog: Sendable {
    /// How many lines may wait.
    static let capacity = 10_000

    private struct Queue {
        var lines: [[UInt8]] = []
        var dropped = 0
    }

    private let queue = Mutex(Queue())
    private let wake: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation
    private let logger: Logger

    package init(logger: Logger) {
        self.logger = logger
        (wake, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Hands a line over; it has no line feed.
    package func write(_ line: [UInt8]) {
        queue.withLock { queue in
            guard queue.lines.count < Self.capacity else {
                queue.dropped += 1
                return
            }
            queue.lines.append(line)
        }
        signal.yield()
    }

    /// Writes what comes until cancelled, and what is left then.
    package func run(into sink: some AuditSink) async {
        var sink = sink
        for await _ in wake { drain(into: &sink) }
        drain(into: &sink)
    }

    private func drain(into sink: inout some AuditSink) {
        let (lines, dropped) = queue.withLock { queue in
            defer { queue = Queue() }
            return (queue.lines, queue.dropped)
        }
        if dropped > 0 {
            logger.error(
                "audit events were left out: the audit log is too slow", metadata: ["events": "\(dropped)"])
        }
        guard !lines.isEmpty else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(lines.reduce(lines.count) { $0 + $1.count })
        for line in lines {
            bytes += line
            bytes.append(UInt8(ascii: "\n"))
        }
        do throws(APIServerError) {
            try sink.write(bytes)
        } catch {
            logger.error(
                "audit events are lost", metadata: ["events": "\(lines.count)", "error": "\(error)"])
        }
    }
}
