import KubernetesAPI

/// What is to be written so that a Service's EndpointSlices are as they should be.
package struct EndpointSliceChanges: Sendable, Equatable {
    package var create: [EndpointSlice] = []
    package var update: [EndpointSlice] = []
    package var delete: [EndpointSlice] = []

    package init(
        create: [EndpointSlice] = [], update: [EndpointSlice] = [], delete: [EndpointSlice] = []
    ) {
        self.create = create
        self.update = update
        self.delete = delete
    }

    package var isEmpty: Bool { create.isEmpty && update.isEmpty && delete.isEmpty }
}

/// Decides which EndpointSlices a Service needs, from the Service, its pods, their nodes and the slices there are.
///
/// Endpoints stay in the slice they are in. New ones fill slices that change anyway, then the one slice that they
/// make fullest, then new slices: few writes matter more than tight packing, since every write goes to every node.
package struct EndpointSliceReconciler: Sendable {
    package static let managedByLabel = "endpointslice.kubernetes.io/managed-by"
    package static let serviceNameLabel = "kubernetes.io/service-name"
    package static let headlessLabel = "service.kubernetes.io/headless"
    package static let manager = "endpointslice-controller.k8s.io"
    package static let triggerTimeAnnotation = "endpoints.kubernetes.io/last-change-trigger-time"

    /// Endpoints in one slice, at most.
    package var maxEndpointsPerSlice: Int

    package init(maxEndpointsPerSlice: Int = 100) {
        self.maxEndpointsPerSlice = maxEndpointsPerSlice
    }

    /// - Parameters:
    ///   - pods: the pods that the Service's selector matches.
    ///   - nodes: the cluster's nodes.
    ///   - existing: the slices that this controller manages for a Service of this name.
    ///   - trigger: when the change happened that led here; kept in an annotation for measuring.
    package func reconcile(
        _ service: Service, pods: [Pod], nodes: EndpointNodes, existing: [EndpointSlice],
        trigger: MicroTime?
    ) -> EndpointSliceChanges {
        let source = EndpointSource(service: service, nodes: nodes)
        let families = addressTypes(of: service)
        let eligible = source.eligible(pods)
        let present = existing.filter { $0.metadata.deletionTimestamp == nil }
        var changes = EndpointSliceChanges(delete: present.filter { !families.contains($0.addressType) })
        for family in families {
            var part = plan(
                service, family: family,
                desired: eligible.compactMap { source.endpoint(of: $0, addressType: family) },
                existing: present.filter { $0.addressType == family })
            reuse(&part, of: service)
            changes.create += part.create
            changes.update += part.update
            changes.delete += part.delete
        }
        // The garbage collector is at work on the slices of a Service that goes.
        if service.metadata.deletionTimestamp != nil { changes.create = [] }
        changes.create = changes.create.map { stamped($0, trigger) }
        changes.update = changes.update.map { stamped($0, trigger) }
        return changes
    }

    private func addressTypes(of service: Service) -> [String] {
        if !service.spec.ipFamilies.isEmpty { return service.spec.ipFamilies }
        return service.spec.clusterIP.contains(":") ? ["IPv6"] : ["IPv4"]
    }

    private func plan(
        _ service: Service, family: String, desired: [DesiredEndpoint], existing: [EndpointSlice]
    ) -> EndpointSliceChanges {
        var changes = EndpointSliceChanges()
        // Endpoints whose named ports differ live in slices of their own.
        var groups: [[EndpointSlicePort]: [Endpoint]] = [:]
        for item in desired { groups[item.ports, default: []].append(item.endpoint) }
        var slicesOf: [[EndpointSlicePort]: [EndpointSlice]] = [:]
        for slice in existing.sorted(by: { $0.metadata.name < $1.metadata.name }) {
            if isOwned(slice, by: service) {
                slicesOf[slice.ports, default: []].append(slice)
            } else {
                // Left by an earlier Service of this name.
                changes.delete.append(slice)
            }
        }
        for (ports, endpoints) in groups.sorted(by: { order($0.value) < order($1.value) }) {
            fill(
                service, family: family, ports: ports, endpoints: endpoints,
                slices: slicesOf.removeValue(forKey: ports) ?? [], into: &changes)
        }
        changes.delete += slicesOf.values.flatMap { $0 }.sorted { $0.metadata.name < $1.metadata.name }
        // Someone may be watching for a Service that has no endpoints yet: it gets one empty slice.
        if changes.delete.count == existing.count, changes.create.isEmpty {
            let placeholder = newSlice(for: service, family: family, ports: [], endpoints: [])
            if changes.delete.count == 1, isPlaceholder(changes.delete[0], for: service) {
                changes.delete = []
            } else {
                changes.create.append(placeholder)
            }
        }
        return changes
    }

    private func isOwned(_ slice: EndpointSlice, by service: Service) -> Bool {
        slice.metadata.ownerReferences.contains { $0.uid == service.metadata.uid && $0.kind == "Service" }
    }

    private func isPlaceholder(_ slice: EndpointSlice, for service: Service) -> Bool {
        slice.endpoints.isEmpty && slice.ports.isEmpty && isOwned(slice, by: service)
            && slice.metadata.labels == labels(for: service)
    }

    private func order(_ endpoints: [Endpoint]) -> String {
        endpoints.map { $0.targetRef?.name ?? "" }.min() ?? ""
    }

    /// Sees to it that these endpoints are in slices of these ports.
    private func fill(
        _ service: Service, family: String, ports: [EndpointSlicePort], endpoints: [Endpoint],
        slices: [EndpointSlice], into changes: inout EndpointSliceChanges
    ) {
        var wanted = Dictionary(endpoints.map { (identity($0), $0) }, uniquingKeysWith: { a, _ in a })
        var updated: [EndpointSlice] = []
        var unchanged: [EndpointSlice] = []
        for slice in slices {
            var after = slice
            after.metadata.labels = labels(for: service)
            after.endpoints = slice.endpoints.compactMap { wanted.removeValue(forKey: identity($0)) }
            if after.endpoints.isEmpty {
                changes.delete.append(slice)
            } else if after == slice {
                unchanged.append(slice)
            } else {
                updated.append(after)
            }
        }
        // New endpoints, in the order of their pods.
        var rest = endpoints.filter { wanted[identity($0)] != nil }[...]
        func take(into slice: inout EndpointSlice) {
            let room = max(maxEndpointsPerSlice - slice.endpoints.count, 0)
            slice.endpoints += rest.prefix(room)
            rest = rest.dropFirst(room)
        }
        updated.sort { $0.endpoints.count > $1.endpoints.count }
        for index in updated.indices where !rest.isEmpty { take(into: &updated[index]) }
        while !rest.isEmpty {
            if let index = fullest(unchanged, with: rest.count) {
                var slice = unchanged.remove(at: index)
                take(into: &slice)
                updated.append(slice)
            } else {
                var slice = newSlice(for: service, family: family, ports: ports, endpoints: [])
                take(into: &slice)
                changes.create.append(slice)
            }
        }
        changes.update += updated
    }

    /// The slice that has room for all of so many more endpoints, and least room to spare.
    private func fullest(_ slices: [EndpointSlice], with count: Int) -> Int? {
        slices.indices.filter { slices[$0].endpoints.count + count <= maxEndpointsPerSlice }
            .max { slices[$0].endpoints.count < slices[$1].endpoints.count }
    }

    /// Rewrites slices that would go in place of making new ones: one write, and no moment without either.
    private func reuse(_ changes: inout EndpointSliceChanges, of service: Service) {
        var kept: [EndpointSlice] = []
        for old in changes.delete {
            guard isOwned(old, by: service), !changes.create.isEmpty else {
                kept.append(old)
                continue
            }
            let new = changes.create.removeFirst()
            var rewritten = old
            rewritten.metadata.labels = new.metadata.labels
            rewritten.ports = new.ports
            rewritten.endpoints = new.endpoints
            changes.update.append(rewritten)
        }
        changes.delete = kept
    }

    /// An endpoint is the same one as long as it is the same pod at the same address.
    private func identity(_ endpoint: Endpoint) -> String {
        "\(endpoint.addresses.first ?? "") \(endpoint.targetRef?.uid ?? "")"
    }

    /// The Service's own labels, its name and ours; a headless Service's slices say so. What a Service says under
    /// one of these three keys is not passed on.
    private func labels(for service: Service) -> [String: String] {
        var labels = service.metadata.labels
        labels[Self.serviceNameLabel] = service.metadata.name
        labels[Self.managedByLabel] = Self.manager
        let isHeadless = service.spec.clusterIP == "None" || service.spec.clusterIP.isEmpty
        labels[Self.headlessLabel] = isHeadless ? "" : nil
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

    private func stamped(_ slice: EndpointSlice, _ trigger: MicroTime?) -> EndpointSlice {
        var slice = slice
        slice.metadata.annotations[Self.triggerTimeAnnotation] = trigger?.description
        return slice
    }
}
