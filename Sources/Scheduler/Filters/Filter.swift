import KubernetesAPI

/// A rule that a node must pass to take a pod.
struct Filter: Sendable {
    var name: String
    /// Why the node cannot take the pod, in the words that `kubectl describe pod` shows; empty if it can.
    var reasons: @Sendable (Pod, NodeState) -> [String]
}

extension Filter {
    /// The rules, in the order in which they are asked: the first that fails speaks for the node.
    static let all: [Filter] = [unschedulable, nodeName, taints, affinity, ports, resources]

    /// `spec.unschedulable`, as `kubectl cordon` sets it.
    static let unschedulable = Filter(name: "NodeUnschedulable") { pod, state in
        guard state.node.spec.unschedulable else { return [] }
        var taint = Taint()
        taint.key = "node.kubernetes.io/unschedulable"
        taint.effect = "NoSchedule"
        return pod.spec.tolerations.contains { $0.tolerates(taint) } ? [] : ["node(s) were unschedulable"]
    }

    /// `spec.nodeName` of a pod that was placed by hand.
    static let nodeName = Filter(name: "NodeName") { pod, state in
        pod.spec.nodeName.isEmpty || pod.spec.nodeName == state.node.metadata.name
            ? [] : ["node(s) didn't match the requested node name"]
    }

    /// Taints with effect NoSchedule or NoExecute that the pod does not tolerate.
    static let taints = Filter(name: "TaintToleration") { pod, state in
        for taint in state.node.spec.taints where ["NoSchedule", "NoExecute"].contains(taint.effect) {
            if taint.key == "node.kubernetes.io/unschedulable" { continue }
            if !pod.spec.tolerations.contains(where: { $0.tolerates(taint) }) {
                return ["node(s) had untolerated taint {\(taint.key): \(taint.value)}"]
            }
        }
        return []
    }

    /// `spec.nodeSelector` and the required node affinity.
    static let affinity = Filter(name: "NodeAffinity") { pod, state in
        let labels = state.node.metadata.labels
        let isSelected = pod.spec.nodeSelector.allSatisfy { labels[$0.key] == $0.value }
        let required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
        let isWanted = required.map { $0.nodeSelectorTerms.contains { $0.matches(state.node) } } ?? true
        return isSelected && isWanted ? [] : ["node(s) didn't match Pod's node affinity/selector"]
    }

    /// Host ports that a placed pod holds already.
    static let ports = Filter(name: "NodePorts") { pod, state in
        let taken = state.pods.flatMap(\.hostPorts)
        return pod.hostPorts.contains { mine in taken.contains { mine.conflicts(with: $0) } }
            ? ["node(s) didn't have free ports for the requested pod ports"] : []
    }

    /// Requests against what is left of the node.
    static let resources = Filter(name: "NodeResourcesFit") { pod, state in
        var reasons: [String] = []
        let allocatable = state.allocatable.amounts
        if let most = allocatable["pods"], Int(state.pods.count) + 1 > most {
            reasons.append("Too many pods")
        }
        let taken = state.requested.amounts
        for (name, asked) in Resources(requestedBy: pod).amounts.sorted(by: { $0.key < $1.key })
        where asked > 0 {
            let (sum, overflow) = (taken[name] ?? 0).addingReportingOverflow(asked)
            if overflow || sum > (allocatable[name] ?? 0) { reasons.append("Insufficient \(name)") }
        }
        return reasons
    }
}

extension Toleration {
    /// Whether this toleration puts up with a taint (core/v1 Toleration).
    func tolerates(_ taint: Taint) -> Bool {
        if !effect.isEmpty, effect != taint.effect { return false }
        if !key.isEmpty, key != taint.key { return false }
        switch `operator` {
        case "", "Equal": return !key.isEmpty && (value == taint.value)
        case "Exists": return true
        default: return false
        }
    }
}

extension NodeSelectorTerm {
    /// A term matches when all of its requirements do; one without any matches nothing.
    func matches(_ node: Node) -> Bool {
        if matchExpressions.isEmpty && matchFields.isEmpty { return false }
        return matchExpressions.allSatisfy { $0.holds(for: node.metadata.labels[$0.key]) }
            && matchFields.allSatisfy {
                $0.key == "metadata.name" && $0.holds(for: node.metadata.name)
            }
    }
}

extension NodeSelectorRequirement {
    func holds(for value: String?) -> Bool {
        switch `operator` {
        case "In": return value.map(values.contains) ?? false
        case "NotIn": return value.map { !values.contains($0) } ?? true
        case "Exists": return value != nil
        case "DoesNotExist": return value == nil
        case "Gt": return compare(value) { $0 > $1 }
        case "Lt": return compare(value) { $0 < $1 }
        default: return false
        }
    }

    private func compare(_ value: String?, _ isOrdered: (Int, Int) -> Bool) -> Bool {
        guard values.count == 1, let left = value.flatMap({ Int($0) }), let right = Int(values[0])
        else { return false }
        return isOrdered(left, right)
    }
}

/// A port of the node that a container asks for.
struct HostPort: Sendable, Equatable {
    var address: String
    var port: Int
    var proto: String

    func conflicts(with other: HostPort) -> Bool {
        port == other.port && proto == other.proto
            && (address == other.address || address == "0.0.0.0" || other.address == "0.0.0.0")
    }
}

extension Pod {
    var hostPorts: [HostPort] {
        spec.containers.flatMap(\.ports).compactMap { port in
            guard port.hostPort > 0 else { return nil }
            return HostPort(
                address: port.hostIP.isEmpty ? "0.0.0.0" : port.hostIP, port: port.hostPort,
                proto: port.`protocol`.isEmpty ? "TCP" : port.`protocol`)
        }
    }
}
