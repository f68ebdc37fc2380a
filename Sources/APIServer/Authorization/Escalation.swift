import KubernetesAPI

/// Nobody gives away what they do not have themselves: upstream's rules for writing roles and bindings, with
/// the verbs `escalate` and `bind` as ways around them. Pure but for the authorizer it asks.
package struct Escalation: Sendable {
    let authorizer: any Authorizer
    let user: User
    let info: RequestInfo

    package init(authorizer: any Authorizer, user: User, info: RequestInfo) {
        self.authorizer = authorizer
        self.user = user
        self.info = info
    }

    /// - Throws: `forbidden` when the object gives rights that the user lacks, `notFound` when a binding's
    ///   role is not there to be looked at.
    package func check(new: any KubernetesObject, old: (any KubernetesObject)?) throws(APIError) {
        guard !user.groups.contains(ClusterAuthorizer.administrators) else { return }
        if let old, onlyCollectorsFields(new, old) { return }
        switch new {
        case let role as Role:
            if may("escalate", info.name) || role.rules == (old as? Role)?.rules { return }
            try confirm(role.rules, Role.resource, role.metadata.displayName)
        case let role as ClusterRole:
            try check(role, old as? ClusterRole)
        case let binding as RoleBinding:
            try check(binding.roleRef, RoleBinding.resource, binding.metadata.displayName)
        case let binding as ClusterRoleBinding:
            try check(binding.roleRef, ClusterRoleBinding.resource, binding.metadata.displayName)
        default: return
        }
    }

    private func check(_ role: ClusterRole, _ old: ClusterRole?) throws(APIError) {
        if may("escalate", info.name) { return }
        let name = role.metadata.displayName
        let isUnchanged =
            old.map { $0.rules == role.rules && $0.aggregationRule == role.aggregationRule } ?? false
        if isUnchanged { return }
        if role.aggregationRule != nil || old?.aggregationRule != nil,
            old == nil || old?.aggregationRule != role.aggregationRule,
            !PolicyRule.missing(
                from: authorizer.roleRules(for: user, in: "").rules, of: PolicyRule.everything
            ).isEmpty
        {
            throw .forbidden(
                ClusterRole.resource, name, "must have cluster-admin privileges to use the aggregationRule")
        }
        try confirm(role.rules, ClusterRole.resource, name)
    }

    private func check(_ role: RoleRef, _ kind: ResourceKind, _ name: String) throws(APIError) {
        let resource = role.kind == "ClusterRole" ? ClusterRole.resource : Role.resource
        let attributes = AccessAttributes(
            ResourceAttributes(
                namespace: info.namespace, verb: "bind", group: role.apiGroup, resource: resource.plural,
                name: role.name))
        if authorizer.decide(user, attributes).isAllowed { return }
        // What is wrong with the reference itself, validation tells.
        guard ["ClusterRole", "Role"].contains(role.kind), !role.name.isEmpty else { return }
        guard let rules = authorizer.rules(of: role, in: info.namespace) else {
            throw .notFound(resource, role.name)
        }
        try confirm(rules, kind, name)
    }

    private func may(_ verb: String, _ name: String) -> Bool {
        authorizer.decide(
            user,
            AccessAttributes(
                ResourceAttributes(
                    namespace: info.namespace, verb: verb, group: info.group, version: "*",
                    resource: info.resource, name: name))
        ).isAllowed
    }

    private func confirm(_ rules: [PolicyRule], _ kind: ResourceKind, _ name: String) throws(APIError) {
        let held = authorizer.roleRules(for: user, in: info.namespace)
        let missing = PolicyRule.missing(from: held.rules, of: rules)
        guard !missing.isEmpty else { return }
        let lines = Set(PolicyRule.compacted(missing).map(\.summary)).sorted()
        var message =
            "user \(GoText.quoted(user.name)) (groups=\(QuotedList.text(user.groups))) is attempting to grant "
            + "RBAC permissions not currently held:\n\(lines.joined(separator: "\n"))"
        if !held.errors.isEmpty { message += "; resolution errors: [\(RoleIndex.joined(held.errors))]" }
        throw .forbidden(kind, name, message)
    }

    /// Whether nothing but owners and finalizers changes: the garbage collector must be able to do its work.
    private func onlyCollectorsFields(_ new: any KubernetesObject, _ old: any KubernetesObject) -> Bool {
        func isSame<Object: KubernetesObject>(_ new: Object) -> Bool {
            guard let old = old as? Object else { return false }
            var copy = new
            copy.metadata.ownerReferences = old.metadata.ownerReferences
            copy.metadata.finalizers = old.metadata.finalizers
            copy.metadata.managedFields = old.metadata.managedFields
            copy.metadata.resourceVersion = old.metadata.resourceVersion
            return copy == old
        }
        return isSame(new)
    }
}
