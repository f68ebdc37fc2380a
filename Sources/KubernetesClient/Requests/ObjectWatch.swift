import HTTPService
public import KubernetesAPI
import KubernetesJSON

/// The events of a watch as they arrive. To be read once, by one task; cancelling that task, or dropping the
/// watch, ends it on the server too.
public struct ObjectWatch<Object: KubernetesObject>: AsyncSequence, Sendable {
    public typealias Element = ObjectEvent<Object>
    public typealias Failure = any Error

    let body: ByteStream

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(chunks: body.makeAsyncIterator())
    }

    /// Reads the events of a watch.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private var chunks: ByteStream.AsyncIterator
        private var lines = LineSplitter()
        private var pending: ArraySlice<[UInt8]> = []
        private var isAtEnd = false

        init(chunks: ByteStream.AsyncIterator) { self.chunks = chunks }

        /// - Throws: what the connection throws, and `JSONError` when something else than events comes.
        public mutating func next() async throws -> ObjectEvent<Object>? {
            while true {
                while let line = pending.popFirst() {
                    if let event = try ObjectEvent<Object>.decode(line) { return event }
                }
                if isAtEnd { return nil }
                if let chunk = try await chunks.next() {
                    pending = try lines.append(chunk)[...]
                } else {
                    isAtEnd = true
                    pending = lines.finish().map { [$0] } ?? []
                }
            }
        }
    }
}
