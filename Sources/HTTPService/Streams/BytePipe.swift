import NIOCore
import Synchronization

/// What is in a pipe, and what its two ends may do now. Decides only; `BytePipe` acts.
package struct PipeState {
    /// How a pipe ended.
    package enum End: Sendable {
        case finished
        case failed(any Error)
    }

    private var chunks = CircularBuffer<[UInt8]>()
    /// Bytes written and not yet taken.
    package private(set) var buffered = 0
    /// Set once nothing more will be written, or nobody reads any more.
    package private(set) var end: End?
    /// Whether the writing side was told to wait.
    package private(set) var isHeld = false

    private let high: Int
    private let low: Int

    /// A pipe that asks its writer to wait at `high` buffered bytes and to go on at `low`.
    package init(high: Int, low: Int) {
        self.high = high
        self.low = low
    }

    /// Puts bytes in; whatever comes after the end is dropped.
    /// - Returns: whether the writer may go on.
    package mutating func push(_ bytes: [UInt8]) -> Bool {
        guard end == nil else { return true }
        if !bytes.isEmpty {
            chunks.append(bytes)
            buffered += bytes.count
        }
        // Once told to wait, the writer waits for its release, however little is left by now.
        if buffered >= high { isHeld = true }
        return !isHeld
    }

    /// What the reading side finds.
    package enum Taken {
        /// Bytes; and whether a held writer may go on.
        case bytes([UInt8], release: Bool)
        /// Everything was read.
        case end
        /// The failure that ended the pipe.
        case failure(any Error)
        /// Nothing yet.
        case nothing
    }

    /// Takes the next chunk.
    package mutating func take() -> Taken {
        if let bytes = chunks.popFirst() {
            buffered -= bytes.count
            let release = isHeld && buffered <= low
            if release { isHeld = false }
            return .bytes(bytes, release: release)
        }
        return switch end {
        case nil: .nothing
        case .finished: .end
        case .failed(let error): .failure(error)
        }
    }

    /// Ends the pipe; what was written before can still be read.
    package mutating func finish(_ how: End) {
        guard end == nil else { return }
        end = how
    }

    /// Ends the pipe from the reading side: what is in it is thrown away.
    /// - Returns: whether the pipe was still open for writing.
    package mutating func abandon(_ error: any Error) -> Bool {
        chunks.removeAll()
        buffered = 0
        let wasOpen = end == nil
        end = .failed(error)
        return wasOpen
    }
}

/// A pipe of bytes between two parts of the program: written from a task or from an event loop, read from a task
/// or from an event loop. One writer, one reader.
///
/// Shared between tasks and event loops, hence a class around a lock; no code of others runs inside the lock.
package final class BytePipe: Sendable {
    private struct Shared {
        var state: PipeState
        var reader: CheckedContinuation<Void, Never>?
        var writer: CheckedContinuation<Void, Never>?
        var writerNumber: UInt64 = 0
        var onRelease: (@Sendable () -> Void)?
        var onBytes: (@Sendable () -> Void)?
        var onAbandon: (@Sendable () -> Void)?
        var isAnnounced = false
    }

    private let shared: Mutex<Shared>

    /// A pipe that holds its writer back at `high` bytes and lets it go on at `low`.
    package init(high: Int = 256 * 1024, low: Int = 64 * 1024) {
        shared = Mutex(Shared(state: PipeState(high: high, low: low)))
    }

    // MARK: Wiring an event loop to one end

    /// Calls `action` whenever a writer that was told to wait may go on.
    package func onRelease(_ action: @escaping @Sendable () -> Void) {
        shared.withLock { $0.onRelease = action }
    }

    /// Calls `action` when there is something to `drain()` after there was nothing.
    package func onBytes(_ action: @escaping @Sendable () -> Void) {
        shared.withLock { $0.onBytes = action }
    }

    /// Calls `action` once when the reader gives up before the end.
    package func onAbandon(_ action: @escaping @Sendable () -> Void) {
        shared.withLock { $0.onAbandon = action }
    }

    // MARK: Writing

    /// Puts bytes in without waiting.
    /// - Returns: whether the writer may go on; if not, `onRelease` tells when.
    @discardableResult
    package func push(_ bytes: [UInt8]) -> Bool {
        let (mayGoOn, wake) = shared.withLock { shared in
            let mayGoOn = shared.state.push(bytes)
            return (mayGoOn, Self.wakeReader(&shared))
        }
        wake()
        return mayGoOn
    }

    /// Puts bytes in and waits while there are too many.
    /// - Throws: the error with which the reader gave up, `CancellationError`.
    package func write(_ bytes: [UInt8]) async throws {
        try Task.checkCancellation()
        if let end = shared.withLock({ $0.state.end }) {
            if case .failed(let error) = end { throw error }
            throw HTTPError(.closed, "bytes were written to a stream that was already finished")
        }
        if push(bytes) { return }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goOn = shared.withLock { shared in
                    if !shared.state.isHeld || shared.state.end != nil || Task.isCancelled { return true }
                    shared.writer = continuation
                    return false
                }
                if goOn { continuation.resume() }
            }
        } onCancel: {
            shared.withLock { shared in take(&shared.writer) }?.resume()
        }
        try Task.checkCancellation()
        if case .failed(let error) = shared.withLock({ $0.state.end }) { throw error }
    }

    /// Says that nothing more will be written.
    package func finish(throwing error: (any Error)? = nil) {
        let wake = shared.withLock { shared in
            shared.state.finish(error.map(PipeState.End.failed) ?? .finished)
            let wakeReader = Self.wakeReader(&shared)
            let writer = take(&shared.writer)
            return { @Sendable in
                wakeReader()
                writer?.resume()
            }
        }
        wake()
    }

    // MARK: Reading

    /// The next bytes, waiting for them; nil at the end. Cancelling the task abandons the pipe.
    package func next() async throws -> [UInt8]? {
        while true {
            switch takeNow() {
            case .bytes(let bytes, _): return bytes
            case .end: return nil
            case .failure(let error): throw Task.isCancelled ? CancellationError() : error
            case .nothing: break
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let goOn = shared.withLock { shared in
                        if shared.state.buffered > 0 || shared.state.end != nil { return true }
                        shared.reader = continuation
                        return false
                    }
                    if goOn { continuation.resume() }
                }
            } onCancel: {
                // The reader learns that it was cancelled; to the writer, which was not, it left.
                abandon(HTTPError(.closed, "the reader of the stream was cancelled"))
            }
        }
    }

    /// The next bytes, if there are any now.
    package func takeNow() -> PipeState.Taken {
        let (taken, wake) = shared.withLock { shared -> (PipeState.Taken, (@Sendable () -> Void)?) in
            let taken = shared.state.take()
            if case .nothing = taken { shared.isAnnounced = false }
            guard case .bytes(_, release: true) = taken else { return (taken, nil) }
            let writer = take(&shared.writer)
            let onRelease = shared.onRelease
            return (
                taken,
                {
                    writer?.resume()
                    onRelease?()
                }
            )
        }
        wake?()
        return taken
    }

    /// Takes the chunks there are now, up to a size, so that small writes travel together.
    /// - Returns: what came last: bytes if there may be more.
    func takeAll(upTo size: Int, into buffer: inout ByteBuffer) -> PipeState.Taken {
        while true {
            let taken = takeNow()
            guard case .bytes(let bytes, _) = taken else { return taken }
            buffer.writeBytes(bytes)
            if buffer.readableBytes >= size { return taken }
        }
    }

    /// Gives up reading: the writer's next write throws `error`, and `onAbandon` is called.
    package func abandon(_ error: any Error) {
        let wake = shared.withLock { shared in
            let wasOpen = shared.state.abandon(error)
            let reader = take(&shared.reader)
            let writer = take(&shared.writer)
            let onAbandon = take(&shared.onAbandon)
            return { @Sendable in
                reader?.resume()
                writer?.resume()
                if wasOpen { onAbandon?() }
            }
        }
        wake()
    }

    private static func wakeReader(_ shared: inout Shared) -> @Sendable () -> Void {
        if let reader = take(&shared.reader) { return { reader.resume() } }
        guard let onBytes = shared.onBytes, !shared.isAnnounced else { return {} }
        shared.isAnnounced = true
        return onBytes
    }
}

/// The value, leaving nil behind.
private func take<Value>(_ value: inout Value?) -> Value? {
    defer { value = nil }
    return value
}
