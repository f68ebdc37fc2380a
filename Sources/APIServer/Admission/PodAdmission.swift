import KubernetesAPI

/// What the cluster adds to a new pod: its service account with a token, tolerations of node failures,
/// and its priority.
package enum PodAdmission {
    static let tokenMountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    /// A little more than an hour, as upstream asks for, so that tokens of clients that never read them
    /// again can be told apart.
    static let tokenLifetimeSeconds = 3607

    static let admit: @Sendable (inout Pod, any AdmissionLookup) throws(APIError) -> Void = {
        pod, lookup throws(APIError) in
        var generator = SystemRandomNumberGenerator()
        try serviceAccount(&pod, lookup, using: &generator)
        tolerations(&pod)
        try priority(&pod)
    }

    /// The ServiceAccount admission of upstream.
    package static func serviceAccount(
        _ pod: inout Pod, _ lookup: any AdmissionLookup, using generator: inout some RandomNumberGenerator
    ) throws(APIError) {
        // A mirror pod shows what a node runs by itself; it must not get what others have.
        if pod.metadata.annotations["kubernetes.io/config.mirror"] != nil { return }
        if pod.spec.serviceAccountName.isEmpty {
            pod.spec.serviceAccountName =
                pod.spec.serviceAccount.isEmpty ? "default" : pod.spec.serviceAccount
        }
        pod.spec.serviceAccount = pod.spec.serviceAccountName
        let name = pod.spec.serviceAccountName
        guard let account = lookup.serviceAccount(name, namespace: pod.metadata.namespace) else {
            throw .forbidden(
                Pod.resource, pod.metadata.displayName,
                "error looking up service account \(pod.metadata.namespace)/\(name): "
                    + "serviceaccount \"\(name)\" not found")
        }
        if pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true {
            mountToken(&pod, using: &generator)
        }
        if pod.spec.imagePullSecrets.isEmpty { pod.spec.imagePullSecrets = account.imagePullSecrets }
    }

    private static func mountToken(_ pod: inout Pod, using generator: inout some RandomNumberGenerator) {
        let needs = { (container: Container) in
            !container.volumeMounts.contains { $0.mountPath == tokenMountPath }
        }
        guard pod.spec.containers.contains(where: needs) || pod.spec.initContainers.contains(where: needs)
        else { return }
        let existing = pod.spec.volumes.first { $0.name.hasPrefix("kube-api-access-") }
        let name: String
        if let existing {
            name = existing.name
        } else {
            name = "kube-api-access-" + RandomName.suffix(using: &generator)
            pod.spec.volumes.append(tokenVolume(name))
        }
        let mount = VolumeMount(name: name, readOnly: true, mountPath: tokenMountPath)
        for index in pod.spec.containers.indices where needs(pod.spec.containers[index]) {
            pod.spec.containers[index].volumeMounts.append(mount)
        }
        for index in pod.spec.initContainers.indices where needs(pod.spec.initContainers[index]) {
            pod.spec.initContainers[index].volumeMounts.append(mount)
        }
    }

    private static func tokenVolume(_ name: String) -> Volume {
        let token = VolumeProjection(
            serviceAccountToken: ServiceAccountTokenProjection(
                expirationSeconds: tokenLifetimeSeconds, path: "token"))
        let authority = VolumeProjection(
            configMap: ConfigMapProjection(
                name: "kube-root-ca.crt", items: [KeyToPath(key: "ca.crt", path: "ca.crt")]))
        let namespace = VolumeProjection(
            downwardAPI: DownwardAPIProjection(items: [
                DownwardAPIVolumeFile(
                    path: "namespace",
                    fieldRef: ObjectFieldSelector(apiVersion: "v1", fieldPath: "metadata.namespace"))
            ]))
        return Volume(
            name: name,
            projected: ProjectedVolumeSource(sources: [token, authority, namespace], defaultMode: 0o644))
    }

    /// The DefaultTolerationSeconds admission of upstream: a pod stays five minutes on a node that is lost.
    package static func tolerations(_ pod: inout Pod) {
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let isTolerated = pod.spec.tolerations.contains {
                ($0.key == key || $0.key.isEmpty) && ($0.effect == "NoExecute" || $0.effect.isEmpty)
            }
            if isTolerated { continue }
            pod.spec.tolerations.append(
                Toleration(key: key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300))
        }
    }

    /// The Priority admission of upstream, with the two classes that every cluster has.
    package static func priority(_ pod: inout Pod) throws(APIError) {
        let value: Int
        switch pod.spec.priorityClassName {
        case "": value = 0
        case "system-cluster-critical": value = 2_000_000_000
        case "system-node-critical": value = 2_000_001_000
        default:
            throw .forbidden(
                Pod.resource, pod.metadata.displayName,
                "no PriorityClass with name \(pod.spec.priorityClassName) was found")
        }
        if let wish = pod.spec.priority, wish != value {
            throw .forbidden(
                Pod.resource, pod.metadata.displayName,
                "the integer value of priority (\(wish)) must not be provided in pod spec; "
                    + "priority admission controller computed \(value) from the given PriorityClass name")
        }
        pod.spec.priority = value
        pod.spec.preemptionPolicy = pod.spec.preemptionPolicy ?? "PreemptLowerPriority"
    }
}
