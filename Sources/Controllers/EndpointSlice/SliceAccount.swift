import KubernetesAPI

/// What a reconciliation does to the EndpointSlices of a Service, in numbers.
package struct SliceAccount: Sendable, Hashable {
    /// Endpoints that are new, changed, gone.
    package var added = 0
    package var updated = 0
    package var removed = 0
    /// What there is afterwards.
    package var endpoints = 0
    package var slices = 0
    /// As few slices as would do.
    package var neededSlices = 0

    private struct Group: Hashable {
        var family: String
        var ports: [EndpointSlicePort]
    }

    /// - Parameters:
    ///   - existing: the slices before.
    ///   - capacity: the endpoints that one slice holds at most.
    package init(_ changes: EndpointSliceChanges, existing: [EndpointSlice], capacity: Int) {
        let touched = Set((changes.update + changes.delete).map(\.metadata.name))
        let kept = existing.filter { !touched.contains($0.metadata.name) }
        let written = changes.create + changes.update
        var sizes: [Group: Int] = [:]
        for slice in kept + written {
            sizes[Group(family: slice.addressType, ports: slice.ports), default: 0] += slice.endpoints.count
        }
        endpoints = sizes.values.reduce(0, +)
        slices = kept.count + written.count
        neededSlices = sizes.values.reduce(0) { $0 + ($1 + capacity - 1) / capacity }
        guard !changes.isEmpty else { return }
        let before = Self.byAddress(existing.filter { touched.contains($0.metadata.name) })
        let after = Self.byAddress(written)
        removed = before.keys.count { after[$0] == nil }
        for (address, endpoint) in after {
            if let old = before[address] {
                if old != endpoint { updated += 1 }
            } else {
                added += 1
            }
        }
    }

    private static func byAddress(_ slices: [EndpointSlice]) -> [String: Endpoint] {
        var result: [String: Endpoint] = [:]
        for endpoint in slices.flatMap(\.endpoints) {
            if let address = endpoint.addresses.first { result[address] = endpoint }
        }
        return result
    }
}
