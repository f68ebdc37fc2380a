import KubernetesAPI

extension ResourceVerbs {
    /// What depends on who writes: nodes write about themselves, and nobody gives rights that they lack.
    ///
    /// - Throws: `forbidden`, `notFound` for a binding to a role that is not there.
    func restrict(
        _ operation: WriteOperation, new: Object?, old: Object?
    ) throws(APIError) {
        if let node = NodeIdentity(context.user) {
            let objection = NodeRestriction.objection(node, operation, info, new: new, old: old) {
                core.find(Node.self, node.name)?.metadata.uid
            }
            if let objection {
                throw .forbidden(kind, new?.metadata.displayName ?? info.name, objection)
            }
        }
        guard kind.group == DefaultPolicy.group, let new else { return }
        try Escalation(authorizer: core.authorizer, user: context.user, info: info).check(new: new, old: old)
    }
}
