import KubernetesAPI

/// What of a Service or an EndpointSlice the proxy cannot use and passes over: an address that is none, a port that no
/// packet can carry, a protocol that it does not know. An API server lets nothing of that pass; one of another make, or
/// of another time, may.
package struct SkippedParts: Sendable, Hashable {
    /// How many of each field, by the field's name in the API.
    package private(set) var counts: [String: Int] = [:]

    /// - Parameter facts: what was understood; nil for an object that is none of this proxy's business.
    package init(_ service: Service, _ facts: ServiceFacts?) {
        guard let facts else { return }
        add("ports", service.spec.ports.count - facts.ports.count)
        guard !facts.clusterAddresses.isEmpty else { return }
        let addresses = service.spec.clusterIPs.isEmpty ? [service.spec.clusterIP] : service.spec.clusterIPs
        add("clusterIPs", addresses.count - facts.clusterAddresses.count)
        add("externalIPs", service.spec.externalIPs.count - facts.externalAddresses.count)
        guard service.spec.type == "LoadBalancer" else { return }
        add(
            "loadBalancerSourceRanges",
            service.spec.loadBalancerSourceRanges.count - facts.sourceRanges.count)
    }

    /// - Parameter facts: what was understood; nil for an object that is none of this proxy's business.
    package init(_ slice: EndpointSlice, _ facts: SliceFacts?) {
        guard let facts else { return }
        add("ports", slice.ports.count - facts.ports.count)
        add("endpoints", slice.endpoints.count - facts.endpoints.count)
    }

    private mutating func add(_ field: String, _ count: Int) { if count > 0 { counts[field] = count } }
}
