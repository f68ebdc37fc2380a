import KubernetesAPI

/// The ServiceAccount admission of upstream: every pod has an account, and a token of it.
package struct ServiceAccountAdmission: AdmissionPlugin {
    static let tokenMountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    /// A little more than an hour, as upstream asks for, so that tokens of clients that never read them
    /// again can be told apart.
    static let tokenLifetimeSeconds = 3607

    package init() {}

    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard request.operation == .create, request.subresource.isEmpty else { return }
        try change(&object, as: Pod.self) { pod throws(APIError) in
            var generator = SystemRandomNumberGenerator()
            try Self.apply(to: &pod, lookup, using: &generator)
        }
    }

    /// Gives a pod its account and a volume with the account's token.
    package static func apply(
        to pod: inout Pod, _ lookup: any AdmissionLookup, using generator: inout some RandomNumberGenerator
    ) throws(APIError) {
        // A mirror pod shows what a node runs by itself; it must not get what others have.
        if pod.metadata.annotations[Pod.mirrorAnnotation] != nil {
            if let objection = PodSecrets.objection(toMirror: pod) { throw refusal(of: pod, objection) }
            return
        }
        if pod.spec.serviceAccountName.isEmpty {
            pod.spec.serviceAccountName =
                pod.spec.serviceAccount.isEmpty ? "default" : pod.spec.serviceAccount
        }
        pod.spec.serviceAccount = pod.spec.serviceAccountName
        let account = try account(of: pod, lookup)
        if pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true {
            mountToken(&pod, using: &generator)
        }
        if pod.spec.imagePullSecrets.isEmpty { pod.spec.imagePullSecrets = account.imagePullSecrets }
        if let objection = PodSecrets(of: account)?.objection(to: pod.spec) {
            throw refusal(of: pod, objection)
        }
    }

    package func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        guard request.operation == .update, request.subresource == "ephemeralcontainers",
            let pod = object as? Pod
        else { return [] }
        if pod.spec.serviceAccountName.isEmpty {
            throw Self.refusal(
                of: pod,
                "no service account specified for pod \(pod.metadata.namespace)/\(pod.metadata.name)")
        }
        // Upstream forgets to say that this is forbidden and answers 500 with the same message.
        if let objection = PodSecrets(of: try Self.account(of: pod, lookup))?.objection(toGuestsOf: pod.spec)
        {
            throw Self.refusal(of: pod, objection)
        }
        return []
    }

    private static func account(
        of pod: Pod, _ lookup: any AdmissionLookup
    ) throws(APIError) -> ServiceAccount {
        let name = pod.spec.serviceAccountName
        guard let account = lookup.serviceAccount(name, namespace: pod.metadata.namespace) else {
            throw refusal(
                of: pod,
                "error looking up service account \(pod.metadata.namespace)/\(name): "
                    + "serviceaccount \"\(name)\" not found")
        }
        return account
    }

    private static func refusal(of pod: Pod, _ message: String) -> APIError {
        .forbidden(Pod.resource, pod.metadata.displayName, message)
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
}
