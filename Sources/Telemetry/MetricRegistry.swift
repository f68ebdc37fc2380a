import Synchronization

/// All series of one metric: one for each set of label values that was asked for.
public final class MetricFamily<Series: MetricSeries>: Sendable {
    let name: String
    let help: String
    let labels: [String]
    private let make: @Sendable () -> Series
    private let series = Mutex<[[String]: Series]>([:])

    init(_ name: String, _ help: String, _ labels: [String], _ make: @escaping @Sendable () -> Series) {
        self.name = name
        self.help = help
        self.labels = labels
        self.make = make
    }

    /// The series under these label values, given in the order of the metric's labels. Whoever counts often
    /// keeps it: looking it up is dearer than counting.
    public func callAsFunction(_ values: String...) -> Series { self[values] }

    /// The series under these label values.
    public subscript(values: [String]) -> Series {
        series.withLock { series in
            if let found = series[values] { return found }
            let made = make()
            series[values] = made
            return made
        }
    }
}

/// The metrics of a process, or of a part of it in tests.
public final class MetricRegistry: Sendable {
    /// A value that is not kept but read when somebody looks.
    public struct Sample: Sendable {
        var labels: [String]
        var value: Double

        /// A value under label values.
        public init(_ value: Double, labels: [String] = []) {
            self.labels = labels
            self.value = value
        }
    }

    /// The metrics of this process.
    public static let shared = MetricRegistry()

    private struct Entry: Sendable {
        var help: String
        var type: MetricType
        /// The family, for those who ask for it again.
        var family: (any AnyObject & Sendable)?
        var writers: [@Sendable (inout MetricText) -> Void]
    }

    private let entries = Mutex<[String: Entry]>([:])

    /// A registry without metrics.
    public init() {}

    /// A metric that counts. Asked for again under the same name, it is the same one.
    public func counter(_ name: String, _ help: String, labels: [String] = []) -> MetricFamily<Counter> {
        family(name, help, labels) { Counter() }
    }

    /// A metric that goes up and down. Asked for again under the same name, it is the same one.
    public func gauge(_ name: String, _ help: String, labels: [String] = []) -> MetricFamily<Gauge> {
        family(name, help, labels) { Gauge() }
    }

    /// A metric that spreads what it observes over buckets. Asked for again under the same name, it is the same one.
    ///
    /// - Parameter buckets: their upper bounds, ascending.
    public func histogram(
        _ name: String, _ help: String, labels: [String] = [], buckets: [Double]
    ) -> MetricFamily<Histogram> {
        family(name, help, labels) { Histogram(bounds: buckets) }
    }

    /// A metric that is read when somebody looks. Several may share a name, such as one a queue.
    public func read(
        _ name: String, _ help: String, type: MetricType = .gauge, labels: [String] = [],
        _ values: @escaping @Sendable () -> [Sample]
    ) {
        let writer: @Sendable (inout MetricText) -> Void = { text in
            for sample in values() { text.line(name, MetricLabels(labels, sample.labels), sample.value) }
        }
        entries.withLock { entries in
            entries[name, default: Entry(help: help, type: type, writers: [])].writers.append(writer)
        }
    }

    private func family<Series: MetricSeries>(
        _ name: String, _ help: String, _ labels: [String], _ make: @escaping @Sendable () -> Series
    ) -> MetricFamily<Series> {
        entries.withLock { entries in
            if let found = entries[name]?.family as? MetricFamily<Series> { return found }
            let family = MetricFamily(name, help, labels, make)
            entries[name] = Entry(
                help: help, type: Series.type, family: family, writers: [{ family.write(to: &$0) }])
            return family
        }
    }

    /// The metrics, sorted by name, in Prometheus' text format.
    ///
    /// - Parameter isWanted: by the metric's name.
    public func text(where isWanted: (String) -> Bool = { _ in true }) -> String {
        let all = entries.withLock { $0 }
        var text = MetricText()
        for (name, entry) in all.filter({ isWanted($0.key) }).sorted(by: { $0.key < $1.key }) {
            text.header(name, entry.help, entry.type)
            for writer in entry.writers { writer(&text) }
        }
        return text.text
    }
}

extension MetricFamily {
    fileprivate func write(to text: inout MetricText) {
        let all = series.withLock { $0 }
        for (values, series) in all.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            series.write(name, MetricLabels(labels, values), to: &text)
        }
    }
}
