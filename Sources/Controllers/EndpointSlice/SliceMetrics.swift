import KubernetesAPI
import KubernetesClient
import Synchronization
import Telemetry

/// What is counted of the work on EndpointSlices, under upstream's names. Those of Services and those that mirror
/// Endpoints have the same, under names of their own.
final class SliceMetrics: Sendable {
    /// How a look at a Service ended.
    enum Result: String { case success, stale, error }

    private struct Holding {
        var account: SliceAccount
        var distribution: String
    }

    private let added: Histogram
    private let updated: Histogram
    private let removed: Histogram
    private let changed: MetricFamily<Histogram>
    private let changes: MetricFamily<Counter>
    private let syncs: MetricFamily<Counter>
    private let held = Mutex<[NamespacedName: Holding]>([:])

    /// - Parameter subsystem: the first part of the metrics' names.
    init(_ subsystem: String, registry: MetricRegistry = .shared) {
        let buckets = Histogram.exponential(from: 2, factor: 2, count: 15)
        func endpoints(_ what: String) -> Histogram {
            registry.histogram(
                "\(subsystem)_endpoints_\(what)_per_sync", "Number of endpoints \(what) on each sync",
                buckets: buckets)()
        }
        added = endpoints("added")
        updated = endpoints("updated")
        removed = endpoints("removed")
        changed = registry.histogram(
            "\(subsystem)_endpointslices_changed_per_sync",
            "Number of EndpointSlices changed on each Service sync",
            labels: ["topology", "traffic_distribution"],
            buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
        changes = registry.counter(
            "\(subsystem)_changes", "Number of EndpointSlice changes", labels: ["operation"])
        syncs = registry.counter("\(subsystem)_syncs", "Number of EndpointSlice syncs", labels: ["result"])
        func sum(_ name: String, _ help: String, _ value: @escaping @Sendable (SliceAccount) -> Int) {
            registry.read("\(subsystem)_\(name)", help) { [weak self] in
                let sum = self?.held.withLock { $0.values.reduce(0) { $0 + value($1.account) } }
                return sum.map { [.init(Double($0))] } ?? []
            }
        }
        sum("endpoints_desired", "Number of endpoints desired") { $0.endpoints }
        sum("num_endpoint_slices", "Number of EndpointSlices") { $0.slices }
        sum(
            "desired_endpoint_slices",
            "Number of EndpointSlices that would exist with perfect endpoint allocation"
        ) { $0.neededSlices }
        registry.read(
            "\(subsystem)_services_count_by_traffic_distribution",
            "Number of Services using some specific trafficDistribution", labels: ["traffic_distribution"]
        ) { [weak self] in
            var counts: [String: Int] = [:]
            for holding in self?.held.withLock({ Array($0.values) }) ?? []
            where !holding.distribution.isEmpty {
                counts[holding.distribution, default: 0] += 1
            }
            return counts.sorted { $0.key < $1.key }.map { .init(Double($0.value), labels: [$0.key]) }
        }
    }

    /// Counts a look at a Service that led to these changes.
    func reconciled(
        _ key: NamespacedName, _ service: Service?, _ made: EndpointSliceChanges, existing: [EndpointSlice],
        capacity: Int
    ) {
        let account = SliceAccount(made, existing: existing, capacity: capacity)
        let distribution = service?.spec.trafficDistribution ?? ""
        held.withLock {
            $0[key] =
                account.slices == 0 && distribution.isEmpty
                ? nil : Holding(account: account, distribution: distribution)
        }
        added.observe(Double(account.added))
        updated.observe(Double(account.updated))
        removed.observe(Double(account.removed))
        let isAuto = service.map { EndpointSource(service: $0).asksForTopologyMode } ?? false
        changed(isAuto ? "Auto" : "Disabled", distribution)
            .observe(Double(made.create.count + made.update.count + made.delete.count))
        for (operation, count) in [
            ("create", made.create.count), ("update", made.update.count), ("delete", made.delete.count),
        ] where count > 0 { changes(operation).increment(by: count) }
    }

    /// Counts how a look at a Service ended.
    func ended(_ result: Result) { syncs(result.rawValue).increment() }

    /// The Service is gone.
    func forget(_ key: NamespacedName) { held.withLock { $0[key] = nil } }
}
