import Synchronization

/// Bytes as they arrive, in chunks of no particular size. To be read once, by one task.
public struct ByteStream: AsyncSequence, Sendable {
    public typealias Element = [UInt8]
    public typealias Failure = any Error

    fileprivate enum Source: Sendable {
        case bytes([UInt8])
        case pipe(BytePipe, Lease?)
        case pull(@Sendable () async throws -> [UInt8]?)
    }

    private let source: Source

    /// Bytes that are at hand.
    public init(_ bytes: [UInt8] = []) {
        source = .bytes(bytes)
    }

    /// Bytes that `pull` brings, one chunk a call, until it returns nil.
    public init(pulling pull: @escaping @Sendable () async throws -> [UInt8]?) {
        source = .pull(pull)
    }

    /// The reading end of a pipe. With `abandonsWhenDropped`, dropping the last copy of the stream abandons the
    /// pipe.
    package init(_ pipe: BytePipe, abandonsWhenDropped: Bool = false) {
        source = .pipe(pipe, abandonsWhenDropped ? Lease(pipe) : nil)
    }

    /// The same stream, which keeps `owner` alive until it is dropped itself.
    func keeping(_ owner: any AnyObject & Sendable) -> ByteStream {
        guard case .pipe(_, let lease?) = source else { return self }
        lease.keep(owner)
        return self
    }

    /// A stream and its writing end. Writing waits while the reader is behind; it throws once the stream was
    /// dropped.
    public static func makePipe() -> (stream: ByteStream, writer: ByteStreamWriter) {
        let pipe = BytePipe()
        return (ByteStream(pipe, abandonsWhenDropped: true), ByteStreamWriter(pipe: pipe))
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(source: source)
    }

    /// Reads the chunks of one stream.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var source: Source
        private var isAtEnd = false

        fileprivate init(source: Source) {
            self.source = source
        }

        public mutating func next() async throws -> [UInt8]? {
            guard !isAtEnd else { return nil }
            switch source {
            case .bytes(let bytes):
                isAtEnd = true
                return bytes.isEmpty ? nil : bytes
            case .pipe(let pipe, _):
                return try await pipe.next()
            case .pull(let pull):
                let bytes = try await pull()
                isAtEnd = bytes == nil
                return bytes
            }
        }
    }

    /// Gives up reading: the writer is told at its next write.
    func abandon(_ error: HTTPError) {
        if case .pipe(let pipe, _) = source { pipe.abandon(error) }
    }

    /// Reads to the end.
    /// - Throws: `HTTPError` with `bodyTooLarge` if there are more than `limit` bytes, and what reading throws.
    public func collect(upTo limit: Int) async throws -> [UInt8] {
        var all: [UInt8] = []
        for try await chunk in self {
            guard chunk.count <= limit - all.count else { throw HTTPError.tooLarge(limit) }
            if all.isEmpty { all = chunk } else { all += chunk }
        }
        return all
    }
}

/// The writing end of a `ByteStream`.
public struct ByteStreamWriter: ResponseWriter {
    fileprivate let pipe: BytePipe

    public func write(_ bytes: [UInt8]) async throws {
        try await pipe.write(bytes)
    }

    /// Ends the stream, for its reader with `error` if there is one.
    public func finish(throwing error: (any Error)? = nil) {
        pipe.finish(throwing: error)
    }

    /// Calls `action` once if the reader drops the stream or is cancelled before the end.
    public func onAbandon(_ action: @escaping @Sendable () -> Void) {
        pipe.onAbandon(action)
    }
}

/// Abandons a pipe when the last holder lets go of it.
private final class Lease: Sendable {
    private let pipe: BytePipe
    private let owner = Mutex<(any AnyObject & Sendable)?>(nil)

    init(_ pipe: BytePipe) {
        self.pipe = pipe
    }

    func keep(_ owner: any AnyObject & Sendable) {
        self.owner.withLock { $0 = owner }
    }

    deinit {
        pipe.abandon(HTTPError(.closed, "nobody reads this stream any more"))
    }
}
