import Netlink

/// Service ports that are to be served by endpoints on this node (traffic policy Local), of which there are none, while
/// other nodes have some: whoever comes here in vain.
package struct MissingLocalEndpoints: Sendable, Hashable {
    /// For whom the policy is: clients inside the cluster (`internalTrafficPolicy`), or outside (`externalTrafficPolicy`).
    package enum Policy: String, Sendable, Hashable, CaseIterable {
        case `internal`
        case external
    }

    private struct Port: Hashable {
        var service: ObjectName
        var port: ServiceFacts.Port
        var family: IPAddress.Family
        var policy: Policy
    }

    private var ports: Set<Port> = []

    init(_ planner: Planner) {
        for address in planner.dropping {
            guard let (service, claim) = planner.claim(at: address),
                let forwarding = planner.table.entries[address]
            else { continue }
            func add(_ policy: Policy) {
                ports.insert(
                    Port(service: service, port: claim.port, family: address.address.family, policy: policy))
            }
            if forwarding.inside == .drop { add(.internal) }
            if forwarding.outside == .drop { add(.external) }
        }
    }

    /// How many Service ports there are; one that has several addresses counts once.
    package func count(_ family: IPAddress.Family, _ policy: Policy) -> Int {
        ports.count { $0.family == family && $0.policy == policy }
    }
}

extension Forwarding {
    /// Whether somebody's connections vanish.
    var isDropping: Bool { inside == .drop || outside == .drop }
}

extension Planner {
    /// The Service ports that lack an endpoint on this node.
    package var missingLocalEndpoints: MissingLocalEndpoints { MissingLocalEndpoints(self) }
}
