/// Pauses that double after every failure, up to a limit.
public struct Backoff: Sendable, Hashable {
    /// The first pause.
    public var initial: Duration
    /// The longest pause, without jitter.
    public var maximum: Duration
    /// By how much of itself a pause is lengthened at random, so that those who failed together do not try
    /// together again.
    public var jitter: Double

    private var failures = 0

    /// Pauses from `initial` to `maximum`.
    public init(initial: Duration, maximum: Duration, jitter: Double = 0) {
        self.initial = initial
        self.maximum = maximum
        self.jitter = jitter
    }

    /// The pause after one more failure.
    ///
    /// - Parameter random: a number in 0..<1.
    public mutating func next(random: Double = 0) -> Duration {
        let pause = Self.pause(initial: initial, maximum: maximum, failures: failures)
        failures += 1
        return pause + pause * (jitter * random)
    }

    /// Forgets the failures.
    public mutating func reset() { failures = 0 }

    /// The pause after so many earlier failures: `initial` doubled as often, or the maximum.
    static func pause(initial: Duration, maximum: Duration, failures: Int) -> Duration {
        var pause = initial
        for _ in 0..<min(max(failures, 0), 62) {
            if pause >= maximum { break }
            pause *= 2
        }
        return min(pause, maximum)
    }
}

/// How much time has passed on a clock since now.
func stopwatch<C: Clock<Duration>>(_ clock: C) -> @Sendable () -> Duration {
    let start = clock.now
    return { start.duration(to: clock.now) }
}
