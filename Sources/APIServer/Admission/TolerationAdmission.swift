import KubernetesAPI

/// The DefaultTolerationSeconds admission of upstream: a pod stays five minutes on a node that is lost.
package struct TolerationAdmission: AdmissionPlugin {
    package init() {}

    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard request.subresource.isEmpty else { return }
        try change(&object, as: Pod.self) { pod throws(APIError) in Self.apply(to: &pod.spec) }
    }

    /// Adds the tolerations that are not there yet.
    package static func apply(to spec: inout PodSpec) {
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let isTolerated = spec.tolerations.contains {
                ($0.key == key || $0.key.isEmpty) && ($0.effect == "NoExecute" || $0.effect.isEmpty)
            }
            if isTolerated { continue }
            spec.tolerations.append(
                Toleration(key: key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300))
        }
    }
}
