import Synchronization

/// Answers of other servers, kept as long as they allow.
package struct AnswerCache: Sendable {
    /// The most answers kept; the oldest make room.
    private let capacity: Int
    /// Seconds that an answer is kept at most, whatever it says.
    private let longest: UInt32
    private var entries: [Question: Entry] = [:]
    /// Questions in the order in which they came in, from `first` on.
    private var order: [Question] = []
    private var first = 0

    private struct Entry {
        var answer: Answer
        var stored: Duration
        /// Seconds.
        var lifetime: UInt32
    }

    package init(capacity: Int = 10_000, longest: UInt32 = 300) {
        self.capacity = max(1, capacity)
        self.longest = longest
    }

    package var count: Int { entries.count }

    /// - Parameter now: time since any fixed moment.
    package mutating func store(_ answer: Answer, for question: Question, now: Duration) {
        guard let lifetime = lifetime(answer), lifetime > 0 else { return }
        let key = Question(name: question.name.lowercased, type: question.type)
        if entries[key] == nil { order.append(key) }
        entries[key] = Entry(answer: answer, stored: now, lifetime: lifetime)
        while entries.count > capacity, first < order.count {
            entries[order[first]] = nil
            first += 1
        }
        if first > order.count / 2 {
            order.removeFirst(first)
            first = 0
        }
    }

    /// The answer as it is now, its records' times to live reduced by the time it lay here.
    package func answer(to question: Question, now: Duration) -> Answer? {
        let lower = question.name.lowercased
        guard let entry = entries[Question(name: lower, type: question.type)] else { return nil }
        let age = UInt32(clamping: max(0, (now - entry.stored).components.seconds))
        guard age < entry.lifetime else { return nil }
        func aged(_ records: [ResourceRecord]) -> [ResourceRecord] {
            records.map { record in
                var record = record
                record.timeToLive -= min(record.timeToLive, age)
                // The question's case, not that of whoever asked first.
                if record.name.lowercased == lower { record.name = question.name }
                return record
            }
        }
        var answer = entry.answer
        answer.answers = aged(answer.answers)
        answer.authority = aged(answer.authority)
        answer.additional = aged(answer.additional)
        answer.isAuthoritative = false
        return answer
    }

    /// RFC 2308: a negative answer lives as its start of authority says; one without is not kept, and neither
    /// is a failure.
    private func lifetime(_ answer: Answer) -> UInt32? {
        guard answer.code == .noError || answer.code == .nameError else { return nil }
        if answer.code == .noError, !answer.answers.isEmpty {
            return answer.answers.map(\.timeToLive).min().map { min($0, longest) }
        }
        for record in answer.authority {
            if case .soa(_, _, _, _, _, _, let minimum) = record.data {
                return min(record.timeToLive, minimum, longest)
            }
        }
        return nil
    }
}

/// Answers from the cache.
package final class CacheResolver: Resolver {
    package let name = "cache"
    private let cache: Mutex<AnswerCache>
    /// Time since any fixed moment.
    private let now: @Sendable () -> Duration

    package init(_ cache: AnswerCache = AnswerCache(), now: @escaping @Sendable () -> Duration) {
        self.cache = Mutex(cache)
        self.now = now
    }

    package func resolve(_ question: Question) -> Resolution {
        let now = now()
        return cache.withLock { $0.answer(to: question, now: now) }.map { .answer($0) } ?? .pass
    }

    package func store(_ answer: Answer, for question: Question) {
        let now = now()
        cache.withLock { $0.store(answer, for: question, now: now) }
    }
}
