import KubernetesAPI
import ObjectStore

/// Which objects the pods of each node refer to: what a node's agent has a right to read.
package struct NodeGraph: StoreProjection {
    package static let resources = [Pod.resource.groupResource, PersistentVolume.resource.groupResource]

    /// Something that pods refer to.
    package struct Reference: Sendable, Hashable {
        package enum Kind: Sendable, Hashable { case pod, secret, configMap, claim, serviceAccount }
        package var kind: Kind
        package var namespace: String
        package var name: String

        package init(_ kind: Kind, _ namespace: String, _ name: String) {
            self.kind = kind
            self.namespace = namespace
            self.name = name
        }
    }

    private struct Placed: Sendable {
        var uid: String
        var node: String
        var hasLateContainers: Bool
        var references: Set<Reference>
    }

    private var pods: [ObjectKey: Placed] = [:]
    /// How many pods of each node refer to something.
    private var uses: [Reference: [String: Int]] = [:]
    /// The claim that each persistent volume is for.
    private var claims: [String: Reference] = [:]

    package init() {}

    package mutating func put(_ object: StoredObject) {
        guard object.key.resource == Pod.resource.groupResource else {
            let claim = (try? PersistentVolume(json: object.bytes))?.spec.claimRef
            claims[object.key.name] = claim.map { Reference(.claim, $0.namespace, $0.name) }
            return
        }
        let node = object.fields["spec.nodeName"] ?? ""
        // A pod's references do not change, but for those of ephemeral containers.
        if let known = pods[object.key], known.uid == object.uid, known.node == node,
            !known.hasLateContainers,
            !Self.mentionsLateContainers(object.bytes)
        {
            return
        }
        remove(object.key)
        // A pod that cannot be read gives its node no rights.
        guard !node.isEmpty, let pod = try? Pod(json: object.bytes) else { return }
        let references = Self.references(of: pod)
        pods[object.key] = Placed(
            uid: object.uid, node: node, hasLateContainers: !pod.spec.ephemeralContainers.isEmpty,
            references: references)
        for reference in references { uses[reference, default: [:]][node, default: 0] += 1 }
    }

    package mutating func remove(_ key: ObjectKey) {
        guard key.resource == Pod.resource.groupResource else {
            claims[key.name] = nil
            return
        }
        guard let gone = pods.removeValue(forKey: key) else { return }
        for reference in gone.references {
            guard let count = uses[reference]?[gone.node] else { continue }
            uses[reference]?[gone.node] = count > 1 ? count - 1 : nil
            if uses[reference]?.isEmpty == true { uses[reference] = nil }
        }
    }

    /// Whether a pod on the node refers to it.
    package func relates(_ node: String, to reference: Reference) -> Bool {
        uses[reference]?[node] != nil
    }

    /// Whether a pod on the node refers to the claim of a persistent volume.
    package func relates(_ node: String, toVolume volume: String) -> Bool {
        claims[volume].map { relates(node, to: $0) } ?? false
    }

    private static let lateContainers = Array("\"ephemeralContainers\"".utf8)

    /// A quick look that may be wrong in one direction only: the text may stand in a string.
    private static func mentionsLateContainers(_ bytes: [UInt8]) -> Bool {
        bytes.firstRange(of: lateContainers) != nil
    }

    // MARK: What a pod refers to

    package static func references(of pod: Pod) -> Set<Reference> {
        let namespace = pod.metadata.namespace
        var found: Set<Reference> = [Reference(.pod, namespace, pod.metadata.name)]
        func add(_ kind: Reference.Kind, _ name: String?) {
            guard let name, !name.isEmpty else { return }
            found.insert(Reference(kind, namespace, name))
        }
        if pod.metadata.annotations[Pod.mirrorAnnotation] != nil {
            // Mirror pods are the node's own word and give it no rights.
            return found
        }
        add(.serviceAccount, pod.spec.serviceAccountName)
        for secret in pod.spec.imagePullSecrets { add(.secret, secret.name) }
        let containers = pod.spec.initContainers + pod.spec.containers
        let environments =
            containers.map { ($0.env, $0.envFrom) }
            + pod.spec.ephemeralContainers.map { ($0.env, $0.envFrom) }
        for (variables, sources) in environments {
            for variable in variables {
                add(.secret, variable.valueFrom?.secretKeyRef?.name)
                add(.configMap, variable.valueFrom?.configMapKeyRef?.name)
            }
            for source in sources {
                add(.secret, source.secretRef?.name)
                add(.configMap, source.configMapRef?.name)
            }
        }
        for volume in pod.spec.volumes {
            add(.secret, volume.secret?.secretName)
            add(.configMap, volume.configMap?.name)
            add(.claim, volume.persistentVolumeClaim?.claimName)
            if volume.ephemeral != nil { add(.claim, "\(pod.metadata.name)-\(volume.name)") }
            add(.secret, volume.csi?.nodePublishSecretRef?.name)
            for source in volume.projected?.sources ?? [] {
                add(.secret, source.secret?.name)
                add(.configMap, source.configMap?.name)
            }
        }
        return found
    }
}
