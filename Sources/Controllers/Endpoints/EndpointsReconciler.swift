import KubernetesAPI

/// Decides what a Service's Endpoints object (core/v1, kept for older clients) says.
package enum EndpointsReconciler {
    package static let managedByLabel = "endpoints.kubernetes.io/managed-by"
    package static let manager = "endpoint-controller"
    package static let overCapacityAnnotation = "endpoints.kubernetes.io/over-capacity"
    /// Addresses that one Endpoints object holds, at most; the rest is only in EndpointSlices.
    package static let capacity = 1000

    /// The object as it should be, or nil if `existing` already is.
    package static func reconcile(
        _ service: Service, pods: [Pod], existing: Endpoints?, trigger: Time?
    ) -> Endpoints? {
        let source = EndpointSource(service: service)
        let family = service.spec.ipFamilies.first ?? (service.spec.clusterIP.contains(":") ? "IPv6" : "IPv4")
        // Terminating pods are no part of Endpoints, unless the Service wants whatever there is.
        let pods = source.eligible(pods).filter {
            !$0.isTerminating || service.spec.publishNotReadyAddresses
        }
        var subsets: [[EndpointSlicePort]: EndpointSubset] = [:]
        let (kept, isOver) = bounded(pods.compactMap { source.endpoint(of: $0, addressType: family) })
        for item in kept {
            var address = EndpointAddress()
            address.ip = item.endpoint.addresses.first ?? ""
            address.hostname = item.endpoint.hostname ?? ""
            address.nodeName = item.endpoint.nodeName
            address.targetRef = item.endpoint.targetRef
            var subset = subsets[item.ports] ?? EndpointSubset()
            if item.endpoint.conditions.ready == true {
                subset.addresses.append(address)
            } else {
                subset.notReadyAddresses.append(address)
            }
            subsets[item.ports] = subset
        }
        var desired = existing ?? Endpoints()
        desired.metadata.name = service.metadata.name
        desired.metadata.namespace = service.metadata.namespace
        desired.metadata.labels = service.metadata.labels
        desired.metadata.labels[managedByLabel] = manager
        if service.spec.clusterIP == "None" {
            desired.metadata.labels["service.kubernetes.io/headless"] = ""
        }
        desired.metadata.annotations[overCapacityAnnotation] = isOver ? "truncated" : nil
        desired.subsets = subsets.map { ports, subset in
            var subset = subset
            subset.ports = ports.map(corePort).sorted { ($0.name, $0.port) < ($1.name, $1.port) }
            subset.addresses.sort { $0.ip < $1.ip }
            subset.notReadyAddresses.sort { $0.ip < $1.ip }
            return subset
        }.sorted { first($0) < first($1) }
        guard desired != existing else { return nil }
        desired.metadata.annotations[EndpointSliceReconciler.triggerTimeAnnotation] = trigger?.description
        return desired
    }

    /// Ready addresses first when not all fit.
    private static func bounded(_ endpoints: [DesiredEndpoint]) -> ([DesiredEndpoint], isOver: Bool) {
        guard endpoints.count > capacity else { return (endpoints, false) }
        let ready = endpoints.filter { $0.endpoint.conditions.ready == true }
        let others = endpoints.filter { $0.endpoint.conditions.ready != true }
        return (Array((ready + others).prefix(capacity)), true)
    }

    private static func first(_ subset: EndpointSubset) -> String {
        (subset.addresses.first ?? subset.notReadyAddresses.first)?.ip ?? ""
    }

    private static func corePort(_ port: EndpointSlicePort) -> EndpointPort {
        var core = EndpointPort()
        core.name = port.name ?? ""
        core.port = port.port ?? 0
        core.`protocol` = port.`protocol` ?? ""
        core.appProtocol = port.appProtocol
        return core
    }
}
