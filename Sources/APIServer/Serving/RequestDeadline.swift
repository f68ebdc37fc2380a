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

    /// Runs `work` for no longer than `limit`. What is not done by then is cancelled and not waited for: a store
    /// that hangs must not hang its clients.
    ///
    /// - Returns: nil when the time was over first.
    package static func run<Answer: Sendable>(
        within limit: Duration, clock: any Clock<Duration>, _ work: @escaping @Sendable () async -> Answer
    ) async -> Answer? {
        let first = First<Answer?>()
        // Unstructured, since a task group would wait for both.
        let worker = Task { first.resolve(await work()) }
        let timer = Task {
            do { try await clock.sleep(for: limit) } catch { return }
            first.resolve(nil)
        }
        let answer = await withTaskCancellationHandler {
            await first.value()
        } onCancel: {
            worker.cancel()
        }
        timer.cancel()
        if answer == nil { worker.cancel() }
        return answer
    }
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
