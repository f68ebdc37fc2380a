/// What a watcher is told.
public enum WatchElement: Sendable {
    case event(StoreEvent)
    /// The store has come to this revision and had nothing for the watcher since its last event.
    case progress(Revision)

    /// The revision of the event, or the one that the store has come to.
    public var revision: Revision {
        switch self {
        case .event(let event): event.revision
        case .progress(let revision): revision
        }
    }
}

/// The events of a resource, from a revision on.
///
/// A stream has no buffer to fill: it is a position in the history that all watchers share. It ends with
/// `compacted` when its consumer is so slow that the history no longer reaches back to its position, and
/// with nil when the store is closed or the consuming task is cancelled. Writers never wait for it.
public struct WatchStream: AsyncSequence, Sendable {
    public typealias Element = WatchElement
    public typealias Failure = StoreError

    let store: ObjectStore
    /// Who reads it: a stream is read once.
    let id: WatcherID
    let resource: String
    let namespace: String?
    let after: Revision

    public func makeAsyncIterator() -> Iterator { Iterator(stream: self) }

    /// Sends the reader a mark of progress, if it has read everything and waits.
    public func announceProgress() { store.announceProgress(to: id, resource: resource) }

    /// A position in the stream.
    public struct Iterator: AsyncIteratorProtocol {
        private let stream: WatchStream
        private let id: WatcherID
        private var cursor: Revision
        private var buffer: [WatchElement] = []
        private var position = 0

        init(stream: WatchStream) {
            self.stream = stream
            id = stream.id
            cursor = stream.after
        }

        public mutating func next() async throws(StoreError) -> WatchElement? {
            try await next(isolation: nil)
        }

        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(StoreError) -> WatchElement? {
            if position == buffer.count {
                position = 0
                buffer = try await read(limit: 64, isolation: actor)
                if buffer.isEmpty { return nil }
            }
            position += 1
            return buffer[position - 1]
        }

        /// All that is there, up to `limit` elements; waits until there is something. Nil at the end.
        /// For those who flush once for many events.
        public mutating func nextBatch(
            limit: Int = 256, isolation actor: isolated (any Actor)? = #isolation
        ) async throws(StoreError) -> [WatchElement]? {
            if position < buffer.count {
                defer {
                    buffer = []
                    position = 0
                }
                return Array(buffer[position...])
            }
            let batch = try await read(limit: limit, isolation: actor)
            return batch.isEmpty ? nil : batch
        }

        private mutating func read(
            limit: Int, isolation actor: isolated (any Actor)?
        ) async throws(StoreError) -> [WatchElement] {
            while true {
                let wake = await stream.store.wait(
                    for: Interest(resource: stream.resource, namespace: stream.namespace),
                    as: id, after: cursor, limit: limit, isolation: actor)
                switch wake {
                case .read(let reading):
                    cursor = reading.cursor
                    if !reading.events.isEmpty { return reading.events.map { .event($0) } }
                case .ready(let after):
                    cursor = after
                case .progress(let revision):
                    cursor = revision
                    return [.progress(revision)]
                case .failed(let error):
                    throw error
                case .ended:
                    return []
                }
            }
        }
    }
}

typealias WatcherID = UInt64

/// What a watcher wants to hear of.
struct Interest: Sendable, Hashable {
    let resource: String
    let namespace: String?
}

/// How a watcher's wait ends.
enum Wake: Sendable {
    /// There were events at once.
    case read(StoreState.Reading)
    /// There are events now, the first of them right after this revision.
    case ready(after: Revision)
    case progress(Revision)
    case failed(StoreError)
    case ended
}

/// The watchers that have read everything and wait. One that waits is up to date by definition, whatever
/// is trimmed from the history meanwhile. `Waiter` is how to wake one up; to this value it is opaque.
struct IdleWatchers<Waiter> {
    private struct Idle {
        let interest: Interest
        let waiter: Waiter
    }

    private var byResource: [String: [WatcherID: Idle]] = [:]

    var count: Int { byResource.values.reduce(0) { $0 + $1.count } }

    mutating func add(_ id: WatcherID, _ interest: Interest, _ waiter: Waiter) {
        byResource[interest.resource, default: [:]][id] = Idle(interest: interest, waiter: waiter)
    }

    mutating func remove(_ id: WatcherID, resource: String) -> Waiter? {
        let waiter = byResource[resource]?.removeValue(forKey: id)?.waiter
        if byResource[resource]?.isEmpty == true { byResource[resource] = nil }
        return waiter
    }

    /// Those whom these events concern, each with the revision from which it reads on.
    mutating func remove(concernedBy events: [StoreEvent]) -> [(waiter: Waiter, after: Revision)] {
        guard !byResource.isEmpty else { return [] }
        var woken: [(waiter: Waiter, after: Revision)] = []
        for event in events {
            let key = event.key
            guard let idle = byResource[key.resource] else { continue }
            for (id, watcher) in idle {
                if let namespace = watcher.interest.namespace, namespace != key.namespace { continue }
                woken.append((watcher.waiter, event.revision - 1))
                byResource[key.resource]?[id] = nil
            }
            if byResource[key.resource]?.isEmpty == true { byResource[key.resource] = nil }
        }
        return woken
    }

    mutating func removeAll() -> [Waiter] {
        defer { byResource = [:] }
        return byResource.values.flatMap { $0.values.map(\.waiter) }
    }
}
