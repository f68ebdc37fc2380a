import KubernetesAPI

/// Where a pod goes.
package enum Placement: Sendable, Equatable {
    case node(String)
    /// No node can take it; the message says how many fail on what, as `kubectl describe pod` shows it.
    case unschedulable(message: String)
}

/// Chooses a node for a pod: filters first, then the best score.
package enum Placer {
    /// - Parameter nodes: every node with the pods placed on it.
    package static func place(_ pod: Pod, on nodes: [NodeState]) -> Placement {
        var reasons: [String: Int] = [:]
        var feasible: [NodeState] = []
        for state in nodes {
            if let found = Filter.all.lazy.map({ $0.reasons(pod, state) }).first(where: { !$0.isEmpty }) {
                for reason in found { reasons[reason, default: 0] += 1 }
            } else {
                feasible.append(state)
            }
        }
        let scored = feasible.map { (score: Score.total(pod, $0), name: $0.node.metadata.name) }
        // Equal scores: the fewest letters of chance, the name, so that the choice can be explained.
        if let best = scored.max(by: { ($0.score, $1.name) < ($1.score, $0.name) }) {
            return .node(best.name)
        }
        return .unschedulable(message: explain(reasons, nodes: nodes.count))
    }

    private static func explain(_ reasons: [String: Int], nodes: Int) -> String {
        guard nodes > 0 else { return "no nodes available to schedule pods" }
        let list = reasons.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", ")
        let preemption =
            "preemption: 0/\(nodes) nodes are available: \(nodes) Preemption is not helpful for scheduling."
        return "0/\(nodes) nodes are available: \(list). \(preemption)"
    }
}

/// How well a node suits a pod, 0 to 100 for each criterion.
enum Score {
    static func total(_ pod: Pod, _ state: NodeState) -> Int {
        leastAllocated(pod, state) + spread(pod, state) + preferredAffinity(pod, state)
    }

    /// The emptier the node would be in cpu and memory, the better.
    static func leastAllocated(_ pod: Pod, _ state: NodeState) -> Int {
        let (have, taken, asked) = (state.allocatable, state.requested, Resources(requestedBy: pod))
        let shares = ["cpu", "memory"].map { name -> Int in
            let total = have.amounts[name] ?? 0
            guard total > 0 else { return 0 }
            let used = Double(taken.amounts[name] ?? 0) + Double(asked.amounts[name] ?? 0)
            return Int(max(0, 100 * (1 - used / Double(total))))
        }
        return shares.reduce(0, +) / Int(shares.count)
    }

    /// The fewer pods of the same controller run there, the better.
    static func spread(_ pod: Pod, _ state: NodeState) -> Int {
        guard let owner = pod.metadata.ownerReferences.first(where: { $0.controller == true }) else {
            return 100
        }
        let same = state.pods.count { other in
            other.metadata.ownerReferences.contains { $0.uid == owner.uid }
        }
        return 100 / Int(1 + same)
    }

    /// Preferred node affinity, by weight.
    static func preferredAffinity(_ pod: Pod, _ state: NodeState) -> Int {
        let preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
        let weight = preferred.filter { $0.preference.matches(state.node) }.reduce(0) { $0 + $1.weight }
        return Int(min(100, max(0, weight)))
    }
}
