import KubernetesAPI
import KubernetesClient

/// Keeps the rules of aggregated cluster roles (`admin`, `edit`, `view`) what the roles they are made of say.
final class ClusterRoleAggregationController: QueueingController {
    let name = "clusterrole-aggregation"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "ClusterRoleAggregator")

    private let roles: Informer<ClusterRole>

    init(_ context: ControllerContext) {
        self.context = context
        roles = context.informers.informer(ClusterRole.self)
    }

    func subscribe() {
        roles.subscribe { [queue, roles] event in
            // Whatever changed may be a part of any of them; there are few.
            guard let changed = event.object else { return }
            if changed.aggregationRule != nil { queue.add(changed.key) }
            for role in roles.list() where role.aggregationRule != nil { queue.add(role.key) }
        }
    }

    func waitForCaches() async { await roles.waitForSync() }

    func reconcile(_ key: NamespacedName) async throws {
        guard var role = roles.get(namespace: "", name: key.name), role.metadata.deletionTimestamp == nil,
            let rules = role.aggregatedRules(from: roles.list()), rules != role.rules
        else { return }
        role.rules = rules
        do {
            _ = try await context.client.update(role)
        } catch let error as APIError where error.isNotFound {
            return
        }
    }
}
