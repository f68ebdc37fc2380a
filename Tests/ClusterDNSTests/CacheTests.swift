import ClusterDNS
import Testing

@Suite struct CacheTests {
    private func answer(_ owner: DNSName, _ timeToLive: UInt32) -> Answer {
        Answer(
            isAuthoritative: true,
            answers: [ResourceRecord(name: owner, timeToLive: timeToLive, data: .address(.v4(1)))])
    }

    private func fresh(_ lookup: AnswerCache.Lookup) -> Answer? {
        if case .fresh(let answer, _) = lookup { answer } else { nil }
    }

    @Test func answersAgeAndEnd() throws {
        var cache = AnswerCache(staleFor: 0)
        let asked = Question(name: try name("Example.com"), type: .a)
        cache.store(answer(asked.name, 30), for: asked, now: .seconds(100))
        let again = Question(name: try name("example.COM"), type: .a)
        let later = try #require(fresh(cache.look(up: again, now: .seconds(110))))
        #expect(later.answers.first?.timeToLive == 20)
        #expect(later.answers.first?.name == again.name)
        #expect(!later.isAuthoritative)
        #expect(cache.look(up: again, now: .seconds(130)) == .missing)
        #expect(cache.look(up: Question(name: again.name, type: .aaaa), now: .seconds(100)) == .missing)
    }

    @Test func negativeAnswersLiveAsTheirZoneSays() throws {
        var cache = AnswerCache(staleFor: 0)
        let asked = Question(name: try name("missing.example.com"), type: .a)
        let zone = try name("example.com")
        cache.store(Answer(code: .nameError), for: asked, now: .zero)
        #expect(cache.look(up: asked, now: .zero) == .missing)
        let soa = RecordData.soa(
            primary: zone, mailbox: zone, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 20)
        let negative = Answer(
            code: .nameError, authority: [ResourceRecord(name: zone, timeToLive: 3600, data: soa)])
        cache.store(negative, for: asked, now: .zero)
        #expect(fresh(cache.look(up: asked, now: .seconds(19)))?.code == .nameError)
        #expect(cache.look(up: asked, now: .seconds(20)) == .missing)
    }

    /// RFC 9520: a failure is known for a second, so that a client which asks several times waits once.
    @Test func aFailureIsKeptForAMoment() throws {
        var cache = AnswerCache()
        let asked = Question(name: try name("dead.example.com"), type: .a)
        cache.store(Answer(code: .serverFailure), for: asked, now: .seconds(30))
        #expect(fresh(cache.look(up: asked, now: .milliseconds(30_900)))?.code == .serverFailure)
        #expect(cache.look(up: asked, now: .seconds(31)) == .missing)
    }

    /// RFC 2308, 5: behind an alias, too, "no such record" lives as the zone says, not as the alias does.
    @Test func nothingBehindAnAliasLivesAsItsZoneSays() throws {
        var cache = AnswerCache(staleFor: 0)
        let asked = Question(name: try name("alias.example.com"), type: .aaaa)
        let zone = try name("example.com")
        let soa = RecordData.soa(
            primary: zone, mailbox: zone, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 2)
        let alias = ResourceRecord(name: asked.name, timeToLive: 300, data: .cname(zone))
        cache.store(
            Answer(answers: [alias], authority: [ResourceRecord(name: zone, timeToLive: 60, data: soa)]),
            for: asked, now: .zero)
        #expect(fresh(cache.look(up: asked, now: .seconds(1))) != nil)
        #expect(cache.look(up: asked, now: .seconds(2)) == .missing)
    }

    @Test func afterItsTimeAnAnswerIsBetterThanNothingForAWhile() throws {
        var cache = AnswerCache(staleFor: 100)
        let asked = Question(name: try name("example.com"), type: .a)
        cache.store(answer(asked.name, 10), for: asked, now: .zero)
        guard case .stale(let stale) = cache.look(up: asked, now: .seconds(10)) else {
            Issue.record("not stale")
            return
        }
        // RFC 8767, 5: 30 seconds.
        #expect(stale.answers.map(\.timeToLive) == [30])
        guard case .stale = cache.look(up: asked, now: .seconds(109)) else {
            Issue.record("not stale any more")
            return
        }
        #expect(cache.look(up: asked, now: .seconds(110)) == .missing)
        // A failure does not take its place, an answer does.
        cache.store(Answer(code: .serverFailure), for: asked, now: .seconds(20))
        guard case .stale = cache.look(up: asked, now: .seconds(20)) else {
            Issue.record("lost")
            return
        }
        cache.store(answer(asked.name, 10), for: asked, now: .seconds(20))
        #expect(fresh(cache.look(up: asked, now: .seconds(21))) != nil)
    }

    @Test func whatIsAskedForOftenIsFetchedAnewOnce() throws {
        var cache = AnswerCache()
        let (busy, idle) = try (
            Question(name: name("busy.example.com"), type: .a),
            Question(name: name("idle.example.com"), type: .a)
        )
        for question in [busy, idle] { cache.store(answer(question.name, 100), for: question, now: .zero) }
        for second in 1...50 {
            guard case .fresh(_, false) = cache.look(up: busy, now: .seconds(second)) else {
                Issue.record("too early")
                return
            }
        }
        let needs = (91..<100).map { second in
            if case .fresh(_, true) = cache.look(up: busy, now: .seconds(second)) { true } else { false }
        }
        #expect(needs == [true] + Array(repeating: false, count: 8))
        guard case .fresh(_, false) = cache.look(up: idle, now: .seconds(95)) else {
            Issue.record("asked for once")
            return
        }
    }

    @Test func memoryIsBoundAndWhatIsInUseStays() throws {
        var cache = AnswerCache(capacity: 100_000)
        let favourite = Question(name: try name("favourite.example.com"), type: .a)
        cache.store(answer(favourite.name, 300), for: favourite, now: .zero)
        for index in 0..<5000 {
            let question = Question(name: try name("n\(index).example.com"), type: .a)
            cache.store(answer(question.name, 300), for: question, now: .zero)
            #expect(cache.size <= 100_000)
            if index.isMultiple(of: 50) {
                #expect(fresh(cache.look(up: favourite, now: .zero)) != nil)
            }
        }
        #expect(cache.count > 100)
        #expect(cache.count < 1000)
        #expect(cache.look(up: Question(name: try name("n0.example.com"), type: .a), now: .zero) == .missing)
        // One that is longer than all the room is not kept.
        let long = Answer(answers: [
            ResourceRecord(
                name: favourite.name, timeToLive: 300,
                data: .other(RecordType(rawValue: 99), .init(repeating: 0, count: 200_000)))
        ])
        cache.store(long, for: favourite, now: .zero)
        #expect(cache.size <= 100_000)
    }
}
