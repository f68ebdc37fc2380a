import KubernetesClient
import Testing

@Suite struct WorkQueueStateTests {
    private var keys = WorkQueueState<String>(initialPause: .milliseconds(5), maximumPause: .seconds(1))

    @Test mutating func aKeyIsInTheQueueOnce() {
        keys.add("a")
        keys.add("b")
        keys.add("a")
        #expect(keys.count == 2)
        #expect(keys.take() == "a")
        #expect(keys.take() == "b")
        #expect(keys.take() == nil)
        #expect(!keys.isIdle)
        keys.done("a")
        keys.done("b")
        #expect(keys.isIdle)
    }

    @Test mutating func aKeyIsNeverHandedOutTwice() {
        keys.add("a")
        #expect(keys.take() == "a")
        keys.add("a")
        keys.add("a")
        #expect(keys.take() == nil, "somebody is at work on it")
        keys.done("a")
        #expect(keys.take() == "a", "what came meanwhile must be looked at")
        keys.done("a")
        #expect(keys.take() == nil)
    }

    @Test mutating func delayedKeysComeInTime() {
        keys.add("late", at: .seconds(9), now: .zero)
        keys.add("soon", at: .seconds(2), now: .zero)
        keys.add("late", at: .seconds(5), now: .zero)
        keys.add("late", at: .seconds(7), now: .zero)
        keys.add("now", at: .zero, now: .zero)
        #expect(keys.take() == "now")
        #expect(keys.nextDeadline == .seconds(2))
        keys.release(now: .seconds(1))
        #expect(keys.take() == nil)
        keys.release(now: .seconds(6))
        #expect(keys.take() == "soon")
        #expect(keys.take() == "late", "the earliest of several times counts")
        #expect(keys.nextDeadline == nil)
    }

    /// Against the plain meaning of it: of each key the earliest time counts, and what is due comes in that order.
    @Test func delayedKeysAreWhatAPlainTableSays() {
        var random = Seeded(7)
        var keys = WorkQueueState<Int>(initialPause: .milliseconds(5), maximumPause: .seconds(1))
        var plain: [Int: Int] = [:]
        for now in 0..<2000 {
            for _ in 0..<Int.random(in: 0..<4, using: &random) {
                let (key, time) = (
                    Int.random(in: 0..<50, using: &random), now + .random(in: 1..<60, using: &random)
                )
                keys.add(key, at: .seconds(time), now: .seconds(now))
                plain[key] = min(plain[key] ?? time, time)
            }
            #expect(keys.nextDeadline == plain.values.min().map { .seconds($0) })
            keys.release(now: .seconds(now))
            var due = plain.filter { $0.value <= now }
            for key in due.keys { plain[key] = nil }
            while let key = keys.take() {
                #expect(due.removeValue(forKey: key) != nil)
                keys.done(key)
            }
            #expect(due.isEmpty)
        }
    }

    @Test mutating func pausesDoubleUntilForgotten() {
        var pauses: [Duration] = []
        for _ in 0..<10 {
            keys.addRateLimited("a", now: .zero)
            let deadline = keys.nextDeadline ?? .zero
            pauses.append(deadline)
            keys.release(now: deadline)
            _ = keys.take()
            keys.done("a")
        }
        #expect(pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000].map { .milliseconds($0) })
        #expect(keys.failureCount("a") == 10)
        keys.forget("a")
        keys.addRateLimited("a", now: .zero)
        #expect(keys.nextDeadline == .milliseconds(5))
    }

    @Test mutating func afterShuttingDownNothingIsAdded() {
        keys.add("a")
        keys.add("b", at: .seconds(1), now: .zero)
        keys.shutDown()
        keys.add("c")
        #expect(keys.take() == "a")
        keys.release(now: .seconds(2))
        #expect(keys.take() == nil)
    }
}

@Suite struct WorkQueueTests {
    @Test func nextWaitsForAKey() async {
        let queue = WorkQueue<String>(clock: TestClock())
        async let next = queue.next()
        queue.add("a")
        #expect(await next == "a")
    }

    @Test func delayedKeysWaitForTheClock() async {
        let clock = TestClock()
        let queue = WorkQueue<String>(clock: clock)
        queue.add("late", after: .seconds(10))
        #expect(await clock.nextPause() == .seconds(10))
        queue.add("soon", after: .seconds(3))
        while await clock.nextPause() != .seconds(3) { await Task.yield() }
        #expect(queue.count == 0)
        clock.advance(by: .seconds(3))
        #expect(await queue.next() == "soon")
        queue.done("soon")
        while await clock.nextPause() != .seconds(7) { await Task.yield() }
        clock.advance(by: .seconds(7))
        #expect(await queue.next() == "late")
    }

    @Test func cancellationAndShuttingDownEndWaiting() async {
        let queue = WorkQueue<String>(clock: TestClock())
        let cancelled = Task { await queue.next() }
        cancelled.cancel()
        #expect(await cancelled.value == nil)
        let waiting = Task { await queue.next() }
        queue.shutDown()
        #expect(await waiting.value == nil)
        #expect(await queue.next() == nil)
    }

    /// Eight workers, keys added from eight tasks: no key is with two workers at once, and whatever is added
    /// is seen by a reconciliation that begins later.
    @Test func workersNeverShareAKey() async {
        let queue = WorkQueue<Int>(clock: TestClock())
        let atWork = Locked(Set<Int>())
        let wanted = Locked([Int: Int]())
        let reached = Locked([Int: Int]())
        let overlaps = Locked(0)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await runController(queue, workers: 8, logger: quiet) { key in
                    let isAlone = atWork.withLock { $0.insert(key).inserted }
                    if !isAlone { overlaps.withLock { $0 += 1 } }
                    let goal = wanted.withLock { $0[key] ?? 0 }
                    await Task.yield()
                    reached.withLock { $0[key] = goal }
                    atWork.withLock { _ = $0.remove(key) }
                }
            }
            await withTaskGroup(of: Void.self) { adders in
                for adder in 0..<8 {
                    adders.addTask {
                        var random = Seeded(UInt64(adder))
                        for _ in 0..<500 {
                            let key = Int.random(in: 0..<10, using: &random)
                            wanted.withLock { $0[key, default: 0] += 1 }
                            queue.add(key)
                            await Task.yield()
                        }
                    }
                }
            }
            while !queue.isIdle { await Task.yield() }
            queue.shutDown()
        }
        #expect(overlaps.withLock { $0 } == 0)
        #expect(reached.withLock { $0 } == wanted.withLock { $0 })
    }

    @Test func failedKeysComeAgainLaterAndLater() async {
        struct Failure: Error {}
        let clock = TestClock()
        let queue = WorkQueue<String>(clock: clock)
        let attempts = Ear<Int>()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                let count = Locked(0)
                await runController(queue, logger: quiet) { _ in
                    let attempt = count.withLock { count in
                        count += 1
                        return count
                    }
                    attempts.hear(attempt)
                    if attempt < 4 { throw Failure() }
                }
            }
            queue.add("a")
            for pause in [5, 10, 20] {
                while await clock.nextPause() != .milliseconds(pause) { await Task.yield() }
                clock.advance(by: .milliseconds(pause))
            }
            #expect(await attempts.first(4) == [1, 2, 3, 4])
            while !queue.isIdle { await Task.yield() }
            #expect(queue.failureCount("a") == 0)
            queue.shutDown()
        }
    }
}
