import KubernetesAPI
import ObjectStore

/// Upstream's chain of authorizers: administrators may do everything, node agents what concerns their pods,
/// everybody what their roles allow.
package struct ClusterAuthorizer: Authorizer {
    /// The group whose members no role can bind.
    static let administrators = "system:masters"

    private let roles: ProjectionFollower<RoleIndex>
    private let nodes: ProjectionFollower<NodeGraph>

    package init(_ store: ObjectStore) {
        roles = ProjectionFollower(store)
        nodes = ProjectionFollower(store)
    }

    package func decide(_ user: User, _ attributes: AccessAttributes) -> AccessDecision {
        if user.groups.contains(Self.administrators) { return AccessDecision(isAllowed: true) }
        var reasons: [String] = []
        if let node = NodeIdentity(user) {
            let decision = NodeAuthorizer.decide(node, user, attributes) { nodes.current() }
            if decision.isAllowed { return decision }
            if !decision.reason.isEmpty { reasons.append(decision.reason) }
        }
        var decision = roles.current().decide(user, attributes)
        if decision.isAllowed { return decision }
        if !decision.reason.isEmpty { reasons.append(decision.reason) }
        decision.reason = reasons.joined(separator: "\n")
        return decision
    }

    package func rules(for user: User, in namespace: String) -> ResolvedRules {
        var resolved = roles.current().rules(for: user, in: namespace)
        if NodeIdentity(user) != nil {
            resolved.errors.insert("node authorizer does not support user rule resolution", at: 0)
        }
        return resolved
    }

    package func roleRules(for user: User, in namespace: String) -> ResolvedRules {
        roles.current().rules(for: user, in: namespace)
    }

    package func rules(of role: RoleRef, in namespace: String) -> [PolicyRule]? {
        roles.current().rules(of: role, in: namespace)
    }
}
