import KubernetesAPI
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

    private let changes: [DataPlaneRevision.Resource: Counter]
    private let sync: Histogram
    private let full: Histogram
    private let partial: Histogram
    private let programming: Histogram
    private let failures: Counter
    private let healthz: MetricFamily<Counter>
    private let livez: MetricFamily<Counter>
    private let state = Mutex(Times())
    private let pending = Mutex<[DataPlaneRevision.Resource: Int]>([:])
    private let now: @Sendable () -> MicroTime
    /// Causes that lie before this are not this proxy's to measure.
    private let start: MicroTime

    /// - Parameter now: the time of day.
    package init(
        _ registry: MetricRegistry, now: @escaping @Sendable () -> MicroTime = { MicroTime.now() }
    ) {
        self.now = now
        start = now()
        changes = [
            .services: registry.counter(
                "kubeproxy_sync_proxy_rules_service_changes_total", "Cumulative proxy rules Service changes")(),
            .endpointSlices: registry.counter(
                "kubeproxy_sync_proxy_rules_endpoint_changes_total",
                "Cumulative proxy rules Endpoint changes")(),
        ]
        func duration(_ name: String, _ help: String) -> Histogram {
            registry.histogram(
                name, help, buckets: Histogram.exponential(from: 0.001, factor: 2, count: 15))()
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
            "In Cluster Network Programming Latency in seconds",
            buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5]
                + (1...59).map(Double.init) + stride(from: 60.0, to: 120, by: 5)
                + stride(from: 120.0, through: 300, by: 30))()
        failures = registry.counter(
            "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
            "Cumulative proxy nftables sync failures")()
        healthz = registry.counter(
            "kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status", labels: ["code"])
        livez = registry.counter(
            "kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status", labels: ["code"])
        show(registry)
    }

    private func show(_ registry: MetricRegistry) {
        @Sendable func seconds(_ time: MicroTime?) -> [MetricRegistry.Sample] {
            [.init(Double(time?.microseconds ?? 0) / 1_000_000)]
        }
        registry.read(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
            "The last time proxy rules were successfully synced"
        ) { [weak self] in seconds(self?.times.committed) }
        registry.read(
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
            "The last time a sync of proxy rules was queued"
        ) { [weak self] in seconds(self?.times.queued) }
        for (resource, name, help) in [
            (DataPlaneRevision.Resource.services, "service", "Service"),
            (.endpointSlices, "endpoint", "Endpoint"),
        ] {
            registry.read(
                "kubeproxy_sync_proxy_rules_\(name)_changes_pending", "Pending proxy rules \(help) changes"
            ) { [weak self] in [.init(Double(self?.pending.withLock { $0[resource] ?? 0 } ?? 0))] }
        }
    }

    /// When what happened last.
    package var times: Times { state.withLock { $0 } }

    /// Whether the kernel keeps up.
    package var isHealthy: Bool { times.isHealthy(at: now()) }

    /// A change came in.
    package func queued(_ resource: DataPlaneRevision.Resource) {
        let now = now()
        changes[resource]?.increment()
        pending.withLock { $0[resource, default: 0] += 1 }
        state.withLock { state in
            state.queued = now
            if state.waitingSince == nil { state.waitingSince = now }
        }
    }

    /// The changes so far are being worked on.
    package func taken() {
        pending.withLock { $0 = [:] }
    }

    /// The kernel was brought up to date.
    ///
    /// - Parameters:
    ///   - took: planning and transaction together.
    ///   - isFull: whether the whole table was written.
    ///   - triggers: when the changes happened that led to those of EndpointSlices.
    package func committed(took: Duration, isFull: Bool, triggers: [MicroTime]) {
        let now = now()
        sync.observe(took)
        (isFull ? full : partial).observe(took)
        for trigger in triggers where trigger > start {
            programming.observe(Double(now.microseconds - trigger.microseconds) / 1_000_000)
        }
        let isPending = pending.withLock { !$0.isEmpty }
        state.withLock { state in
            state.committed = now
            state.waitingSince = isPending ? now : nil
        }
    }

    /// The kernel refused a transaction.
    package func failed() { failures.increment() }

    /// Somebody asked how the proxy is.
    package func answered(_ path: String, code: Int) {
        (path == "/livez" ? livez : healthz)("\(code)").increment()
    }
}
