import KubernetesAPI

/// The node that a user is the agent of: `system:node:NAME` in the group `system:nodes`.
package struct NodeIdentity: Sendable, Hashable {
    package var name: String

    package init?(_ user: User) {
        let prefix = "system:node:"
        guard user.name.hasPrefix(prefix), user.groups.contains("system:nodes") else { return nil }
        name = String(user.name.dropFirst(prefix.count))
    }
}

/// Upstream's node authorizer: an agent reads what its pods refer to and writes what is its node's. Pure.
package enum NodeAuthorizer {
    private static func refuse(_ reason: String = "") -> AccessDecision {
        AccessDecision(isAllowed: false, reason: reason)
    }
    private static let allow = AccessDecision(isAllowed: true)

    /// - Parameter graph: asked only where the answer depends on it.
    package static func decide(
        _ node: NodeIdentity, _ user: User, _ attributes: AccessAttributes, _ graph: () -> NodeGraph
    ) -> AccessDecision {
        guard !node.name.isEmpty else {
            return refuse("unknown node for user \(GoText.quoted(user.name))")
        }
        guard attributes.isResourceRequest else { return byRules(attributes) }
        func related(_ kind: NodeGraph.Reference.Kind) -> AccessDecision {
            guard !attributes.name.isEmpty else { return refuse("No Object name found") }
            let reference = NodeGraph.Reference(kind, attributes.namespace, attributes.name)
            return graph().relates(node.name, to: reference)
                ? allow : refuse("no relationship found between node '\(node.name)' and this object")
        }
        switch (attributes.group, attributes.resource) {
        case ("", "secrets"): return read(attributes) ?? related(.secret)
        case ("", "configmaps"): return read(attributes) ?? related(.configMap)
        case ("", "persistentvolumeclaims") where attributes.subresource == "status":
            guard ["update", "patch"].contains(attributes.verb) else {
                return refuse("can only get/update/patch this type")
            }
            return related(.claim)
        case ("", "persistentvolumeclaims"): return get(attributes) ?? related(.claim)
        case ("", "persistentvolumes"):
            if let refusal = get(attributes) { return refusal }
            return graph().relates(node.name, toVolume: attributes.name)
                ? allow : refuse("no relationship found between node '\(node.name)' and this object")
        case ("", "serviceaccounts"):
            guard attributes.verb == "create", !attributes.name.isEmpty else {
                return refuse("can only create tokens for individual service accounts")
            }
            guard attributes.subresource == "token" else {
                return refuse("can only create token subresource of serviceaccount")
            }
            return related(.serviceAccount)
        case ("coordination.k8s.io", "leases"): return lease(node, attributes)
        case ("", "nodes"): return own(node, attributes)
        case ("", "pods"): return pod(node, attributes, related)
        default: return byRules(attributes)
        }
    }

    private static func byRules(_ attributes: AccessAttributes) -> AccessDecision {
        AccessDecision(isAllowed: DefaultRoles.node.contains { $0.allows(attributes) })
    }

    private static func read(_ attributes: AccessAttributes) -> AccessDecision? {
        guard ["get", "list", "watch"].contains(attributes.verb) else {
            return refuse("can only read resources of this type")
        }
        guard attributes.subresource.isEmpty else { return refuse("cannot read subresource") }
        guard !attributes.namespace.isEmpty else {
            return refuse("can only read namespaced object of this type")
        }
        return nil
    }

    private static func get(_ attributes: AccessAttributes) -> AccessDecision? {
        guard attributes.verb == "get" else {
            return refuse("can only get individual resources of this type")
        }
        return attributes.subresource.isEmpty ? nil : refuse("cannot get subresource")
    }

    private static func lease(_ node: NodeIdentity, _ attributes: AccessAttributes) -> AccessDecision {
        guard ["get", "create", "update", "patch", "delete"].contains(attributes.verb) else {
            return refuse("can only get, create, update, patch, or delete a node lease")
        }
        guard attributes.namespace == NodeRestriction.leases else {
            return refuse(NodeRestriction.foreignLeases)
        }
        guard attributes.verb == "create" || attributes.name == node.name else {
            return refuse(NodeRestriction.foreignLease)
        }
        return allow
    }

    private static func own(_ node: NodeIdentity, _ attributes: AccessAttributes) -> AccessDecision {
        switch (attributes.subresource, attributes.verb) {
        case ("", "create"), ("", "update"), ("", "patch"), ("status", "update"), ("status", "patch"):
            // NodeRestriction sees to it that it is its own.
            return allow
        case ("", "get"), ("", "list"), ("", "watch"):
            if attributes.name == node.name { return allow }
            return refuse(
                attributes.name.isEmpty
                    ? "node '\(node.name)' cannot read all nodes, only its own Node object"
                    : "node '\(node.name)' cannot read '\(attributes.name)', only its own Node object")
        default: return refuse()
        }
    }

    private static func pod(
        _ node: NodeIdentity, _ attributes: AccessAttributes,
        _ related: (NodeGraph.Reference.Kind) -> AccessDecision
    ) -> AccessDecision {
        switch (attributes.subresource, attributes.verb) {
        case ("", "get"): return related(.pod)
        case ("", "list"), ("", "watch"):
            if let selector = try? FieldSelector.parse(attributes.fieldSelector),
                selector.exactValue(of: "spec.nodeName") == node.name
            {
                return allow
            }
            return attributes.name.isEmpty
                ? refuse("can only list/watch pods with spec.nodeName field selector") : related(.pod)
        case ("", "create"), ("", "delete"), ("status", "update"), ("status", "patch"),
            ("eviction", "create"):
            // NodeRestriction sees to it that the pod is on this node.
            return allow
        default: return refuse()
        }
    }
}
