import KubernetesAPI
import KubernetesClient

/// Notices nodes that have fallen silent: performs what ``NodeHealth`` decides, and tells the pods there.
final class NodeLifecycleController: QueueingController {
    let name = "node-lifecycle"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "node_lifecycle_controller")
    let workers = 1

    private let nodes: Informer<Node>
    private let leases: Informer<Lease>
    private let pods: Informer<Pod>
    private let health = NodeHealth()
    static let leaseNamespace = "kube-node-lease"

    init(_ context: ControllerContext) {
        self.context = context
        nodes = context.informers.informer(Node.self)
        leases = context.informers.informer(Lease.self)
        pods = context.informers.informer(Pod.self)
    }

    func subscribe() {
        nodes.subscribe { [queue] event in
            if let node = event.object { queue.add(node.key) }
        }
        // A lease that is renewed needs no look: the next one is due when it runs out.
    }

    func waitForCaches() async {
        await nodes.waitForSync()
        await leases.waitForSync()
        await pods.waitForSync()
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard let node = nodes.get(namespace: "", name: key.name) else { return }
        let lease = leases.get(namespace: Self.leaseNamespace, name: key.name)
        let verdict = health.judge(node, lease: lease, now: context.now())
        if let seconds = verdict.lookAgainAfter { queue.add(key, after: .seconds(seconds)) }
        guard let changed = verdict.change else { return }
        var current = node
        if changed.spec != node.spec {
            current.spec = changed.spec
            current = try await context.client.update(current)
        }
        if changed.status != node.status {
            current.status = changed.status
            _ = try await context.client.updateStatus(current)
            try await markPodsNotReady(on: key.name)
        }
    }

    /// Pods on a silent node are endpoints no longer: nobody can say whether they serve.
    private func markPodsNotReady(on node: String) async throws {
        for var pod in pods.list() where pod.spec.nodeName == node {
            guard
                let index = pod.status.conditions.firstIndex(where: {
                    $0.type == "Ready" && $0.status == "True"
                })
            else { continue }
            pod.status.conditions[index].status = "False"
            pod.status.conditions[index].lastTransitionTime = context.now()
            do {
                _ = try await context.client.updateStatus(pod)
            } catch let error as APIError where error.isNotFound {
                continue
            }
        }
    }
}
