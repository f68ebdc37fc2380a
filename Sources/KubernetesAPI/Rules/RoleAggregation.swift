extension ClusterRole {
    /// The rules that a role with an aggregation rule is to have: those of the other roles that its selectors
    /// choose, in the order of their names, each once; nil for a role that has rules of its own.
    ///
    /// - Parameter roles: all cluster roles.
    public func aggregatedRules(from roles: [ClusterRole]) -> [PolicyRule]? {
        guard let aggregationRule else { return nil }
        let others = roles.filter { $0.metadata.name != metadata.name }.sorted {
            $0.metadata.name < $1.metadata.name
        }
        var rules: [PolicyRule] = []
        var seen: Set<PolicyRule> = []
        for labels in aggregationRule.clusterRoleSelectors {
            // A selector that makes no sense was refused when the role was written.
            guard let selector = try? Selector(labels) else { continue }
            for role in others where selector.matches(role.metadata.labels) {
                for rule in role.rules where seen.insert(rule).inserted { rules.append(rule) }
            }
        }
        return rules
    }
}
