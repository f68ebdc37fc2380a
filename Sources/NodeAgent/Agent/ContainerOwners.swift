/// Which pod a container or sandbox belongs to.
///
/// A container that ends at once may do so before its pod's worker has seen its id: such an exit is kept until
/// the id is claimed.
package struct ContainerOwners: Sendable {
    private var owners: [String: String] = [:]
    private var unclaimed: [String] = []

    package init() {}

    /// How many exits of unknown containers are kept; the oldest go first.
    private static let limit = 1024

    /// Notes the pod of some ids; returns those that have ended already.
    package mutating func claim(_ ids: [String], for pod: String) -> Set<String> {
        var ended: Set<String> = []
        for id in ids where owners[id] == nil {
            owners[id] = pod
            if unclaimed.contains(id) { ended.insert(id) }
        }
        if !ended.isEmpty { unclaimed.removeAll(where: ended.contains) }
        return ended
    }

    /// The pod of an id that has ended; nil, and remembered, when nobody has claimed it yet.
    package mutating func exited(_ id: String) -> String? {
        if let owner = owners[id] { return owner }
        unclaimed.append(id)
        if unclaimed.count > Self.limit { unclaimed.removeFirst(unclaimed.count - Self.limit) }
        return nil
    }

    package func owner(_ id: String) -> String? { owners[id] }

    package mutating func forget(_ pod: String) {
        owners = owners.filter { $0.value != pod }
    }
}
