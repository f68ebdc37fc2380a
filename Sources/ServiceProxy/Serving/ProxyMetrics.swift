import KubernetesAPI
import Netlink
import Synchronization
import Telemetry

/// What the proxy counts and measures, under the names that kube-proxy has for it.
package final class ProxyMetrics: Sendable {
    /// What `/healthz` asks: whether the kernel keeps up.
    package struct Times: Sendable, Hashable {
        /// When the oldest change came in that the kernel does not reflect yet.
        package var waitingSince: MicroTime?
        /// When a change came in last.
        package var queued: MicroTime?
        /// When the kernel was last brought up to date.
        package var committed: MicroTime?

        package init() {}

        /// Whether the kernel keeps up: no change waits for longer than a minute, which is kube-proxy's bound.
        package func isHealthy(at now: MicroTime) -> Bool {
            guard committed != nil else { return false }
            guard let waitingSince else { return true }
            return now.microseconds - waitingSince.microseconds < 60_000_000
        }
    }

    private let registry: MetricRegistry
    private let changes: [DataPlaneRevision.Resource: Counter]
    private let sync: MetricFamily<Histogram>
    private let full: MetricFamily<Histogram>
    private let partial: MetricFamily<Histogram>
    private let programming: MetricFamily<Histogram>
    private let reconcileTimes: MetricFamily<Histogram>
    private let reconcileCounts: MetricFamily<Counter>
    private let failures: MetricFamily<Counter>
    private let healthz: MetricFamily<Counter>
    private let livez: MetricFamily<Counter>
    // Those that kube-proxy has not.
    private let endpointsSync: Histogram
    private let repairs: Counter
    private let failedRepairs: Counter
    private let skippedParts: MetricFamily<Counter>
    private let families = Mutex<[Netlink.IPAddress.Family]>([])
    private let state = Mutex(Times())
    private let pending = Mutex<[DataPlaneRevision.Resource: Int]>([:])
    private let slices = Mutex(SliceTimes())
    private let now: @Sendable () -> MicroTime
    /// Causes that lie before this are not this proxy's to measure.
    private let start: MicroTime

    /// When the oldest EndpointSlice came in, of those that wait and of those that are being worked on.
    private struct SliceTimes {
        var waitingSince: MicroTime?
        var workedOnSince: MicroTime?
    }

    /// - Parameter now: the time of day.
    package init(
        _ registry: MetricRegistry, now: @escaping @Sendable () -> MicroTime = { MicroTime.now() }
    ) {
        self.registry = registry
        self.now = now
        start = now()
        changes = [
            .services: registry.counter(
                "kubeproxy_sync_proxy_rules_service_changes_total", "Cumulative proxy rules Service changes")(),
            .endpointSlices: registry.counter(
                "kubeproxy_sync_proxy_rules_endpoint_changes_total",
                "Cumulative proxy rules Endpoint changes")(),
        ]
        let durations = Histogram.exponential(from: 0.001, factor: 2, count: 15)
        func duration(_ name: String, _ help: String) -> MetricFamily<Histogram> {
            registry.histogram(name, help, labels: ["ip_family"], buckets: durations)
        }
        sync = duration("kubeproxy_sync_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds")
        full = duration(
            "kubeproxy_sync_full_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for full resyncs")
        partial = duration(
            "kubeproxy_sync_partial_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for partial resyncs")
        // Kube-proxy's buckets, and finer ones below them: here most are below its first.
        programming = registry.histogram(
            "kubeproxy_network_programming_duration_seconds",
            "In Cluster Network Programming Latency in seconds", labels: ["ip_family"],
            buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5]
                + (1...59).map(Double.init) + stride(from: 60.0, to: 120, by: 5)
                + stride(from: 120.0, through: 300, by: 30))
        reconcileTimes = duration(
            "kubeproxy_conntrack_reconciler_sync_duration_seconds",
            "ReconcileConntrackFlowsLatency latency in seconds")
        reconcileCounts = registry.counter(
            "kubeproxy_conntrack_reconciler_deleted_entries_total",
            "Cumulative conntrack flows deleted by conntrack reconciler", labels: ["ip_family"])
        failures = registry.counter(
            "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
            "Cumulative proxy nftables sync failures", labels: ["ip_family"])
        healthz = registry.counter(
            "kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status", labels: ["code"])
        livez = registry.counter(
            "kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status", labels: ["code"])
        endpointsSync = registry.histogram(
            "swiftlet_proxy_endpoints_sync_duration_seconds",
            "From the first EndpointSlice that waited until the kernel reflected all that had come, in seconds",
            buckets: durations)()
        repairs = registry.counter(
            "swiftlet_proxy_table_repairs_total",
            "Times that the proxy's nftables tables were put right after somebody else had changed them")()
        failedRepairs = registry.counter(
            "swiftlet_proxy_table_repair_failures_total",
            "Times that the proxy's nftables tables could not be put right after somebody else had changed them"
        )()
        skippedParts = registry.counter(
            "swiftlet_proxy_skipped_total",
            "Addresses, ports and endpoints of objects that came in which cannot be used and were passed over",
            labels: ["resource", "field"])
        show(registry)
    }

    private func show(_ registry: MetricRegistry) {
        for (name, help, time) in [
            (
                "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                "The last time proxy rules were successfully synced", { @Sendable in $0.committed }
            ),
            (
                "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
                "The last time a sync of proxy rules was queued", { @Sendable in $0.queued }
            ),
        ] as [(String, String, @Sendable (Times) -> MicroTime?)] {
            registry.read(name, help, labels: ["ip_family"]) { [weak self] in
                guard let self else { return [] }
                let seconds = Double(time(times)?.microseconds ?? 0) / 1_000_000
                return labels().map { .init(seconds, labels: [$0]) }
            }
        }
        for (resource, name, help) in [
            (DataPlaneRevision.Resource.services, "service", "Service"),
            (.endpointSlices, "endpoint", "Endpoint"),
        ] {
            registry.read(
                "kubeproxy_sync_proxy_rules_\(name)_changes_pending", "Pending proxy rules \(help) changes"
            ) { [weak self] in [.init(Double(self?.pending.withLock { $0[resource] ?? 0 } ?? 0))] }
        }
    }

    /// The proxy has these families. Both are brought up to date together, where kube-proxy has a proxy for each: what
    /// that takes is shown of both.
    package func show(families: Set<Netlink.IPAddress.Family>) {
        self.families.withLock { $0 = families.sorted() }
        // That nothing was counted is a number too.
        for family in labels() {
            _ = (reconcileCounts(family), failures(family))
            for duration in [sync, full, partial, programming, reconcileTimes] { _ = duration(family) }
        }
    }

    /// Has Service ports counted that lack an endpoint on this node, whenever somebody looks.
    package func showMissingLocalEndpoints(_ read: @escaping @Sendable () -> MissingLocalEndpoints?) {
        registry.read(
            "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
            "Number of services with a Local traffic policy and no endpoints",
            labels: ["traffic_policy", "ip_family"]
        ) { [weak self] in
            guard let self, let missing = read() else { return [] }
            return families.withLock { $0 }.flatMap { family in
                MissingLocalEndpoints.Policy.allCases.map { policy in
                    MetricRegistry.Sample(
                        Double(missing.count(family, policy)),
                        labels: [policy.rawValue, Self.label(family)])
                }
            }
        }
    }

    private static func label(_ family: Netlink.IPAddress.Family) -> String {
        family == .ipv4 ? "IPv4" : "IPv6"
    }

    private func labels() -> [String] { families.withLock { $0 }.map(Self.label) }

    /// When what happened last.
    package var times: Times { state.withLock { $0 } }

    /// Whether the kernel keeps up.
    package var isHealthy: Bool { times.isHealthy(at: now()) }

    /// A change came in.
    package func queued(_ resource: DataPlaneRevision.Resource) {
        let now = now()
        changes[resource]?.increment()
        pending.withLock { $0[resource, default: 0] += 1 }
        if resource == .endpointSlices { slices.withLock { $0.waitingSince = $0.waitingSince ?? now } }
        state.withLock { state in
            state.queued = now
            if state.waitingSince == nil { state.waitingSince = now }
        }
    }

    /// Parts of an object that came in cannot be used.
    package func skipped(_ resource: DataPlaneRevision.Resource, _ parts: SkippedParts) {
        for (field, count) in parts.counts {
            skippedParts(resource == .services ? "services" : "endpointslices", field).increment(by: count)
        }
    }

    /// The changes so far are being worked on.
    package func taken() {
        pending.withLock { $0 = [:] }
        slices.withLock { slices in
            slices.workedOnSince = slices.workedOnSince ?? slices.waitingSince
            slices.waitingSince = nil
        }
    }

    /// The kernel was brought up to date.
    ///
    /// - Parameters:
    ///   - took: planning and transaction together.
    ///   - isFull: whether the whole table was written.
    ///   - triggers: when the changes happened that led to those of EndpointSlices.
    package func committed(took: Duration, isFull: Bool, triggers: [ProxyQueue.Trigger]) {
        let now = now()
        for family in families.withLock({ $0 }) {
            let label = Self.label(family)
            sync(label).observe(took)
            (isFull ? full : partial)(label).observe(took)
            for trigger in triggers where trigger.family == family && trigger.time > start {
                programming(label).observe(Self.seconds(from: trigger.time, to: now))
            }
        }
        let worked = slices.withLock { slices in
            defer { slices.workedOnSince = nil }
            return slices.workedOnSince
        }
        if let worked { endpointsSync.observe(Self.seconds(from: worked, to: now)) }
        let isPending = pending.withLock { !$0.isEmpty }
        state.withLock { state in
            state.committed = now
            state.waitingSince = isPending ? now : nil
        }
    }

    private static func seconds(from past: MicroTime, to now: MicroTime) -> Double {
        Double(now.microseconds - past.microseconds) / 1_000_000
    }

    /// The kernel refused a transaction.
    /// - Parameter family: of the addresses in it; nil for what concerns them all.
    package func failed(_ family: Netlink.IPAddress.Family?) {
        for label in family.map({ [Self.label($0)] }) ?? labels() { failures(label).increment() }
    }

    /// Measures how long connections of a family are looked for that must not go on, and counts those that were found.
    /// - Parameter body: looks for them, and returns how many there were.
    package func reconciling(
        _ family: Netlink.IPAddress.Family, _ body: () async throws -> Int
    ) async rethrows -> Int {
        let label = Self.label(family)
        let start = ContinuousClock.now
        let count = try await body()
        reconcileTimes(label).observe(ContinuousClock.now - start)
        reconcileCounts(label).increment(by: count)
        return count
    }

    /// Somebody else had changed the tables, and they were put right.
    package func repaired() { repairs.increment() }

    /// Somebody else has changed the tables, and they could not be put right.
    package func repairFailed() { failedRepairs.increment() }

    /// Somebody asked how the proxy is.
    package func answered(_ path: String, code: Int) {
        (path == "/livez" ? livez : healthz)("\(code)").increment()
    }
}
