import KubernetesAPI

/// The TaintNodesByCondition admission of upstream: no pod goes to a new node before the node life cycle
/// controller has seen it ready and taken the taint away.
package struct NodeTaintAdmission: AdmissionPlugin {
    package init() {}

    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard request.operation == .create, request.subresource.isEmpty else { return }
        try change(&object, as: Node.self) { node throws(APIError) in Self.apply(to: &node.spec) }
    }

    /// Adds the taint unless it is there, with whatever value.
    package static func apply(to spec: inout NodeSpec) {
        let taint = Taint(key: "node.kubernetes.io/not-ready", effect: "NoSchedule")
        if spec.taints.contains(where: { $0.key == taint.key && $0.effect == taint.effect }) { return }
        spec.taints.append(taint)
    }
}
