import Telemetry

/// How long writes take, under the name by which upstream's dashboards know it.
struct StoreMetrics: Sendable {
    private let durations: MetricFamily<Histogram>

    init(_ registry: MetricRegistry) {
        durations = registry.histogram(
            "etcd_request_duration_seconds", "Time until a write was durable, in seconds.",
            labels: ["operation", "group", "resource"],
            buckets: [
                0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30,
                45,
                60,
            ])
    }

    func record(_ mutation: Mutation, took duration: Duration) {
        let operation =
            switch mutation {
            case .create: "create"
            case .update: "update"
            case .delete: "delete"
            }
        // `deployments.apps`
        let parts = mutation.key.resource.split(separator: ".", maxSplits: 1).map(String.init)
        durations(operation, parts.count > 1 ? parts[1] : "", parts.first ?? "").observe(duration)
    }
}
