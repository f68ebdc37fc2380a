import KubernetesAPI

/// The secrets that pods may use whose account is annotated with `kubernetes.io/enforce-mountable-secrets`, and
/// what mirror pods may not use (upstream's ServiceAccount admission). Pure.
package struct PodSecrets: Sendable {
    private let account: String
    private let mountable: Set<String>
    private let forImages: Set<String>

    /// What an account allows; nil when it does not ask for limits.
    package init?(of account: ServiceAccount) {
        // What Go's strconv.ParseBool takes for true.
        guard let wish = account.metadata.annotations[ServiceAccount.mountableSecretsAnnotation],
            ["1", "t", "T", "true", "TRUE", "True"].contains(wish)
        else { return nil }
        self.account = account.metadata.name
        mountable = Set(account.secrets.map(\.name))
        forImages = Set(account.imagePullSecrets.map(\.name))
    }

    // MARK: Pods of an account

    /// Why a new pod is not allowed; nil when it is.
    package func objection(to spec: PodSpec) -> String? {
        for volume in spec.volumes {
            if let secret = volume.secret?.secretName, !mountable.contains(secret) {
                return "volume with \(refusal(of: secret))"
            }
        }
        for (kind, containers) in [("init container", spec.initContainers), ("container", spec.containers)] {
            for container in containers {
                if let objection = objection(kind, container.name, container.env, container.envFrom) {
                    return objection
                }
            }
        }
        for (index, secret) in spec.imagePullSecrets.enumerated() where !forImages.contains(secret.name) {
            return
                "imagePullSecrets[\(index)].name=\"\(secret.name)\" is not allowed because service account "
                + "\(account) does not reference that imagePullSecret"
        }
        return nil
    }

    /// Why a pod's ephemeral containers are not allowed; nil when they are.
    package func objection(toGuestsOf spec: PodSpec) -> String? {
        for guest in spec.ephemeralContainers {
            if let objection = objection("ephemeral container", guest.name, guest.env, guest.envFrom) {
                return objection
            }
        }
        return nil
    }

    private func objection(
        _ kind: String, _ name: String, _ variables: [EnvVar], _ sources: [EnvFromSource]
    ) -> String? {
        for variable in variables {
            if let secret = variable.valueFrom?.secretKeyRef?.name, !mountable.contains(secret) {
                return "\(kind) \(name) with envVar \(variable.name) referencing \(refusal(of: secret))"
            }
        }
        for source in sources {
            if let secret = source.secretRef?.name, !mountable.contains(secret) {
                return "\(kind) \(name) with envFrom referencing \(refusal(of: secret))"
            }
        }
        return nil
    }

    private func refusal(of secret: String) -> String {
        "secret.secretName=\"\(secret)\" is not allowed because service account \(account) does not reference "
            + "that secret"
    }

    // MARK: Mirror pods

    /// Why a mirror pod is not allowed; nil when it is.
    package static func objection(toMirror pod: Pod) -> String? {
        if !pod.spec.serviceAccountName.isEmpty || !pod.spec.serviceAccount.isEmpty {
            return "a mirror pod may not reference service accounts"
        }
        if refersToSecrets(pod.spec) { return "a mirror pod may not reference secrets" }
        let usesTokens = pod.spec.volumes.contains { volume in
            volume.projected?.sources.contains { $0.serviceAccountToken != nil } ?? false
        }
        return usesTokens ? "a mirror pod may not use ServiceAccountToken volume projections" : nil
    }

    private static func refersToSecrets(_ spec: PodSpec) -> Bool {
        let environments =
            (spec.initContainers + spec.containers).map { ($0.env, $0.envFrom) }
            + spec.ephemeralContainers.map { ($0.env, $0.envFrom) }
        var names = spec.imagePullSecrets.map(\.name) + spec.volumes.flatMap(secrets)
        for (variables, sources) in environments {
            names += variables.compactMap { $0.valueFrom?.secretKeyRef?.name }
            names += sources.compactMap { $0.secretRef?.name }
        }
        return names.contains { !$0.isEmpty }
    }

    private static func secrets(_ volume: Volume) -> [String] {
        let direct: [String?] = [
            volume.secret?.secretName, volume.azureFile?.secretName, volume.cephfs?.secretRef?.name,
            volume.cinder?.secretRef?.name, volume.flexVolume?.secretRef?.name, volume.rbd?.secretRef?.name,
            volume.scaleIO?.secretRef?.name, volume.iscsi?.secretRef?.name, volume.storageos?.secretRef?.name,
            volume.csi?.nodePublishSecretRef?.name,
        ]
        return direct.compactMap(\.self)
            + (volume.projected?.sources ?? []).compactMap { $0.secret?.name }
    }
}
