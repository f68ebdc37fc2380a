import ObjectStore
import Testing

@Suite struct WatchTests {
    private func names(_ batch: [WatchElement]?) -> [String] {
        (batch ?? []).map {
            switch $0 {
            case .event(let event): "\(event.kind) \(event.key.name) \(event.revision)"
            case .progress(let revision): "progress \(revision)"
            }
        }
    }

    @Test func showsThePastAndThenThePresent() async throws {
        let store = try await ObjectStore.open(.memory, logger: quiet)
        try await store.commit([.create(pod("a"), draft())])
        try await store.commit([.create(pod("b"), draft())])
        var events = try store.watch(resource: "pods", after: 2).makeAsyncIterator()
        #expect(names(try await events.nextBatch()) == ["added b 3"])
        async let next = store.commit([.update(pod("a"), draft("x"), expected: 2)])
        #expect(names(try await events.nextBatch()) == ["modified a 4"])
        _ = try await next
        try await store.commit([.delete(pod("a"), expected: 4), .create(pod("a"), draft())])
        #expect(names(try await events.nextBatch()) == ["deleted a 5", "added a 6"])
        await store.close()
        #expect(try await events.next() == nil)
    }

    @Test func refusesRevisionsItCannotStartFrom() async throws {
        let store = try await ObjectStore.open(.memory, logger: quiet)
        try await store.commit([.create(pod("a"), draft())])
        try await store.commit([.create(pod("b"), draft())])
        store.compact(before: 2)
        #expect(throws: StoreError.self) { try store.watch(resource: "pods", after: 1) }
        #expect(throws: StoreError.self) { try store.watch(resource: "pods", after: 4) }
        _ = try store.watch(resource: "pods", after: 3)
    }

    /// A watcher that waits is up to date: no amount of events that do not concern it cuts it off.
    @Test func whoWaitsIsNeverTooSlow() async throws {
        var limits = HistoryLimits()
        limits.events = 4
        // Told of only by hand, however slow the machine is.
        limits.progressInterval = .seconds(86_400)
        let store = try await ObjectStore.open(.memory, limits: limits, logger: quiet)
        let stream = try store.watch(resource: "pods", namespace: "quiet", after: 1)
        let waiting = Task {
            var events = stream.makeAsyncIterator()
            return (names(try await events.nextBatch()), names(try await events.nextBatch()))
        }
        // Progress is only told to those who wait; told it twice, the watcher waits a second time.
        try await untilWaiting(store)
        for i in 0..<50 { try await store.commit([.create(pod("p\(i)", "noisy"), draft())]) }
        try await store.commit([.create(pod("mine", "quiet"), draft())])
        let (first, second) = try await waiting.value
        #expect(first == ["progress 1"])
        #expect(second == ["added mine 52"])
    }

    /// Announces progress until somebody has heard it, then until it waits again.
    private func untilWaiting(_ store: ObjectStore) async throws {
        while store.idleWatchers == 0 { await Task.yield() }
        store.announceProgress()
        while store.idleWatchers == 0 { await Task.yield() }
    }

    @Test func whoFallsBehindTheHistoryIsEnded() async throws {
        var limits = HistoryLimits()
        limits.events = 4
        let store = try await ObjectStore.open(.memory, limits: limits, logger: quiet)
        var slow = try store.watch(resource: "pods", after: 1).makeAsyncIterator()
        try await store.commit([.create(pod("a"), draft())])
        #expect(try await slow.next() != nil)
        for i in 0..<50 { try await store.commit([.create(pod("p\(i)"), draft())]) }
        do throws(StoreError) {
            _ = try await slow.next()
            Issue.record("the watch should have ended")
        } catch {
            #expect(code(error) == "compacted")
        }
    }

    @Test func tellsProgressOnceAnInterval() async throws {
        let clock = ManualClock()
        let store = try await ObjectStore.open(.memory, clock: clock, logger: quiet)
        let stream = try store.watch(resource: "nodes", after: 1)
        let heard = Task {
            var events = stream.makeAsyncIterator()
            return names(try await events.nextBatch())
        }
        while store.idleWatchers == 0 { await Task.yield() }
        try await store.commit([.create(pod("a"), draft())])
        #expect(store.idleWatchers == 1, "nothing for it, and the interval is not over")
        clock.advance(by: .seconds(10))
        try await store.commit([.create(pod("b"), draft())])
        #expect(try await heard.value == ["progress 3"])
    }

    @Test func aCancelledWatchEnds() async throws {
        let store = try await ObjectStore.open(.memory, logger: quiet)
        let stream = try store.watch(resource: "pods", after: 1)
        let task = Task {
            var events = stream.makeAsyncIterator()
            return try await events.next() == nil
        }
        while store.idleWatchers == 0 { await Task.yield() }
        task.cancel()
        #expect(try await task.value)
        #expect(store.idleWatchers == 0)
    }

    /// 20 watchers beside 8 writers: each sees every event of its namespace once, in order.
    @Test func everyWatcherSeesEveryEventInOrder() async throws {
        let store = try await ObjectStore.open(.memory, logger: quiet)
        let writers = 8
        let each = 100
        try await withThrowingTaskGroup(of: [Revision].self) { group in
            for w in 0..<20 {
                let namespace = w % 2 == 0 ? nil : "ns\(w % writers)"
                let stream = try store.watch(resource: "pods", namespace: namespace, after: 1)
                group.addTask {
                    var seen: [Revision] = []
                    let expected = namespace == nil ? writers * each : each
                    for try await case .event(let event) in stream {
                        seen.append(event.revision)
                        if seen.count == expected { break }
                    }
                    return seen
                }
            }
            for w in 0..<writers {
                group.addTask {
                    var mine: [Revision] = []
                    for i in 0..<each {
                        let made = try await store.commit([.create(pod("p\(i)", "ns\(w)"), draft())])
                        mine += made.map(\.revision)
                    }
                    return mine
                }
            }
            for try await seen in group {
                #expect(seen == seen.sorted())
                #expect(Set(seen).count == seen.count)
                #expect(seen.count == each || seen == Array(2...Revision(writers * each + 1)))
            }
        }
    }
}
