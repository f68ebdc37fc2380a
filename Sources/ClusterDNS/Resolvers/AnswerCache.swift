/// Answers of other servers, kept as long as they allow (RFC 2308), and longer for when those servers do not
/// answer (RFC 8767). A value; its time is that since any fixed moment.
package struct AnswerCache: Sendable {
    /// What is here for a question.
    package enum Lookup: Sendable, Hashable {
        /// `needsRefresh`: it is asked for often and about to end. Said once.
        case fresh(Answer, needsRefresh: Bool)
        /// Its time is over; better than nothing.
        case stale(Answer)
        case missing
    }

    /// The most bytes that entries may take, as far as that can be said; the oldest make room, those in use
    /// last.
    private let capacity: Int
    /// Seconds that an answer counts as fresh at most, whatever it says.
    private let longest: UInt32
    /// Seconds that an answer is kept after its time.
    private let staleFor: UInt32
    private var entries: [Question: Entry] = [:]
    /// Questions in the order in which they are to make room, from `first` on.
    private var order: [Question] = []
    private var first = 0
    /// Bytes of all entries.
    package private(set) var size = 0

    /// RFC 8767, 5: how long a client may keep a stale answer, in seconds.
    private static let staleLifetime: UInt32 = 30
    /// An answer that was asked for so often is fetched anew before its time is over.
    private static let hitsForRefresh = 2

    private struct Entry {
        var answer: Answer
        var stored: Duration
        /// Seconds.
        var lifetime: UInt32
        var size: Int
        var hits = 0
        /// Whether it was asked for since it was last considered to make room.
        var isInUse = false
        var isBeingRefreshed = false
    }

    package init(capacity: Int = 8 << 20, longest: UInt32 = 300, staleFor: UInt32 = 3600) {
        self.capacity = max(1, capacity)
        self.longest = longest
        self.staleFor = staleFor
    }

    package var count: Int { entries.count }

    /// Keeps an answer if it may be kept.
    package mutating func store(_ answer: Answer, for question: Question, now: Duration) {
        guard let lifetime = lifetime(answer, to: question), lifetime > 0 else { return }
        let key = question.lowercased
        // What was known before may be given for a while when nobody answers, so a failure does not take its place.
        if answer.code == .serverFailure, let old = entries[key], old.answer.code != .serverFailure,
            age(old, now) < old.lifetime + staleFor
        {
            return
        }
        let entry = Entry(answer: answer, stored: now, lifetime: lifetime, size: answer.size + key.size)
        if let old = entries.updateValue(entry, forKey: key) {
            size -= old.size
        } else {
            order.append(key)
        }
        size += entry.size
        makeRoom()
    }

    private mutating func makeRoom() {
        while size > capacity, first < order.count {
            let key = order[first]
            first += 1
            guard var entry = entries[key] else { continue }
            if entry.isInUse {
                entry.isInUse = false
                entries[key] = entry
                order.append(key)
            } else {
                entries[key] = nil
                size -= entry.size
            }
        }
        if first > order.count / 2 {
            order.removeFirst(first)
            first = 0
        }
    }

    /// The answer as it is now, its records' times to live reduced by the time it lay here.
    package mutating func look(up question: Question, now: Duration) -> Lookup {
        let key = question.lowercased
        guard var entry = entries[key] else { return .missing }
        let age = age(entry, now)
        guard age < entry.lifetime else {
            guard entry.answer.code != .serverFailure, age - entry.lifetime < staleFor else {
                return .missing
            }
            var stale = entry.answer.spelled(as: question)
            stale.mapTimesToLive { _ in Self.staleLifetime }
            return .stale(stale)
        }
        entry.hits += 1
        entry.isInUse = true
        let needsRefresh =
            !entry.isBeingRefreshed && entry.hits > Self.hitsForRefresh
            && entry.lifetime - age <= max(1, entry.lifetime / 10)
        if needsRefresh { entry.isBeingRefreshed = true }
        entries[key] = entry
        var answer = entry.answer.spelled(as: question)
        answer.mapTimesToLive { $0 - min($0, age) }
        return .fresh(answer, needsRefresh: needsRefresh)
    }

    /// Seconds that an entry has been here.
    private func age(_ entry: Entry, _ now: Duration) -> UInt32 {
        UInt32(clamping: max(0, (now - entry.stored).components.seconds))
    }

    /// RFC 2308: a negative answer, also behind aliases, lives as its start of authority says; one without is not
    /// kept.
    private func lifetime(_ answer: Answer, to question: Question) -> UInt32? {
        guard !answer.isTruncated else { return nil }
        if answer.code == .serverFailure { return Self.failureLifetime }
        guard answer.code == .noError || answer.code == .nameError else { return nil }
        let shortest = answer.answers.map(\.timeToLive).min() ?? longest
        let isFound = answer.answers.contains { question.type == .any || $0.type == question.type }
        if answer.code == .noError, isFound { return min(shortest, longest) }
        for record in answer.authority {
            if case .soa(_, _, _, _, _, _, let minimum) = record.data {
                return min(record.timeToLive, minimum, shortest, longest)
            }
        }
        return nil
    }

    /// How long a failure is passed on without asking again, in seconds (RFC 9520, 3.2): a client asks several times,
    /// and would wait for the same silence each time.
    private static let failureLifetime: UInt32 = 1
}

extension Question {
    /// The same question, for comparisons.
    package var lowercased: Question { asked(of: name.lowercased) }

    fileprivate var size: Int { 64 + name.wire.count }
}

extension Answer {
    /// About how many bytes it takes in memory.
    fileprivate var size: Int {
        (answers + authority + additional).reduce(128) { sum, record in
            let content =
                switch record.data {
                case .address, .mx, .cname, .ns, .ptr, .srv: 64
                case .txt(let strings): strings.reduce(32) { $0 + 32 + $1.count }
                case .soa: 192
                case .other(_, let bytes): 32 + bytes.count
                }
            return sum + 96 + record.name.wire.count + content
        }
    }

    /// With the question's name in the question's case, not in that of whoever asked first; and without
    /// authority, for it was somebody else's.
    func spelled(as question: Question) -> Answer {
        let lower = question.name.lowercased
        func spelled(_ records: [ResourceRecord]) -> [ResourceRecord] {
            records.map { record in
                var record = record
                if record.name != question.name, record.name.lowercased == lower {
                    record.name = question.name
                }
                return record
            }
        }
        var result = Answer(
            code: code, answers: spelled(answers), authority: spelled(authority),
            additional: spelled(additional))
        result.isAuthenticated = isAuthenticated
        result.isTruncated = isTruncated
        return result
    }

    fileprivate mutating func mapTimesToLive(_ change: (UInt32) -> UInt32) {
        for index in answers.indices { answers[index].timeToLive = change(answers[index].timeToLive) }
        for index in authority.indices { authority[index].timeToLive = change(authority[index].timeToLive) }
        for index in additional.indices {
            additional[index].timeToLive = change(additional[index].timeToLive)
        }
    }
}
