import KubernetesAPI
import KubernetesClient
import NodeAgent

/// Pods among the endpoints of Services, as a number of EndpointSlices have them; a value.
package struct EndpointView: Sendable {
    /// A pod as one slice has it.
    private enum Place: Sendable { case ready, fallBack, idle }

    private struct Slice: Sendable {
        var service: NamespacedName
        var isHeadless: Bool
        /// By the pod's uid.
        var places: [String: Place]
        var ports: Set<UInt16>
    }

    private var slices: [NamespacedName: Slice] = [:]
    private var slicesOfPod: [String: Set<NamespacedName>] = [:]
    private var slicesOfService: [NamespacedName: Set<NamespacedName>] = [:]

    package init() {}

    /// Takes a slice in, in place of what it was before.
    ///
    /// - Returns: the names of pods that have become ready endpoints by it, in the slice's namespace.
    @discardableResult
    package mutating func set(_ slice: EndpointSlice) -> [String] {
        let key = NamespacedName(slice)
        let before = remove(key)
        guard let service = slice.metadata.labels["kubernetes.io/service-name"] else { return [] }
        var new = Slice(
            service: NamespacedName(namespace: key.namespace, name: service),
            isHeadless: slice.metadata.labels["service.kubernetes.io/headless"] != nil, places: [:], ports: []
        )
        var risen: [String] = []
        for endpoint in slice.endpoints {
            guard let pod = endpoint.targetRef, pod.kind == "Pod" else { continue }
            let place = Self.place(endpoint.conditions)
            new.places[pod.uid] = place
            slicesOfPod[pod.uid, default: []].insert(key)
            if place == .ready, before?.places[pod.uid] != .ready { risen.append(pod.name) }
        }
        new.ports = Set(slice.ports.compactMap { port in port.port.flatMap { UInt16(exactly: $0) } })
        slicesOfService[new.service, default: []].insert(key)
        slices[key] = new
        return risen
    }

    /// Drops a slice.
    package mutating func remove(_ slice: EndpointSlice) { remove(NamespacedName(slice)) }

    @discardableResult
    private mutating func remove(_ key: NamespacedName) -> Slice? {
        guard let old = slices.removeValue(forKey: key) else { return nil }
        for uid in old.places.keys {
            slicesOfPod[uid]?.remove(key)
            if slicesOfPod[uid]?.isEmpty == true { slicesOfPod[uid] = nil }
        }
        slicesOfService[old.service]?.remove(key)
        if slicesOfService[old.service]?.isEmpty == true { slicesOfService[old.service] = nil }
        return old
    }

    private static func place(_ conditions: EndpointConditions) -> Place {
        let isReady = conditions.ready ?? true
        let isTerminating = conditions.terminating ?? false
        // A Service that publishes whatever there is never lets go of a pod: nothing to wait for.
        if isReady { return isTerminating ? .idle : .ready }
        return isTerminating && conditions.serving ?? false ? .fallBack : .idle
    }

    /// How the pod with this uid stands.
    package func standing(of uid: String) -> TrafficStanding {
        guard let keys = slicesOfPod[uid] else { return .apart }
        var standing = TrafficStanding.left
        for slice in keys.lazy.compactMap({ slices[$0] }) {
            switch slice.places[uid] {
            case .ready: return .reached
            // The name of a headless Service never leads to what is on its way out.
            case .fallBack where !slice.isHeadless && !hasReadyEndpoint(slice.service): standing = .lastResort
            case .fallBack, .idle, nil: break
            }
        }
        return standing
    }

    private func hasReadyEndpoint(_ service: NamespacedName) -> Bool {
        slicesOfService[service, default: []].contains { key in
            slices[key]?.places.values.contains { $0 == .ready } == true
        }
    }

    /// Whether the pod is a ready endpoint of this Service.
    package func isReady(_ uid: String, of service: NamespacedName) -> Bool {
        slicesOfPod[uid, default: []].contains { key in
            slices[key]?.service == service && slices[key]?.places[uid] == .ready
        }
    }

    /// The ports at which Services reach the pod.
    package func ports(of uid: String) -> Set<UInt16> {
        slicesOfPod[uid, default: []].reduce(into: []) { ports, key in
            ports.formUnion(slices[key]?.ports ?? [])
        }
    }
}
