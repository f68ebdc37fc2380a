import Telemetry

/// How busy a queue is.
struct WorkQueueLoad: Sendable {
    var depth: Int
    var added: Int
    var retried: Int
    /// The time for which keys have been worked on by now, all together and the longest.
    var unfinished: Duration
    var longest: Duration

    init<Key>(_ keys: WorkQueueState<Key>, now: Duration) {
        depth = keys.count
        added = keys.added
        retried = keys.retried
        let times = keys.processing.values.map { now - $0 }
        unfinished = times.reduce(.zero, +)
        longest = times.max() ?? .zero
    }
}

/// What is measured of a queue, under the names that upstream's controllers use.
struct WorkQueueMetrics: Sendable {
    private let name: String
    private let registry: MetricRegistry
    /// How long keys wait, and how long the work on them takes.
    let wait: Histogram
    let work: Histogram

    init(_ name: String, _ registry: MetricRegistry) {
        self.name = name
        self.registry = registry
        let buckets = Histogram.exponential(from: 1e-8, factor: 10, count: 10)
        wait = registry.histogram(
            "workqueue_queue_duration_seconds", "How long keys waited to be taken, in seconds.",
            labels: ["name"], buckets: buckets)(name)
        work = registry.histogram(
            "workqueue_work_duration_seconds", "How long the work on a key took, in seconds.",
            labels: ["name"], buckets: buckets)(name)
    }

    /// - Parameter load: nil once the queue is gone.
    func observe(_ load: @escaping @Sendable () -> WorkQueueLoad?) {
        func read(
            _ metric: String, _ help: String, _ type: MetricType = .gauge,
            _ value: @escaping @Sendable (WorkQueueLoad) -> Double
        ) {
            registry.read(metric, help, type: type, labels: ["name"]) { [name] in
                load().map { [.init(value($0), labels: [name])] } ?? []
            }
        }
        read("workqueue_depth", "Keys that wait.") { Double($0.depth) }
        read("workqueue_adds_total", "Keys added.", .counter) { Double($0.added) }
        read("workqueue_retries_total", "Keys that came again because they had failed.", .counter) {
            Double($0.retried)
        }
        read(
            "workqueue_unfinished_work_seconds", "Time spent so far on keys that are not done, in seconds."
        ) { $0.unfinished / .seconds(1) }
        read(
            "workqueue_longest_running_processor_seconds",
            "Time spent so far on the key that takes longest, in seconds."
        ) { $0.longest / .seconds(1) }
    }
}
