import HTTPService
import KubernetesAPI
import KubernetesJSON
import Synchronization

/// How long a request may take: its `timeout` parameter, or the server's own limit when that is shorter.
package enum RequestDeadline {
    /// - Throws: `badRequest` when the parameter is no span of time as Go writes them.
    package static func limit(_ query: QueryItems, maximum: Duration) throws(APIError) -> Duration {
        guard let text = query.first("timeout"), !text.isEmpty else { return maximum }
        guard let asked = MetaDuration(text) else {
            throw .badRequest("invalid timeout specified in the request URL - \(reason(text))")
        }
        let limit = Duration.nanoseconds(asked.nanoseconds)
        return limit > .zero && limit < maximum ? limit : maximum
    }

    private static func reason(_ text: String) -> String {
        let quoted = JSONValue.string(text).description
        let isNumber = text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
        return isNumber ? "time: missing unit in duration \(quoted)" : "time: invalid duration \(quoted)"
    }
}

/// Ends requests that take too long, all by one timer: nearly every request is over long before its time is.
package final class RequestDeadlines: Sendable {
    private struct Waiting {
        let deadline: Duration
        let end: @Sendable () -> Void
    }

    private struct State {
        var waiting: [UInt64: Waiting] = [:]
        var last: UInt64 = 0
        var timer: Task<Void, Never>?
        /// When the timer goes off. It is set anew only for an earlier deadline: when it goes off it looks at those
        /// that are left.
        var isDue: Duration = .zero
    }

    private let state = Mutex(State())
    private let clock: any Clock<Duration>
    private let elapsed: @Sendable () -> Duration

    package init(_ clock: any Clock<Duration>) {
        self.clock = clock
        elapsed = Self.stopwatch(clock)
    }

    private static func stopwatch<C: Clock<Duration>>(_ clock: C) -> @Sendable () -> Duration {
        let start = clock.now
        return { start.duration(to: clock.now) }
    }

    /// Runs `work` for no longer than `limit`. What is not done by then is cancelled and not waited for: a store
    /// that hangs must not hang its clients.
    ///
    /// - Parameter executor: where to run it; nil for anywhere.
    /// - Returns: nil when the time was over first.
    package func run<Answer: Sendable>(
        within limit: Duration, on executor: (any TaskExecutor)?,
        _ work: @escaping @Sendable () async -> Answer
    ) async -> Answer? {
        let first = First<Answer?>()
        // Unstructured, since a task group would wait for it whatever happens.
        let worker = Task(executorPreference: executor) { first.resolve(await work()) }
        let number = add(limit) { first.resolve(nil) }
        let answer = await withTaskCancellationHandler {
            await first.value()
        } onCancel: {
            worker.cancel()
        }
        remove(number)
        if answer == nil { worker.cancel() }
        return answer
    }

    private func add(_ limit: Duration, _ end: @escaping @Sendable () -> Void) -> UInt64 {
        let deadline = elapsed() + limit
        return state.withLock { state in
            state.last += 1
            state.waiting[state.last] = Waiting(deadline: deadline, end: end)
            if state.timer == nil || deadline < state.isDue {
                state.timer?.cancel()
                setTimer(&state, deadline, in: limit)
            }
            return state.last
        }
    }

    private func remove(_ number: UInt64) {
        state.withLock { _ = $0.waiting.removeValue(forKey: number) }
    }

    private func setTimer(_ state: inout State, _ due: Duration, in pause: Duration) {
        state.isDue = due
        state.timer = Task { [weak self, clock] in
            do { try await clock.sleep(for: pause) } catch { return }
            self?.goOff()
        }
    }

    private func goOff() {
        let now = elapsed()
        let over = state.withLock { state in
            let over = state.waiting.filter { $0.value.deadline <= now }
            for number in over.keys { state.waiting[number] = nil }
            state.timer = nil
            if let next = state.waiting.values.map(\.deadline).min() {
                setTimer(&state, next, in: next - now)
            }
            return over.values
        }
        for waiting in over { waiting.end() }
    }

    deinit { state.withLock { $0.timer?.cancel() } }
}

/// The first of several values, and the one who waits for it.
private final class First<Value: Sendable>: Sendable {
    private enum State {
        case open(CheckedContinuation<Value, Never>?)
        case resolved(Value)
    }

    private let state = Mutex(State.open(nil))

    func resolve(_ value: Value) {
        let waiter = state.withLock { state -> CheckedContinuation<Value, Never>? in
            guard case .open(let waiter) = state else { return nil }
            state = .resolved(value)
            return waiter
        }
        waiter?.resume(returning: value)
    }

    func value() async -> Value {
        await withCheckedContinuation { continuation in
            let value = state.withLock { state -> Value? in
                if case .resolved(let value) = state { return value }
                state = .open(continuation)
                return nil
            }
            if let value { continuation.resume(returning: value) }
        }
    }
}
