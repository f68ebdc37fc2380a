import HTTPService
import KubernetesAPI
import ObjectStore
import Synchronization
import Telemetry

/// What the API server counts and measures, under upstream's names.
package final class APIMetrics: Sendable {
    /// Upstream's buckets for the time a request takes, in seconds.
    private static let durations: [Double] = [
        0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
    ]

    private struct Key: Hashable {
        var labels: RequestLabels
        var code: UInt
    }

    private struct Series {
        var total: Counter
        var duration: Histogram
        var size: Histogram
    }

    let registry: MetricRegistry
    private let totals: MetricFamily<Counter>
    private let latencies: MetricFamily<Histogram>
    private let sizes: MetricFamily<Histogram>
    private let longRunning: MetricFamily<Gauge>
    private let terminations: MetricFamily<Counter>
    private let watchEvents: MetricFamily<Counter>
    private let watchSizes: MetricFamily<Histogram>
    /// One look-up a request instead of three.
    private let series = Mutex<[Key: Series]>([:])

    package init(_ registry: MetricRegistry) {
        self.registry = registry
        let request = [
            "verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component",
        ]
        let plain = request.filter { $0 != "dry_run" }
        totals = registry.counter(
            "apiserver_request_total", "Requests answered, by what they asked for and the status they got.",
            labels: request + ["code"])
        latencies = registry.histogram(
            "apiserver_request_duration_seconds", "Time from a request's arrival to its answer, in seconds.",
            labels: request, buckets: Self.durations)
        sizes = registry.histogram(
            "apiserver_response_sizes", "Sizes of answers to get and list, in bytes.", labels: plain,
            buckets: Histogram.exponential(from: 1000, factor: 10, count: 7))
        longRunning = registry.gauge(
            "apiserver_longrunning_requests",
            "Requests under way that last as long as their clients want, such as watches.", labels: plain)
        terminations = registry.counter(
            "apiserver_request_terminations_total",
            "Requests that the server refused to go on with, to protect itself.", labels: plain + ["code"])
        watchEvents = registry.counter(
            "apiserver_watch_events_total", "Events sent to watchers.",
            labels: ["group", "version", "resource"])
        watchSizes = registry.histogram(
            "apiserver_watch_events_sizes", "Sizes of events sent to watchers, in bytes.",
            labels: ["group", "version", "resource"],
            buckets: Histogram.exponential(from: 1024, factor: 2, count: 8))
        let version = ServerVersion.document
        let names = ["major", "minor", "git_version", "git_commit", "git_tree_state", "platform"]
        let members = ["major", "minor", "gitVersion", "gitCommit", "gitTreeState", "platform"]
        registry.read(
            "kubernetes_build_info", "1, with what this program says of its version.", labels: names
        ) { [.init(1, labels: members.map { version[$0]?.stringValue ?? "" })] }
        ProcessMetrics.add(to: registry)
    }

    /// Counts a request that was answered.
    ///
    /// - Parameter size: the bytes of its answer; nil when it was streamed.
    func record(_ labels: RequestLabels, code: UInt, took duration: Duration, size: Int?) {
        let key = Key(labels: labels, code: code)
        let series = series.withLock { all -> Series in
            if let found = all[key] { return found }
            let values = labels.values
            let made = Series(
                total: totals[values + ["\(code)"]], duration: latencies[values], size: sizes[labels.plain])
            all[key] = made
            return made
        }
        series.total.increment()
        series.duration.observe(duration)
        if let size, labels.verb == "GET" || labels.verb == "LIST" { series.size.observe(Double(size)) }
    }

    /// The gauge that a long request is in while it lasts.
    func running(_ labels: RequestLabels) -> Gauge { longRunning[labels.plain] }

    /// Counts a request that was cut short or turned away.
    func terminated(_ labels: RequestLabels, code: Int) {
        terminations[labels.plain + ["\(code)"]].increment()
    }

    /// Where the events that a watch sends are counted.
    func watched(_ kind: ResourceKind) -> WatchMetrics {
        let labels = [kind.group, kind.version, kind.plural]
        return WatchMetrics(events: watchEvents[labels], sizes: watchSizes[labels])
    }

    /// Metrics that are read when somebody looks.
    func observe(_ store: ObjectStore, _ limit: InFlightLimit) {
        registry.read(
            "apiserver_storage_objects", "Objects stored, by resource.", labels: ["resource"]
        ) { store.resources.map { .init(Double(store.count(resource: $0)), labels: [$0]) } }
        registry.read(
            "apiserver_current_inflight_requests", "Requests being answered that count against a limit.",
            labels: ["request_kind"]
        ) {
            [
                .init(Double(limit.mutating), labels: ["mutating"]),
                .init(Double(limit.readOnly), labels: ["readOnly"]),
            ]
        }
    }
}

/// The counts of one resource's watch events.
struct WatchMetrics: Sendable {
    let events: Counter
    let sizes: Histogram

    func sent(bytes: Int) {
        events.increment()
        sizes.observe(Double(bytes))
    }
}

extension RequestLabels {
    /// In the order of the metrics' labels.
    fileprivate var values: [String] {
        [verb, dryRun, group, version, resource, subresource, scope, "apiserver"]
    }

    fileprivate var plain: [String] {
        [verb, group, version, resource, subresource, scope, "apiserver"]
    }
}
