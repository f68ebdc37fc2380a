import Synchronization

/// One line (or, of a histogram, one group of lines) of a metric: the value under one set of labels.
public protocol MetricSeries: AnyObject, Sendable {
    /// What `# TYPE` says.
    static var type: MetricType { get }
    /// Writes the present value.
    func write(_ name: String, _ labels: MetricLabels, to text: inout MetricText)
}

/// What kind of number a metric is.
public enum MetricType: String, Sendable, Hashable {
    case counter, gauge, histogram
}

/// A number that only grows.
public final class Counter: MetricSeries {
    public static let type = MetricType.counter
    private let count = Atomic<UInt64>(0)

    init() {}

    /// Counts.
    public func increment(by amount: Int = 1) {
        count.wrappingAdd(UInt64(max(amount, 0)), ordering: .relaxed)
    }

    /// What was counted so far.
    public var value: UInt64 { count.load(ordering: .relaxed) }

    public func write(_ name: String, _ labels: MetricLabels, to text: inout MetricText) {
        text.line(name, labels, Double(value))
    }
}

/// A number that comes and goes.
public final class Gauge: MetricSeries {
    public static let type = MetricType.gauge
    private let present = Atomic<Int>(0)

    init() {}

    /// Sets the value.
    public func set(_ value: Int) { present.store(value, ordering: .relaxed) }

    /// Changes the value.
    public func add(_ amount: Int) { present.wrappingAdd(amount, ordering: .relaxed) }

    /// The present value.
    public var value: Int { present.load(ordering: .relaxed) }

    public func write(_ name: String, _ labels: MetricLabels, to text: inout MetricText) {
        text.line(name, labels, Double(value))
    }
}

/// How observed numbers are spread over buckets.
public final class Histogram: MetricSeries {
    public static let type = MetricType.histogram

    /// What was observed so far.
    public struct Snapshot: Sendable, Hashable {
        /// How many observations fell into each bucket, the last one without an upper bound.
        public var counts: [UInt64]
        /// The sum of all observations.
        public var sum: Double
        /// How many observations there were.
        public var total: UInt64 { counts.reduce(0, +) }
    }

    /// The upper bounds of the buckets, ascending.
    public let bounds: [Double]
    // Held for a few nanoseconds: the buckets and the sum change together.
    private let state: Mutex<Snapshot>

    init(bounds: [Double]) {
        self.bounds = bounds
        state = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1), sum: 0))
    }

    /// Takes a number in.
    public func observe(_ value: Double) {
        var bucket = 0
        while bucket < bounds.count, value > bounds[bucket] { bucket += 1 }
        state.withLock { state in
            state.counts[bucket] += 1
            state.sum += value
        }
    }

    /// Takes a time in, as seconds.
    public func observe(_ duration: Duration) { observe(duration / .seconds(1)) }

    /// What was observed so far.
    public var snapshot: Snapshot { state.withLock { $0 } }

    public func write(_ name: String, _ labels: MetricLabels, to text: inout MetricText) {
        let snapshot = snapshot
        var sum: UInt64 = 0
        for (index, count) in snapshot.counts.enumerated() {
            sum += count
            let bound = index < bounds.count ? bounds[index] : .infinity
            text.line(name + "_bucket", labels.adding("le", MetricText.number(bound)), Double(sum))
        }
        text.line(name + "_sum", labels, snapshot.sum)
        text.line(name + "_count", labels, Double(sum))
    }

    /// `count` bounds that begin at `start` and grow by `factor`.
    public static func exponential(from start: Double, factor: Double, count: Int) -> [Double] {
        var bounds: [Double] = []
        var next = start
        for _ in 0..<count {
            bounds.append(next)
            next *= factor
        }
        return bounds
    }
}
