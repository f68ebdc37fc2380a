import KubernetesAPI
public import KubernetesClient
public import Logging
import Netlink
public import Telemetry

extension ServiceProxy {
    /// A proxy that learns of Services and EndpointSlices from these informers, which somebody else runs.
    ///
    /// - Parameters:
    ///   - followsRanges: whether ServiceCIDR objects are followed, beside the ranges of the configuration. A server
    ///     older than Kubernetes 1.33 has none.
    ///   - registry: where the proxy counts what it does.
    ///   - recorder: tells people, on the Service, of what goes wrong.
    ///   - clock: measures the pauses before connections are cut off and before a failed transaction is
    ///     tried again.
    public convenience init(
        _ configuration: ProxyConfiguration, informers: InformerSet, followsRanges: Bool = true,
        registry: MetricRegistry = .shared, recorder: EventRecorder? = nil,
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "swiftlet.proxy")
    ) {
        self.init(
            configuration, informers: informers, namespace: nil, registry: registry, recorder: recorder,
            clock: clock, logger: logger)
        if followsRanges { followRanges(informers, configuration) }
        followZone(informers, configuration)
    }

    /// The same, working in another network namespace than this process is in.
    package convenience init(
        _ configuration: ProxyConfiguration, informers: InformerSet, namespace: NetworkNamespace?,
        registry: MetricRegistry = MetricRegistry(), recorder: EventRecorder? = nil,
        clock: any Clock<Duration>, logger: Logger
    ) {
        let metrics = ProxyMetrics(registry)
        let queue = ProxyQueue(nodeName: configuration.nodeName, metrics: metrics)
        self.init(
            configuration, queue: queue, namespace: namespace, clock: clock, metrics: metrics,
            recorder: recorder, logger: logger)
        let services = informers.informer(Service.self)
        services.subscribe { [weak services] event in
            switch event {
            case .added(let service), .updated(_, let service): queue.set(service)
            case .deleted(let service): queue.remove(service)
            case .synced: queue.complete(.services, revision: services?.resourceVersion ?? "")
            }
        }
        let slices = informers.informer(EndpointSlice.self)
        slices.subscribe { [weak slices] event in
            switch event {
            case .added(let slice), .updated(_, let slice): queue.set(slice)
            case .deleted(let slice): queue.remove(slice)
            case .synced: queue.complete(.endpointSlices, revision: slices?.resourceVersion ?? "")
            }
        }
    }

    /// All ServiceCIDRs count, those that are to go too: Services may have addresses from them.
    private func followRanges(_ informers: InformerSet, _ configuration: ProxyConfiguration) {
        let objects = informers.informer(ServiceCIDR.self)
        objects.subscribe { [weak objects, queue] _ in
            guard let objects, objects.hasSynced else { return }
            var ranges = configuration.serviceRanges
            for range in objects.list().flatMap(\.spec.cidrs).compactMap({ IPNetwork($0) })
            where !ranges.contains(range) {
                ranges.append(range)
            }
            queue.set(ranges: ranges)
        }
    }

    private func followZone(_ informers: InformerSet, _ configuration: ProxyConfiguration) {
        let label = "topology.kubernetes.io/zone"
        informers.informer(
            Node.self, scope: InformerScope(fieldSelector: "metadata.name=\(configuration.nodeName)")
        ).subscribe { [queue] event in
            switch event {
            case .updated(let old, let new) where old.metadata.labels[label] == new.metadata.labels[label]:
                break
            case .added(let node), .updated(_, let node): queue.set(zone: node.metadata.labels[label])
            case .deleted, .synced: break
            }
        }
    }
}
