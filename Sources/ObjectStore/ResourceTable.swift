import DequeModule

/// How much of the past the store keeps, per resource. Whatever limit is reached first counts.
public struct HistoryLimits: Sendable {
    /// Upstream compacts etcd every five minutes.
    public var age: Duration = .seconds(300)
    /// How many events a resource has at most.
    public var events: Int = 10_000
    /// Bytes of past states (present ones are held anyway).
    public var bytes: Int = 8 << 20
    /// Kept whatever their size, so that a burst of large objects does not cut every watcher off.
    public var minimumEvents: Int = 32
    /// How often watchers that hear nothing learn how far the store has come.
    public var progressInterval: Duration = .seconds(10)

    /// The limits of a server; each can be changed.
    public init() {}
}

/// The objects of one resource in the order of their keys, and what lately happened to them.
struct ResourceTable {
    struct Namespace {
        let name: String
        var objects: [StoredObject]
    }

    struct Entry {
        let event: StoreEvent
        let at: Duration
        /// What the history alone keeps alive.
        let cost: Int
    }

    private(set) var namespaces: [Namespace] = []
    private(set) var count = 0
    private(set) var history: Deque<Entry> = []
    private(set) var historyBytes = 0
    /// The revision of the newest event that was dropped from the history.
    private(set) var trimmedThrough: Revision = 0
    /// How much was dropped here that the disk still has.
    private var leftovers = (events: 0, bytes: 0)

    // MARK: Present state

    func object(namespace: String, name: String) -> StoredObject? {
        let n = namespaceIndex(namespace)
        guard n < namespaces.count, namespaces[n].name == namespace else { return nil }
        let i = Self.index(of: name, in: namespaces[n].objects)
        guard i < namespaces[n].objects.count, namespaces[n].objects[i].storage.key.name == name else {
            return nil
        }
        return namespaces[n].objects[i]
    }

    mutating func put(_ object: StoredObject) {
        let key = object.key
        let n = namespaceIndex(key.namespace)
        if n == namespaces.count || namespaces[n].name != key.namespace {
            namespaces.insert(Namespace(name: key.namespace, objects: []), at: n)
        }
        let i = Self.index(of: key.name, in: namespaces[n].objects)
        if i < namespaces[n].objects.count, namespaces[n].objects[i].storage.key.name == key.name {
            namespaces[n].objects[i] = object
        } else {
            namespaces[n].objects.insert(object, at: i)
            count += 1
        }
    }

    mutating func remove(namespace: String, name: String) {
        let n = namespaceIndex(namespace)
        guard n < namespaces.count, namespaces[n].name == namespace else { return }
        let i = Self.index(of: name, in: namespaces[n].objects)
        guard i < namespaces[n].objects.count, namespaces[n].objects[i].storage.key.name == name else {
            return
        }
        namespaces[n].objects.remove(at: i)
        count -= 1
        if namespaces[n].objects.isEmpty { namespaces.remove(at: n) }
    }

    /// The objects after `startAfter`, at most `limit`, and how many more there are.
    func page(
        namespace: String?, startAfter: ObjectKey?, limit: Int?
    ) -> (objects: [StoredObject], remaining: Int) {
        var objects: [StoredObject] = []
        var remaining = 0
        if startAfter == nil {
            let total = namespace == nil ? count : 0
            objects.reserveCapacity(Swift.min(limit ?? total, total))
        }
        for part in namespaces {
            if let namespace, part.name != namespace { continue }
            var first = 0
            if let startAfter {
                if part.name == startAfter.namespace {
                    first = Self.index(of: startAfter.name, in: part.objects)
                    if first < part.objects.count, part.objects[first].storage.key.name == startAfter.name {
                        first += 1
                    }
                } else if ObjectKey.namespace(part.name, precedes: startAfter.namespace) {
                    continue
                }
            }
            let room = limit.map { $0 - objects.count } ?? Int.max
            let taken = Swift.max(0, Swift.min(room, part.objects.count - first))
            objects.append(contentsOf: part.objects[first..<first + taken])
            remaining += part.objects.count - first - taken
        }
        return (objects, remaining)
    }

    private func namespaceIndex(_ name: String) -> Int {
        var low = 0
        var high = namespaces.count
        while low < high {
            let middle = (low + high) / 2
            if ObjectKey.namespace(namespaces[middle].name, precedes: name) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// Where `name` is or would be. New objects often come in order, so the end is tried first.
    private static func index(of name: String, in objects: [StoredObject]) -> Int {
        guard let last = objects.last else { return 0 }
        if last.storage.key.name < name { return objects.count }
        var low = 0
        var high = objects.count
        while low < high {
            let middle = (low + high) / 2
            if objects[middle].storage.key.name < name {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    // MARK: History

    mutating func apply(_ event: StoreEvent, at now: Duration) {
        switch event.kind {
        case .added, .modified: put(event.object)
        case .deleted: remove(namespace: event.key.namespace, name: event.key.name)
        }
        remember(event, at: now)
    }

    mutating func trim(to limits: HistoryLimits, at now: Duration) {
        while let oldest = history.first {
            let tooMany = history.count > limits.events
            let tooOld = now - oldest.at > limits.age
            let tooLarge = historyBytes > limits.bytes && history.count > limits.minimumEvents
            guard tooMany || tooOld || tooLarge else { break }
            dropOldest()
        }
    }

    mutating func compact(before revision: Revision) {
        while let oldest = history.first, oldest.event.revision < revision { dropOldest() }
    }

    private mutating func dropOldest() {
        guard let entry = history.popFirst() else { return }
        historyBytes -= entry.cost
        trimmedThrough = entry.event.revision
        leftovers = (leftovers.events + 1, leftovers.bytes + entry.cost)
    }

    /// Whether what was dropped is so much that the disk should forget it too.
    var hasManyLeftovers: Bool { leftovers.events >= 512 || leftovers.bytes >= 2 << 20 }

    /// The disk forgot what was dropped.
    mutating func forgotLeftovers() { leftovers = (0, 0) }

    /// Enters what happened before the store was opened.
    mutating func restore(_ event: StoreEvent, at time: Duration) { remember(event, at: time) }

    /// Nothing is known of what happened up to and including `revision`.
    mutating func restoreFloor(_ revision: Revision) { trimmedThrough = revision }

    private mutating func remember(_ event: StoreEvent, at time: Duration) {
        var cost = event.previous?.storage.bytes.count ?? 0
        if event.kind == .deleted { cost += event.object.storage.bytes.count }
        history.append(Entry(event: event, at: time, cost: cost))
        historyBytes += cost
    }

    /// The index of the first event after `revision`.
    func historyIndex(after revision: Revision) -> Int {
        var low = 0
        var high = history.count
        while low < high {
            let middle = (low + high) / 2
            if history[middle].event.revision <= revision {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// The table as it stood at `revision`, which must not be older than the history: everything that
    /// happened since is undone, newest first.
    func asOf(_ revision: Revision) -> ResourceTable {
        var past = self
        for entry in history[historyIndex(after: revision)...].reversed() {
            if let previous = entry.event.previous {
                past.put(previous)
            } else {
                past.remove(namespace: entry.event.key.namespace, name: entry.event.key.name)
            }
        }
        past.history = []
        return past
    }
}
