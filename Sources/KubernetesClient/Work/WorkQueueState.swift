import DequeModule
import HeapModule

/// Which keys wait to be worked on, as a value. Time is a `Duration` since some beginning.
///
/// A key is in the queue once however often it is added, and is not handed out while somebody works on it:
/// if it is added meanwhile, it comes again when that work is done.
package struct WorkQueueState<Key: Hashable & Sendable>: Sendable {
    private var queue: Deque<Key> = []
    /// Keys that must be worked on: those in the queue, and those added while being worked on.
    private var dirty: Set<Key> = []
    /// Since when each of those in the queue waits.
    private var waiting: [Key: Duration] = [:]
    /// Since when each of those handed out is being worked on.
    package private(set) var processing: [Key: Duration] = [:]
    /// When each of those is due that wait for their time.
    private var delayed: [Key: Duration] = [:]
    /// The same by time. What is not in `delayed` with that time any more is passed over.
    private var deadlines = Heap<Deadline>()
    private var failures: [Key: Int] = [:]
    package private(set) var isShutDown = false
    /// How many keys were added, those not counted that were in the queue already.
    package private(set) var added = 0
    /// How many keys came again because they had failed.
    package private(set) var retried = 0
    /// How long the key taken last had waited, and how long the work took that was done last.
    package private(set) var lastWait = Duration.zero
    package private(set) var lastWork = Duration.zero

    /// The first pause of a key that failed, and the longest.
    private let initialPause: Duration
    private let maximumPause: Duration

    private struct Deadline: Comparable {
        var time: Duration
        var key: Key

        static func < (a: Deadline, b: Deadline) -> Bool { a.time < b.time }
        static func == (a: Deadline, b: Deadline) -> Bool { a.time == b.time }
    }

    package init(initialPause: Duration, maximumPause: Duration) {
        self.initialPause = initialPause
        self.maximumPause = maximumPause
    }

    /// How many keys can be taken at once.
    package var count: Int { queue.count }

    /// Whether there is nothing to be done, now or later, and nobody at work.
    package var isIdle: Bool { dirty.isEmpty && processing.isEmpty && delayed.isEmpty }

    package mutating func add(_ key: Key, now: Duration = .zero) {
        guard !isShutDown, dirty.insert(key).inserted else { return }
        added += 1
        waiting[key] = now
        if processing[key] == nil { queue.append(key) }
    }

    /// Adds the key at a later time; the earliest time given for a key counts.
    package mutating func add(_ key: Key, at time: Duration, now: Duration) {
        guard !isShutDown else { return }
        if time <= now {
            add(key, now: now)
        } else if delayed[key].map({ time < $0 }) ?? true {
            delayed[key] = time
            deadlines.insert(Deadline(time: time, key: key))
        }
    }

    /// Adds a key that failed, after a pause that doubles with every failure since it was forgotten.
    package mutating func addRateLimited(_ key: Key, now: Duration) {
        retried += 1
        let count = failures[key, default: 0]
        failures[key] = count + 1
        let pause = Backoff.pause(initial: initialPause, maximum: maximumPause, failures: count)
        add(key, at: now + pause, now: now)
    }

    package func failureCount(_ key: Key) -> Int { failures[key] ?? 0 }

    package mutating func forget(_ key: Key) { failures[key] = nil }

    /// When the next delayed key is due.
    package var nextDeadline: Duration? {
        mutating get {
            while let next = deadlines.min, delayed[next.key] != next.time { deadlines.removeMin() }
            return deadlines.min?.time
        }
    }

    /// Adds the delayed keys that are due.
    package mutating func release(now: Duration) {
        while let deadline = nextDeadline, deadline <= now {
            let key = deadlines.removeMin().key
            delayed[key] = nil
            add(key, now: now)
        }
    }

    package mutating func take(now: Duration = .zero) -> Key? {
        guard let key = queue.popFirst() else { return nil }
        dirty.remove(key)
        lastWait = now - (waiting.removeValue(forKey: key) ?? now)
        processing[key] = now
        return key
    }

    package mutating func done(_ key: Key, now: Duration = .zero) {
        guard let start = processing.removeValue(forKey: key) else { return }
        lastWork = now - start
        if dirty.contains(key) { queue.append(key) }
    }

    /// Takes no more keys. Those in the queue can still be taken; delayed ones are dropped.
    package mutating func shutDown() {
        isShutDown = true
        delayed = [:]
        deadlines = []
    }
}
