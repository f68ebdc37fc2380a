import KubernetesAPI

/// Decides which EndpointSlices mirror an Endpoints object that somebody wrote by hand, so that those who
/// read only slices see it.
package enum MirroringReconciler {
    package static let manager = "endpointslicemirroring-controller.k8s.io"
    package static let skipLabel = "endpointslice.kubernetes.io/skip-mirror"
    /// Leader election once kept its lock in Endpoints; those are no addresses.
    private static let leaderAnnotation = "control-plane.alpha.kubernetes.io/leader"
    /// Addresses of a subset that are mirrored, at most.
    package static let capacity = 1000

    private struct Group: Hashable {
        var family: String
        var ports: [EndpointSlicePort]
    }

    /// Whether an Endpoints object is to be mirrored: its Service has no selector, so that it is nobody
    /// else's.
    package static func mirrors(_ endpoints: Endpoints, of service: Service?) -> Bool {
        guard let service, service.spec.selector.isEmpty, service.metadata.deletionTimestamp == nil,
            endpoints.metadata.deletionTimestamp == nil
        else { return false }
        return endpoints.metadata.labels[skipLabel] != "true"
            && endpoints.metadata.annotations[leaderAnnotation] == nil
    }

    /// How many addresses are too many to be mirrored.
    package static func leftOut(of endpoints: Endpoints) -> Int {
        endpoints.subsets.reduce(0) {
            $0 + max(0, $1.addresses.count + $1.notReadyAddresses.count - capacity)
        }
    }

    /// - Parameter existing: the slices that this controller manages for the Service.
    package static func reconcile(_ endpoints: Endpoints, existing: [EndpointSlice]) -> EndpointSliceChanges {
        var changes = EndpointSliceChanges()
        var present: [Group: [EndpointSlice]] = [:]
        for slice in existing.sorted(by: { $0.metadata.name < $1.metadata.name }) {
            present[Group(family: slice.addressType, ports: slice.ports), default: []].append(slice)
        }
        for (group, wanted) in groups(endpoints) {
            var slices = present.removeValue(forKey: group) ?? []
            guard !slices.isEmpty else {
                changes.create.append(slice(endpoints, group, wanted))
                continue
            }
            let kept = slices.removeFirst()
            var changed = kept
            changed.metadata.labels = labels(endpoints)
            changed.metadata.annotations = annotations(endpoints)
            changed.endpoints = wanted
            if changed != kept { changes.update.append(changed) }
            changes.delete += slices
        }
        changes.delete += present.values.flatMap { $0 }.sorted { $0.metadata.name < $1.metadata.name }
        return changes
    }

    /// The addresses by family and ports, in the order of the subsets.
    private static func groups(_ endpoints: Endpoints) -> [(Group, [Endpoint])] {
        var order: [Group] = []
        var members: [Group: [Endpoint]] = [:]
        for subset in endpoints.subsets {
            let ports = subset.ports.map { port in
                EndpointSlicePort(
                    name: port.name, protocol: port.`protocol`, port: port.port, appProtocol: port.appProtocol
                )
            }
            let all = subset.addresses.map { ($0, true) } + subset.notReadyAddresses.map { ($0, false) }
            for (address, isReady) in all.prefix(capacity) {
                let group = Group(family: address.ip.contains(":") ? "IPv6" : "IPv4", ports: ports)
                if members[group] == nil { order.append(group) }
                members[group, default: []].append(endpoint(address, isReady: isReady))
            }
        }
        return order.map { ($0, members[$0] ?? []) }
    }

    private static func endpoint(_ address: EndpointAddress, isReady: Bool) -> Endpoint {
        Endpoint(
            addresses: [address.ip], conditions: EndpointConditions(ready: isReady),
            hostname: address.hostname.isEmpty ? nil : address.hostname, targetRef: address.targetRef,
            nodeName: address.nodeName)
    }

    private static func slice(_ endpoints: Endpoints, _ group: Group, _ members: [Endpoint]) -> EndpointSlice
    {
        var slice = EndpointSlice()
        slice.metadata.generateName = "\(endpoints.metadata.name)-"
        slice.metadata.namespace = endpoints.metadata.namespace
        slice.metadata.labels = labels(endpoints)
        slice.metadata.annotations = annotations(endpoints)
        slice.metadata.ownerReferences = [endpoints.asController]
        slice.addressType = group.family
        slice.ports = group.ports
        slice.endpoints = members
        return slice
    }

    private static func labels(_ endpoints: Endpoints) -> [String: String] {
        var labels = endpoints.metadata.labels
        labels[EndpointSliceReconciler.serviceNameLabel] = endpoints.metadata.name
        labels[EndpointSliceReconciler.managedByLabel] = manager
        return labels
    }

    /// The author's own notes; what tools keep in annotations is about the Endpoints object alone.
    private static func annotations(_ endpoints: Endpoints) -> [String: String] {
        var annotations = endpoints.metadata.annotations
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = nil
        annotations[EndpointSliceReconciler.triggerTimeAnnotation] = nil
        annotations[EndpointsReconciler.overCapacityAnnotation] = nil
        return annotations
    }
}
