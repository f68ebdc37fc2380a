import KubernetesAPI

/// Turns a flood of similar events into few writes, by upstream's rules (client-go's event correlator): an
/// event that was seen before only counts up; from the tenth on, events within ten minutes that differ in their
/// message alone are told as one; and an object about which events never end is cut to one in five minutes.
///
/// A value. Times are in seconds since the epoch.
package struct EventCorrelator: Sendable {
    package enum Decision: Sendable, Hashable {
        /// Write a new event.
        case create(Event)
        /// Set count, message and last time of the event written before.
        case repeated(Event)
        /// Write nothing.
        case drop
    }

    /// What is similar: everything but the message.
    struct Kind: Hashable, Sendable {
        let source: EventSource
        let object: ObjectReference
        let type: String
        let reason: String
    }

    private struct Seen: Sendable {
        var event: Event
        var lastUsed: UInt64
    }

    private struct Similar: Sendable {
        var messages: Set<String> = []
        var lastTime: Int = 0
        var lastUsed: UInt64 = 0
    }

    private struct Spam: Hashable, Sendable {
        let source: EventSource
        let object: ObjectReference
    }

    private struct Budget: Sendable {
        var tokens: Double
        var lastTime: Int
        var lastUsed: UInt64
    }

    private struct Exact: Hashable, Sendable {
        let kind: Kind
        let message: String
    }

    /// Upstream's defaults.
    private static let capacity = 4096
    private static let similarLimit = 10
    private static let similarInterval = 600
    private static let burst = 25.0
    private static let refill = 1.0 / 300

    private var seen: [Exact: Seen] = [:]
    private var similar: [Kind: Similar] = [:]
    private var budgets: [Spam: Budget] = [:]
    private var uses: UInt64 = 0

    package init() {}

    /// Decides about an event whose `firstTimestamp` is now.
    package mutating func correlate(_ event: Event) -> Decision {
        uses += 1
        let now = event.lastTimestamp?.seconds ?? 0
        var event = event
        // An object stays the same however often it changes (upstream's keys leave its revision out, too).
        var object = event.involvedObject
        object.resourceVersion = ""
        let kind = Kind(source: event.source, object: object, type: event.type, reason: event.reason)
        var key = Exact(kind: kind, message: event.message)
        if isOneOfMany(kind, event.message, now) {
            event.message = "(combined from similar events): " + event.message
            // All of them count up the same event, whatever they say.
            key = Exact(kind: kind, message: "")
        }

        // Counted even when it is not written: the next one that is has the right count.
        let isAllowed = spend(Spam(source: event.source, object: object), now)
        if var known = seen[key] {
            event.metadata = known.event.metadata
            event.firstTimestamp = known.event.firstTimestamp
            event.count = known.event.count + 1
            known.event = event
            known.lastUsed = uses
            seen[key] = known
            return isAllowed ? .repeated(event) : .drop
        }
        event.count = 1
        seen[key] = Seen(event: event, lastUsed: uses)
        Self.evict(&seen, by: \.lastUsed)
        return isAllowed ? .create(event) : .drop
    }

    private mutating func spend(_ key: Spam, _ now: Int) -> Bool {
        var budget = budgets[key] ?? Budget(tokens: Self.burst, lastTime: now, lastUsed: uses)
        budget.tokens = min(
            Self.burst, budget.tokens + Double(max(0, now - budget.lastTime)) * Self.refill)
        budget.lastTime = now
        budget.lastUsed = uses
        let isAllowed = budget.tokens >= 1
        if isAllowed { budget.tokens -= 1 }
        budgets[key] = budget
        Self.evict(&budgets, by: \.lastUsed)
        return isAllowed
    }

    private mutating func isOneOfMany(_ kind: Kind, _ message: String, _ now: Int) -> Bool {
        var record = similar[kind] ?? Similar()
        if now - record.lastTime > Self.similarInterval { record.messages = [] }
        record.lastTime = now
        record.lastUsed = uses
        let isOneOfMany = !record.messages.contains(message) && record.messages.count >= Self.similarLimit - 1
        if !isOneOfMany { record.messages.insert(message) }
        similar[kind] = record
        Self.evict(&similar, by: \.lastUsed)
        return isOneOfMany
    }

    /// Forgets the least recently used eighth once there are too many.
    private static func evict<Key, Value>(
        _ entries: inout [Key: Value], by lastUsed: KeyPath<Value, UInt64>
    ) {
        guard entries.count > capacity else { return }
        let uses = entries.values.map { $0[keyPath: lastUsed] }.sorted()
        let limit = uses[capacity / 8]
        entries = entries.filter { $0.value[keyPath: lastUsed] > limit }
    }
}
