import Glibc
import KubernetesAPI

/// How long to wait before something that failed is tried again: doubled at each failure, forgotten after a
/// long while without one. Times are measured from any fixed point, by one clock.
package struct BackOff: Sendable, Hashable {
    /// The wait after the first failure.
    package var initial: Duration
    /// The longest wait.
    package var maximum: Duration
    /// The wait in force; zero before the first failure.
    package private(set) var delay: Duration = .zero
    private var lastFailure: Duration = .zero

    package init(initial: Duration, maximum: Duration) {
        self.initial = initial
        self.maximum = maximum
    }

    /// What upstream's kubelet uses for crashing containers and for image pulls: 10 s to 5 min.
    package static let container = BackOff(initial: .seconds(10), maximum: .seconds(300))
    /// For what costs little to try: sandboxes, missing ConfigMaps.
    package static let quick = BackOff(initial: .milliseconds(500), maximum: .seconds(10))

    /// Notes a failure.
    package mutating func failed(at now: Duration) {
        if delay == .zero || now - lastFailure > maximum * 2 {
            delay = initial
        } else {
            delay = min(delay * 2, maximum)
        }
        lastFailure = now
    }

    /// What is left of the wait at `now`, counted from `since`; nil when it is over or there is none.
    package func remaining(since: Duration, now: Duration) -> Duration? {
        guard delay > .zero, now - lastFailure <= maximum * 2 else { return nil }
        let left = since + delay - now
        return left > .zero ? left : nil
    }
}

/// The clocks the node agent lives by; tests bring their own.
package struct AgentClock: Sendable {
    /// Time since a fixed point, never set back.
    package var now: @Sendable () -> Duration
    /// The time of day, in nanoseconds since 1970.
    package var wallNanoseconds: @Sendable () -> Int64
    package var sleep: @Sendable (Duration) async throws -> Void

    package init(
        now: @escaping @Sendable () -> Duration, wallNanoseconds: @escaping @Sendable () -> Int64,
        sleep: @escaping @Sendable (Duration) async throws -> Void
    ) {
        self.now = now
        self.wallNanoseconds = wallNanoseconds
        self.sleep = sleep
    }

    /// The machine's clocks.
    package static let system: AgentClock = {
        let start = ContinuousClock.now
        return AgentClock(
            now: { ContinuousClock.now - start },
            wallNanoseconds: {
                var time = timespec()
                clock_gettime(CLOCK_REALTIME, &time)
                return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
            },
            sleep: { try await ContinuousClock().sleep(for: $0) })
    }()

    /// The time of day as the API carries it.
    package var wall: Time { Time(nanoseconds: wallNanoseconds()) }
}

extension Time {
    /// A time from what the container runtime reports: nanoseconds since 1970.
    package init(nanoseconds: Int64) { self.init(seconds: Int(nanoseconds / 1_000_000_000)) }
}
