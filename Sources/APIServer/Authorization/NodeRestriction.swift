import KubernetesAPI

/// Upstream's NodeRestriction admission: what a node's agent writes must be about itself. Pure.
package enum NodeRestriction {
    static let leases = "kube-node-lease"
    static let foreignLeases = "can only access leases in the \"kube-node-lease\" system namespace"
    static let foreignLease = "can only access node lease with the same name as the requesting node"

    /// Why a node's agent may not write this; nil when it may.
    ///
    /// - Parameters:
    ///   - operation: what is done.
    ///   - new: the object as it is to be; nil for a deletion.
    ///   - old: the object as it is; nil for a creation.
    ///   - nodeUID: finds the identity of the agent's own Node.
    package static func objection(
        _ node: NodeIdentity, _ operation: WriteOperation, _ info: RequestInfo,
        new: (any KubernetesObject)?, old: (any KubernetesObject)?, nodeUID: () -> String?
    ) -> String? {
        switch (info.group, info.resource) {
        case ("", "pods"):
            switch info.subresource {
            case "": return pod(node, operation, new as? Pod, old as? Pod, nodeUID)
            case "status": return status(node, new as? Pod, old as? Pod)
            case "eviction":
                return (old as? Pod)?.spec.nodeName == node.name
                    ? nil : "node \(node.name) can only evict pods with spec.nodeName set to itself"
            default:
                return
                    "unexpected pod subresource \"\(info.subresource)\", only 'status' and 'eviction' are allowed"
            }
        case ("", "nodes"): return own(node, operation, info, new as? Node, old as? Node)
        case ("", "persistentvolumeclaims"):
            return info.subresource == "status" ? nil : "may only update PVC status"
        case ("coordination.k8s.io", "leases"):
            if info.namespace != leases { return foreignLeases }
            let name = operation == .create ? new?.metadata.name : info.name
            return name == node.name ? nil : foreignLease
        default: return nil
        }
    }

    /// Why a node's agent may not have a token.
    package static func objection(
        _ node: NodeIdentity, toTokenFor bound: BoundObjectReference?, _ pod: Pod?
    ) -> String? {
        guard let bound, bound.apiVersion == "v1", bound.kind == "Pod", !bound.name.isEmpty else {
            return "node requested token not bound to a pod"
        }
        if bound.uid.isEmpty { return "node requested token with a pod binding without a uid" }
        guard let pod else { return nil }
        if bound.uid != pod.metadata.uid {
            return "the UID in the bound object reference (\(bound.uid)) does not match the UID in record. "
                + "The object might have been deleted and then recreated"
        }
        return pod.spec.nodeName == node.name
            ? nil : "node requested token bound to a pod scheduled on a different node"
    }

    // MARK: Pods

    private static func pod(
        _ node: NodeIdentity, _ operation: WriteOperation, _ new: Pod?, _ old: Pod?, _ nodeUID: () -> String?
    ) -> String? {
        let name = GoText.quoted(node.name)
        switch operation {
        case .delete:
            return old?.spec.nodeName == node.name
                ? nil : "node \(name) can only delete pods with spec.nodeName set to itself"
        case .update:
            return "unexpected operation \"UPDATE\", node \(name) can only create and delete mirror pods"
        case .create:
            guard let new else { return nil }
            return mirror(node, new, nodeUID)
        }
    }

    private static func mirror(_ node: NodeIdentity, _ pod: Pod, _ nodeUID: () -> String?) -> String? {
        let name = GoText.quoted(node.name)
        let annotation = Pod.mirrorAnnotation
        guard pod.metadata.annotations[annotation] != nil else {
            return "pod does not have \"\(annotation)\" annotation, node \(name) can only create mirror pods"
        }
        guard pod.spec.nodeName == node.name else {
            return "node \(name) can only create pods with spec.nodeName set to itself"
        }
        let owners = pod.metadata.ownerReferences
        if owners.count > 1 {
            return "node \(name) can only create pods with a single owner reference set to itself"
        }
        guard let owner = owners.first, owner.apiVersion == "v1", owner.kind == "Node",
            owner.name == node.name
        else { return "node \(name) can only create pods with an owner reference set to itself" }
        guard owner.controller == true else {
            return "node \(name) can only create pods with a controller owner reference set to itself"
        }
        if owner.blockOwnerDeletion == true {
            return "node \(name) must not set blockOwnerDeletion on an owner reference"
        }
        let uid = nodeUID() ?? ""
        guard owner.uid == uid else {
            return "node \(node.name) UID mismatch: expected \(owner.uid) got \(uid)"
        }
        // A pod of the node's own making must not open anything to it.
        if !pod.spec.serviceAccountName.isEmpty {
            return "node \(name) can not create pods that reference a service account"
        }
        var plain = pod
        plain.metadata.annotations[annotation] = nil
        let references = NodeGraph.references(of: plain)
        for (kind, what) in [
            (NodeGraph.Reference.Kind.secret, "secrets"), (.configMap, "configmaps"),
            (.claim, "persistentvolumeclaims"),
        ] where references.contains(where: { $0.kind == kind }) {
            return "node \(name) can not create pods that reference \(what)"
        }
        return nil
    }

    private static func status(_ node: NodeIdentity, _ new: Pod?, _ old: Pod?) -> String? {
        let name = GoText.quoted(node.name)
        guard let new, let old, old.spec.nodeName == node.name else {
            return "node \(name) can only update pod status for pods with spec.nodeName set to itself"
        }
        return new.metadata.labels == old.metadata.labels
            ? nil : "node \(name) cannot update labels through pod status"
    }

    // MARK: Nodes

    private static func own(
        _ node: NodeIdentity, _ operation: WriteOperation, _ info: RequestInfo, _ new: Node?, _ old: Node?
    ) -> String? {
        let name = GoText.quoted(node.name)
        let asked = info.name.isEmpty ? new?.metadata.name ?? "" : info.name
        guard asked == node.name else {
            return "node \(name) is not allowed to modify node \(GoText.quoted(asked))"
        }
        guard let new else { return nil }
        if let old, new.spec.taints != old.spec.taints {
            return "node \(name) is not allowed to modify taints"
        }
        let labels = forbidden(new.metadata.labels, old?.metadata.labels ?? [:])
        guard !labels.isEmpty else { return nil }
        let list = labels.joined(separator: ", ")
        return operation == .create
            ? "node \(name) is not allowed to set the following labels: \(list)"
            : "is not allowed to modify labels: \(list)"
    }

    /// Those changed labels by which a node could draw to itself what is not meant for it.
    private static func forbidden(_ new: [String: String], _ old: [String: String]) -> [String] {
        Set(new.keys).union(old.keys).filter { key in
            guard new[key] != old[key], let slash = key.firstIndex(of: "/") else { return false }
            let domain = key[..<slash]
            func isUnder(_ parent: String) -> Bool { domain == parent || domain.hasSuffix("." + parent) }
            if isUnder("node-restriction.kubernetes.io") { return true }
            guard isUnder("kubernetes.io") || isUnder("k8s.io") else { return false }
            return !agentLabels.contains(key) && !isUnder("kubelet.kubernetes.io")
                && !isUnder("node.kubernetes.io")
        }.sorted()
    }

    private static let agentLabels: Set<String> = [
        "kubernetes.io/hostname", "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region",
        "kubernetes.io/instance-type", "beta.kubernetes.io/instance-type", "kubernetes.io/os",
        "beta.kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/arch",
    ]
}

/// What a write does to an object.
package enum WriteOperation: Sendable, Hashable { case create, update, delete }
