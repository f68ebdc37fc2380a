import KubernetesAPI

/// What becomes of a default role or binding that is there already: what it lacks is added, unless somebody
/// asked that it be left alone. Pure; upstream's rules for its bootstrap policy.
package enum RoleReconciliation {
    /// `false` on an object leaves it as it is.
    static let annotation = "rbac.authorization.kubernetes.io/autoupdate"

    /// The object as it should be, or nil when it needs no change.
    package static func corrected(_ present: ClusterRole, _ wanted: ClusterRole) -> ClusterRole? {
        guard var result = labelled(present, wanted.metadata) else { return nil }
        if wanted.aggregationRule == nil {
            result.rules += PolicyRule.missing(from: present.rules, of: wanted.rules)
        }
        if let aggregation = wanted.aggregationRule {
            let selectors = present.aggregationRule?.clusterRoleSelectors ?? []
            let added = aggregation.clusterRoleSelectors.filter { !selectors.contains($0) }
            result.aggregationRule = AggregationRule(clusterRoleSelectors: selectors + added)
        }
        return result == present ? nil : result
    }

    package static func corrected(_ present: Role, _ wanted: Role) -> Role? {
        guard var result = labelled(present, wanted.metadata) else { return nil }
        result.rules += PolicyRule.missing(from: present.rules, of: wanted.rules)
        return result == present ? nil : result
    }

    package static func corrected(
        _ present: ClusterRoleBinding, _ wanted: ClusterRoleBinding
    ) -> ClusterRoleBinding? {
        guard var result = labelled(present, wanted.metadata) else { return nil }
        result.subjects += wanted.subjects.filter { !present.subjects.contains($0) }
        // A role can only be exchanged with the whole binding.
        result.roleRef = wanted.roleRef
        return result == present ? nil : result
    }

    package static func corrected(_ present: RoleBinding, _ wanted: RoleBinding) -> RoleBinding? {
        guard var result = labelled(present, wanted.metadata) else { return nil }
        result.subjects += wanted.subjects.filter { !present.subjects.contains($0) }
        result.roleRef = wanted.roleRef
        return result == present ? nil : result
    }

    /// Nil when the object is to be left alone.
    private static func labelled<Object: KubernetesObject>(_ present: Object, _ wanted: ObjectMeta) -> Object?
    {
        guard present.metadata.annotations[annotation] != "false" else { return nil }
        var result = present
        result.metadata.labels.merge(wanted.labels) { present, _ in present }
        result.metadata.annotations.merge(wanted.annotations) { present, _ in present }
        return result
    }
}
