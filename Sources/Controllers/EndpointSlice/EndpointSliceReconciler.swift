import KubernetesAPI

/// What is to be written so that a Service's EndpointSlices are as they should be.
package struct EndpointSliceChanges: Sendable, Equatable {
    package var create: [EndpointSlice] = []
    package var update: [EndpointSlice] = []
    package var delete: [EndpointSlice] = []

    package var isEmpty: Bool { create.isEmpty && update.isEmpty && delete.isEmpty }
}

/// Decides which EndpointSlices a Service needs, from the Service, its pods and the slices there are.
///
/// Endpoints stay in the slice they are in; new ones fill slices that change anyway, then others with room,
/// then new slices. So a change of one pod writes one slice.
package struct EndpointSliceReconciler: Sendable {
    package static let managedByLabel = "endpointslice.kubernetes.io/managed-by"
    package static let serviceNameLabel = "kubernetes.io/service-name"
    package static let manager = "endpointslice-controller.k8s.io"
    package static let triggerTimeAnnotation = "endpoints.kubernetes.io/last-change-trigger-time"

    /// Endpoints in one slice, at most.
    package var maxEndpointsPerSlice: Int

    package init(maxEndpointsPerSlice: Int = 100) {
        self.maxEndpointsPerSlice = maxEndpointsPerSlice
    }

    /// - Parameters:
    ///   - pods: the pods that the Service's selector matches.
    ///   - existing: the slices that this controller manages for the Service.
    ///   - trigger: when the change happened that led here; kept in an annotation for measuring.
    package func reconcile(
        _ service: Service, pods: [Pod], existing: [EndpointSlice], trigger: Time?
    ) -> EndpointSliceChanges {
        var changes = EndpointSliceChanges()
        let source = EndpointSource(service: service)
        let families = addressTypes(of: service)
        let eligible = source.eligible(pods)
        for slice in existing where !families.contains(slice.addressType) {
            changes.delete.append(slice)
        }
        for family in families {
            let desired = eligible.compactMap { source.endpoint(of: $0, addressType: family) }
            plan(
                service, family: family, desired: desired,
                existing: existing.filter {
                    $0.addressType == family && $0.metadata.deletionTimestamp == nil
                },
                trigger: trigger, into: &changes)
        }
        return changes
    }

    private func addressTypes(of service: Service) -> [String] {
        if !service.spec.ipFamilies.isEmpty { return service.spec.ipFamilies }
        return service.spec.clusterIP.contains(":") ? ["IPv6"] : ["IPv4"]
    }

    private func plan(
        _ service: Service, family: String, desired: [DesiredEndpoint], existing: [EndpointSlice],
        trigger: Time?, into changes: inout EndpointSliceChanges
    ) {
        // Endpoints whose named ports differ live in slices of their own.
        var groups: [[EndpointSlicePort]: [Endpoint]] = [:]
        for item in desired { groups[item.ports, default: []].append(item.endpoint) }
        var slicesOf: [[EndpointSlicePort]: [EndpointSlice]] = [:]
        for slice in existing { slicesOf[slice.ports, default: []].append(slice) }

        var obsolete = slicesOf.filter { groups[$0.key] == nil }.flatMap(\.value)
            .sorted { $0.metadata.name < $1.metadata.name }
        for (ports, endpoints) in groups.sorted(by: { order($0.value) < order($1.value) }) {
            fill(
                service, family: family, ports: ports, endpoints: endpoints,
                slices: (slicesOf[ports] ?? []).sorted { $0.metadata.name < $1.metadata.name },
                trigger: trigger, into: &changes)
        }
        // Someone may be watching for a Service that has no endpoints yet: it gets one empty slice.
        if groups.isEmpty {
            if let kept = obsolete.first {
                obsolete.removeFirst()
                var empty = labelled(kept, for: service)
                empty.endpoints = []
                empty.ports = []
                if empty != kept { changes.update.append(stamped(empty, trigger)) }
            } else {
                changes.create.append(
                    stamped(newSlice(for: service, family: family, ports: [], endpoints: []), trigger))
            }
        }
        changes.delete.append(contentsOf: obsolete)
    }

    private func order(_ endpoints: [Endpoint]) -> String {
        endpoints.map { $0.targetRef?.name ?? "" }.min() ?? ""
    }

    private func fill(
        _ service: Service, family: String, ports: [EndpointSlicePort], endpoints: [Endpoint],
        slices: [EndpointSlice], trigger: Time?, into changes: inout EndpointSliceChanges
    ) {
        var wanted = Dictionary(endpoints.map { (identity($0), $0) }, uniquingKeysWith: { a, _ in a })
        var planned: [(before: EndpointSlice, after: EndpointSlice)] = slices.map { slice in
            var after = labelled(slice, for: service)
            after.endpoints = slice.endpoints.compactMap { wanted.removeValue(forKey: identity($0)) }
            return (slice, after)
        }
        // New endpoints, in the order of their pods.
        var rest = endpoints.filter { wanted[identity($0)] != nil }
        let changed = planned.indices.filter { planned[$0].before != planned[$0].after }
        let unchanged = planned.indices.filter { planned[$0].before == planned[$0].after }
        for index in changed + unchanged where !rest.isEmpty {
            let room = maxEndpointsPerSlice - planned[index].after.endpoints.count
            guard room > 0 else { continue }
            planned[index].after.endpoints.append(contentsOf: rest.prefix(room))
            rest.removeFirst(min(room, rest.count))
        }
        for (before, after) in planned {
            if after.endpoints.isEmpty {
                changes.delete.append(before)
            } else if after != before {
                changes.update.append(stamped(after, trigger))
            }
        }
        while !rest.isEmpty {
            let part = Array(rest.prefix(maxEndpointsPerSlice))
            rest.removeFirst(part.count)
            changes.create.append(
                stamped(newSlice(for: service, family: family, ports: ports, endpoints: part), trigger))
        }
    }

    /// An endpoint is the same one as long as it is the same pod at the same address.
    private func identity(_ endpoint: Endpoint) -> String {
        "\(endpoint.addresses.first ?? "") \(endpoint.targetRef?.uid ?? "")"
    }

    private func labelled(_ slice: EndpointSlice, for service: Service) -> EndpointSlice {
        var slice = slice
        slice.metadata.labels = labels(for: service)
        return slice
    }

    /// The Service's own labels, its name and ours; a headless Service's slices say so.
    private func labels(for service: Service) -> [String: String] {
        var labels = service.metadata.labels
        labels[Self.serviceNameLabel] = service.metadata.name
        labels[Self.managedByLabel] = Self.manager
        if service.spec.clusterIP == "None" {
            labels["service.kubernetes.io/headless"] = ""
        } else {
            labels["service.kubernetes.io/headless"] = nil
        }
        return labels
    }

    private func newSlice(
        for service: Service, family: String, ports: [EndpointSlicePort], endpoints: [Endpoint]
    ) -> EndpointSlice {
        var slice = EndpointSlice()
        slice.metadata.namespace = service.metadata.namespace
        slice.metadata.generateName = "\(service.metadata.name)-"
        slice.metadata.labels = labels(for: service)
        slice.metadata.ownerReferences = [service.asController]
        slice.addressType = family
        slice.ports = ports
        slice.endpoints = endpoints
        return slice
    }

    private func stamped(_ slice: EndpointSlice, _ trigger: Time?) -> EndpointSlice {
        var slice = slice
        slice.metadata.annotations[Self.triggerTimeAnnotation] = trigger?.description
        return slice
    }
}
