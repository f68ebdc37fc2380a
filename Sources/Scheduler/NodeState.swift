import KubernetesAPI

/// A node with the pods that are placed on it: what filters and scores look at.
package struct NodeState: Sendable {
    package var node: Node
    package var pods: [Pod]

    package init(node: Node, pods: [Pod]) {
        self.node = node
        self.pods = pods
    }

    /// What the placed pods have requested.
    var requested: Resources { pods.reduce(into: Resources()) { $0.add(Resources(requestedBy: $1)) } }

    /// What the node can give to pods.
    var allocatable: Resources { Resources(node.status.allocatable) }
}

/// Amounts of the things that pods ask of a node: `cpu` in thousandths of a core, everything else in
/// its own unit (bytes, pieces).
struct Resources: Sendable, Equatable {
    var amounts: [String: Int] = [:]

    init() {}

    init(_ quantities: [String: Quantity]) {
        amounts = quantities.reduce(into: [:]) { $0[$1.key] = Self.amount($1.key, $1.value) }
    }

    /// What a pod requests: the sum over its containers, or the largest init container if that is more.
    /// Init containers that keep running (sidecars) count like containers.
    init(requestedBy pod: Pod) {
        var running = Resources()
        for container in pod.spec.containers { running.add(Resources(container.resources.requests)) }
        var sidecars = Resources()
        var peak = Resources()
        for container in pod.spec.initContainers {
            let asked = Resources(container.resources.requests)
            if container.restartPolicy == "Always" {
                sidecars.add(asked)
                peak.raise(to: sidecars)
            } else {
                var during = sidecars
                during.add(asked)
                peak.raise(to: during)
            }
        }
        running.add(sidecars)
        running.raise(to: peak)
        running.add(Resources(pod.spec.overhead))
        self = running
    }

    mutating func add(_ other: Resources) {
        for (name, amount) in other.amounts {
            let (sum, overflow) = (amounts[name] ?? 0).addingReportingOverflow(amount)
            amounts[name] = overflow ? .max : sum
        }
    }

    private mutating func raise(to other: Resources) {
        for (name, amount) in other.amounts { amounts[name] = max(amounts[name] ?? 0, amount) }
    }

    private static func amount(_ name: String, _ quantity: Quantity) -> Int {
        name == "cpu" ? quantity.milliValue : quantity.value
    }
}
