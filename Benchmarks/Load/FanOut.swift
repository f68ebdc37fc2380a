import BenchmarkSupport
import HTTPService
import KubernetesClient
import Synchronization

/// How long an event takes to all of many watchers, each on a connection of its own: from the moment at which a
/// client sends its write to the moment at which the watcher has the line.
public enum FanOut {
    /// Milliseconds, one sample an event and watcher.
    public static func measure(
        watchers count: Int, events: Int, server: APIProcess, offersHTTP2: Bool
    ) async throws -> Samples {
        // Empty: a watch begins with what is there.
        let namespace = offersHTTP2 ? "fan-out-2" : "fan-out-1"
        let path = "/api/v1/namespaces/\(namespace)/configmaps"
        let round = Round(watchers: count)
        let writer = try server.connect()
        try await writer.exchange(.POST, "/api/v1/namespaces", Payloads.namespace(namespace), expecting: 201)
        let warmUp = 20
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<count {
                let thread = ClientThread.next()
                let transport = try server.connect(offersHTTP2: offersHTTP2, on: thread)
                let response = try await transport.send(
                    HTTPRequest(method: .GET, target: path + "?watch=true&timeoutSeconds=3600"))
                group.addTask(executorPreference: thread.executor) {
                    for try await chunk in response.body {
                        let now = ContinuousClock.now
                        for byte in chunk where byte == UInt8(ascii: "\n") { round.heard(at: now) }
                    }
                    withExtendedLifetime(transport) {}
                }
            }
            var samples = Samples()
            for event in 0..<(warmUp + events) {
                let sent = ContinuousClock.now
                try await writer.exchange(
                    .POST, path, Payloads.configMap("fan-out-\(event)", namespace: namespace), expecting: 201)
                for heard in await round.all() where event >= warmUp {
                    samples.add((heard - sent) / .milliseconds(1))
                }
            }
            group.cancelAll()
            return samples
        }
    }

    /// One event on its way to all watchers.
    private final class Round: Sendable {
        private struct State {
            var heard: [ContinuousClock.Instant] = []
            var waiter: CheckedContinuation<[ContinuousClock.Instant], Never>?
        }
        private let state = Mutex(State())
        private let watchers: Int

        init(watchers: Int) { self.watchers = watchers }

        func heard(at instant: ContinuousClock.Instant) {
            let done = state.withLock { state -> CheckedContinuation<[ContinuousClock.Instant], Never>? in
                state.heard.append(instant)
                guard state.heard.count == watchers else { return nil }
                defer { state.waiter = nil }
                return state.waiter
            }
            done?.resume(returning: take())
        }

        private func take() -> [ContinuousClock.Instant] {
            state.withLock { state in
                defer { state.heard = [] }
                return state.heard
            }
        }

        /// When each of them heard of it, once all have.
        func all() async -> [ContinuousClock.Instant] {
            await withCheckedContinuation { continuation in
                let isComplete = state.withLock { state in
                    if state.heard.count == watchers { return true }
                    state.waiter = continuation
                    return false
                }
                if isComplete { continuation.resume(returning: take()) }
            }
        }
    }
}
