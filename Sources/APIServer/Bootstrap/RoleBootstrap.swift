import KubernetesAPI
import ObjectStore

/// Writes the default roles and bindings: all that are lacking in one commit, so that a new cluster has them
/// before it answers, and at once.
struct RoleBootstrap: Sendable {
    let core: ServerCore
    let policy: DefaultPolicy

    init(core: ServerCore, policy: DefaultPolicy = .standard) {
        self.core = core
        self.policy = policy
    }

    /// - Throws: `bootstrap` when the store cannot be written.
    func run() async throws(APIServerError) {
        // Another writer can only be a client that is faster than the start.
        for _ in 0..<8 {
            let mutations: [Mutation]
            do throws(APIError) {
                mutations = try plan()
            } catch {
                throw APIServerError(.bootstrap, "the default roles cannot be prepared", cause: error)
            }
            guard !mutations.isEmpty else { return }
            do throws(StoreError) {
                try await core.store.commit(mutations)
                return
            } catch {
                switch error.code {
                case .conflict, .alreadyExists, .notFound: continue
                default:
                    throw APIServerError(.bootstrap, "the default roles could not be written", cause: error)
                }
            }
        }
        throw APIServerError(
            .bootstrap, "the default roles could not be written: somebody else keeps changing them")
    }

    private func plan() throws(APIError) -> [Mutation] {
        try mutations(policy.initialClusterRoles, AccessResources.clusterRoles, RoleReconciliation.corrected)
            + mutations(
                policy.clusterRoleBindings, AccessResources.clusterRoleBindings, RoleReconciliation.corrected)
            + mutations(policy.roles, AccessResources.roles, RoleReconciliation.corrected)
            + mutations(policy.roleBindings, AccessResources.roleBindings, RoleReconciliation.corrected)
    }

    private func mutations<Object: KubernetesObject>(
        _ objects: [Object], _ resource: Resource<Object>, _ correct: (Object, Object) -> Object?
    ) throws(APIError) -> [Mutation] {
        var mutations: [Mutation] = []
        for object in objects {
            if let mutation = try mutation(object, resource, correct) { mutations.append(mutation) }
        }
        return mutations
    }

    private func mutation<Object: KubernetesObject>(
        _ wanted: Object, _ resource: Resource<Object>, _ correct: (Object, Object) -> Object?
    ) throws(APIError) -> Mutation? {
        let key = ObjectKey(
            resource: Object.resource.groupResource, namespace: wanted.metadata.namespace,
            name: wanted.metadata.name)
        guard let stored = core.store.get(key) else {
            var object = wanted
            var generator = SystemRandomNumberGenerator()
            Preparation.forCreate(
                &object, resource, uid: RandomName.uuid(using: &generator), now: core.now())
            return .create(key, try StoredForm.draft(of: object, resource))
        }
        guard let corrected = correct(try StoredForm.decode(stored), wanted) else { return nil }
        return .update(key, try StoredForm.draft(of: corrected, resource), expected: stored.revision)
    }
}
