import Synchronization

/// A value that comes once, from an event loop, to one waiting task, and is not kept then: a response holds what
/// may hold this. Unlike with a future, waiting ends when the task is cancelled.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case pending(CheckedContinuation<Value, any Error>?)
        case resolved(Result<Value, any Error>)
        /// Somebody has the value.
        case taken
    }

    private let state = Mutex(State.pending(nil))

    /// Gives the value or the failure; only the first one counts.
    /// - Returns: whether this was the first one.
    @discardableResult
    func resolve(_ result: Result<Value, any Error>) -> Bool {
        let (isFirst, continuation) = state.withLock {
            state -> (Bool, CheckedContinuation<Value, any Error>?) in
            guard case .pending(let continuation) = state else { return (false, nil) }
            state = continuation == nil ? .resolved(result) : .taken
            return (true, continuation)
        }
        continuation?.resume(with: result)
        return isFirst
    }

    /// Whether the value, a failure or the cancellation is there.
    var isResolved: Bool {
        state.withLock { state in
            if case .pending = state { return false }
            return true
        }
    }

    /// Waits for the value. To be called once.
    func value() async throws -> Value {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state -> Result<Value, any Error>? in
                    switch state {
                    case .pending:
                        state = .pending(continuation)
                        return nil
                    case .resolved(let result):
                        state = .taken
                        return result
                    case .taken:
                        return .failure(HTTPError(.closed, "the value was taken before"))
                    }
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            resolve(.failure(CancellationError()))
        }
    }
}
