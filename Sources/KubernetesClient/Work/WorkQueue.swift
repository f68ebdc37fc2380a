import DequeModule
import Synchronization
public import Telemetry

/// Keys of objects that somebody has to look at: what a controller's workers live on.
///
/// Adding a key that waits already changes nothing, and a key is never with two workers at once.
public final class WorkQueue<Key: Hashable & Sendable>: Sendable {
    private struct Waiter {
        let id: UInt64
        let continuation: CheckedContinuation<Key?, Never>
    }

    private struct State {
        var keys: WorkQueueState<Key>
        var waiters: Deque<Waiter> = []
        var nextID: UInt64 = 0
        /// The task that sleeps until the next delayed key is due.
        var timer: (deadline: Duration, task: Task<Void, Never>)?
    }

    private let state: Mutex<State>
    private let metrics: WorkQueueMetrics?
    private let elapsed: @Sendable () -> Duration
    private let clock: any Clock<Duration>

    /// - Parameters:
    ///   - initialPause: how long a key that failed waits first; it doubles with every further failure.
    ///   - maximumPause: how long it waits at most.
    ///   - name: the queue's name in metrics; without one it has none.
    public init(
        name: String? = nil, metrics: MetricRegistry = .shared, initialPause: Duration = .milliseconds(5),
        maximumPause: Duration = .seconds(300),
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        state = Mutex(
            State(keys: WorkQueueState(initialPause: initialPause, maximumPause: maximumPause)))
        elapsed = stopwatch(clock)
        self.clock = clock
        self.metrics = name.map { WorkQueueMetrics($0, metrics) }
        self.metrics?.observe { [weak self] in self?.load }
    }

    private var load: WorkQueueLoad {
        let now = elapsed()
        return state.withLock { WorkQueueLoad($0.keys, now: now) }
    }

    deinit {
        state.withLock { $0.timer?.task.cancel() }
    }

    /// Adds a key to be worked on now.
    public func add(_ key: Key) {
        change { keys, now in keys.add(key, now: now) }
    }

    /// Adds a key to be worked on after a while. Of several such times the earliest counts.
    public func add(_ key: Key, after delay: Duration) {
        change { keys, now in keys.add(key, at: now + delay, now: now) }
    }

    /// Adds a key after a pause that doubles with every failure, until it is forgotten.
    public func addRateLimited(_ key: Key) {
        change { keys, now in keys.addRateLimited(key, now: now) }
    }

    /// Ends the key's history of failures: call it after success.
    public func forget(_ key: Key) {
        state.withLock { $0.keys.forget(key) }
    }

    /// How often the key failed since it was last forgotten.
    public func failureCount(_ key: Key) -> Int {
        state.withLock { $0.keys.failureCount(key) }
    }

    /// Says that the work on a key that `next` returned is over.
    public func done(_ key: Key) {
        let work = change { keys, now in
            keys.done(key, now: now)
            return keys.lastWork
        }
        metrics?.work.observe(work)
    }

    /// How many keys wait to be taken.
    public var count: Int { state.withLock { $0.keys.count } }

    /// Whether nothing waits, not even for its time, and nobody is at work.
    public var isIdle: Bool { state.withLock { $0.keys.isIdle } }

    /// Ends the queue: workers get what is in it, then nil.
    public func shutDown() {
        change { keys, _ in keys.shutDown() }
        let waiters = state.withLock { state in
            state.timer?.task.cancel()
            state.timer = nil
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: nil) }
    }

    /// The next key, once there is one. The caller works on it and then calls `done`.
    ///
    /// - Returns: nil when the queue was shut down, or the task cancelled.
    public func next() async -> Key? {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let now = elapsed()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Key?? = state.withLock { state in
                    if Task.isCancelled { return .some(nil) }
                    if let key = state.keys.take(now: now) {
                        metrics?.wait.observe(state.keys.lastWait)
                        return .some(key)
                    }
                    if state.keys.isShutDown { return .some(nil) }
                    // A cancellation later than the check above finds the waiter here.
                    state.waiters.append(Waiter(id: id, continuation: continuation))
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: nil)
        }
    }

    /// Changes the keys, then hands out what can be taken and sees to it that delayed keys come in time.
    @discardableResult
    private func change<Result: Sendable>(
        _ body: (inout WorkQueueState<Key>, Duration) -> Result
    ) -> Result {
        let now = elapsed()
        let (ready, result) = state.withLock { state in
            let result = body(&state.keys, now)
            state.keys.release(now: now)
            setTimer(&state, now: now)
            var ready: [(Waiter, Key)] = []
            while let waiter = state.waiters.first, let key = state.keys.take(now: now) {
                metrics?.wait.observe(state.keys.lastWait)
                state.waiters.removeFirst()
                ready.append((waiter, key))
            }
            return (ready, result)
        }
        for (waiter, key) in ready { waiter.continuation.resume(returning: key) }
        return result
    }

    /// One task sleeps until the earliest deadline. It belongs to the queue, not to whoever added the key.
    private func setTimer(_ state: inout State, now: Duration) {
        guard let deadline = state.keys.nextDeadline else {
            state.timer?.task.cancel()
            state.timer = nil
            return
        }
        if let timer = state.timer, timer.deadline <= deadline { return }
        state.timer?.task.cancel()
        let task = Task { [weak self, clock] in
            do {
                try await clock.sleep(for: deadline - now)
            } catch {
                return
            }
            self?.timerFired(deadline)
        }
        state.timer = (deadline, task)
    }

    private func timerFired(_ deadline: Duration) {
        state.withLock { state in
            if state.timer?.deadline == deadline { state.timer = nil }
        }
        change { _, _ in }
    }
}
