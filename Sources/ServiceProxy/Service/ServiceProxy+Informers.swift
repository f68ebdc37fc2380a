import KubernetesAPI
import KubernetesClient
import Logging
import Netlink

extension ServiceProxy {
    /// A proxy that learns of Services and EndpointSlices from these informers, which somebody else runs.
    ///
    /// - Parameter clock: measures the pauses before connections are cut off and before a failed transaction is
    ///   tried again.
    public convenience init(
        _ configuration: ProxyConfiguration, informers: InformerSet,
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "swiftlet.proxy")
    ) {
        self.init(configuration, informers: informers, namespace: nil, clock: clock, logger: logger)
    }

    /// The same, working in another network namespace than this process is in.
    package convenience init(
        _ configuration: ProxyConfiguration, informers: InformerSet, namespace: NetworkNamespace?,
        clock: any Clock<Duration>, logger: Logger
    ) {
        let queue = ProxyQueue(nodeName: configuration.nodeName)
        self.init(configuration, queue: queue, namespace: namespace, clock: clock, logger: logger)
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
}
