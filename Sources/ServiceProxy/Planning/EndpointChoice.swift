import Netlink

/// Which endpoints of a Service get a port's new connections, and why the others do not.
package struct EndpointChoice: Sendable, Hashable {
    /// What decided about an endpoint.
    package enum Reason: Sendable, Hashable {
        /// It is ready.
        case ready
        /// It is on its way out and still serves, and none is ready (KEP-1669).
        case servingWhileNoneIsReady
        /// It is on its way out, and others are ready.
        case terminating
        /// It is not ready.
        case notReady
        /// Hints keep this node's clients with endpoints for this node (KEP-3015).
        case meantForOtherNodes
        /// Hints keep this zone's clients with endpoints for this zone (KEP-2433).
        case meantForOtherZones

        /// Whether the endpoint gets connections.
        package var isIn: Bool { self == .ready || self == .servingWhileNoneIsReady }
    }

    /// An endpoint and what was decided about it: among all endpoints, and among those on this node.
    package struct Candidate: Sendable, Hashable {
        package var backend: Backend
        package var endpoint: SliceFacts.Endpoint
        package var anywhere: Reason
        /// nil when it is not on this node.
        package var onNode: Reason?
    }

    /// All endpoints that have the port. One that is in several slices is there several times.
    package private(set) var candidates: [Candidate] = []

    /// - Parameter zone: the node's zone.
    package init(
        slices: some Sequence<SliceFacts>, port: ServiceFacts.Port, family: IPAddress.Family, zone: String?
    ) {
        for slice in slices {
            guard
                let target = slice.ports.first(where: {
                    $0.name == port.name && $0.transportProtocol == port.transportProtocol
                })
            else { continue }
            for endpoint in slice.endpoints where endpoint.address.family == family {
                candidates.append(
                    Candidate(
                        backend: Backend(endpoint.address, target.number), endpoint: endpoint,
                        anywhere: .notReady, onNode: nil))
            }
        }
        decide(zone)
    }

    private mutating func decide(_ zone: String?) {
        let hints = Hints(candidates.lazy.map(\.endpoint).filter(\.isReady), zone: zone)
        let isAnyReady = candidates.contains { $0.endpoint.isReady }
        let isAnyReadyHere = candidates.contains { $0.endpoint.isReady && $0.endpoint.isOnNode }
        func reason(_ endpoint: SliceFacts.Endpoint, othersAreReady: Bool) -> Reason {
            if endpoint.isReady { return .ready }
            guard endpoint.isServing, endpoint.isTerminating else { return .notReady }
            return othersAreReady ? .terminating : .servingWhileNoneIsReady
        }
        for index in candidates.indices {
            let endpoint = candidates[index].endpoint
            candidates[index].anywhere =
                hints.objection(to: endpoint, zone: zone) ?? reason(endpoint, othersAreReady: isAnyReady)
            if endpoint.isOnNode {
                candidates[index].onNode = reason(endpoint, othersAreReady: isAnyReadyHere)
            }
        }
    }

    /// Where connections go that any endpoint may serve.
    package func anywhere(after old: Forwarding.Destination?) -> Forwarding.Destination {
        let chosen = Set(candidates.lazy.filter(\.anywhere.isIn).map(\.backend))
        return chosen.isEmpty ? .refuse : .spread(Forwarding.slots(for: chosen, after: old?.backends ?? []))
    }

    /// Where connections go that only endpoints on this node may serve. While there are others that could, nobody
    /// is refused: another attempt may be made when one has come here.
    package func onNode(after old: Forwarding.Destination?) -> Forwarding.Destination {
        let chosen = Set(candidates.lazy.filter { $0.onNode?.isIn == true }.map(\.backend))
        guard chosen.isEmpty else {
            return .spread(Forwarding.slots(for: chosen, after: old?.backends ?? []))
        }
        return candidates.contains { $0.anywhere.isIn } ? .drop : .refuse
    }
}

/// Which hints count. Those of the node count if every ready endpoint has some and one names this node; else those
/// of the zone, likewise; else none.
private enum Hints {
    case node
    case zone
    case none

    init(_ ready: some Sequence<SliceFacts.Endpoint>, zone: String?) {
        var (allNameNodes, allNameZones, isForNode, isForZone) = (true, true, false, false)
        for endpoint in ready {
            allNameNodes = allNameNodes && endpoint.isHintedToNode != nil
            allNameZones = allNameZones && !endpoint.zoneHints.isEmpty
            isForNode = isForNode || endpoint.isHintedToNode == true
            isForZone = isForZone || zone.map(endpoint.zoneHints.contains) == true
        }
        self = allNameNodes && isForNode ? .node : allNameZones && isForZone ? .zone : .none
    }

    func objection(to endpoint: SliceFacts.Endpoint, zone: String?) -> EndpointChoice.Reason? {
        guard endpoint.isReady else { return nil }
        switch self {
        case .node: return endpoint.isHintedToNode == true ? nil : .meantForOtherNodes
        case .zone: return zone.map(endpoint.zoneHints.contains) == true ? nil : .meantForOtherZones
        case .none: return nil
        }
    }
}
