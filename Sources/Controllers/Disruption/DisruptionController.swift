import KubernetesAPI
import KubernetesClient

/// Keeps the status of disruption budgets: performs what ``DisruptionReconciler`` decides.
final class DisruptionController: QueueingController {
    let name = "disruption"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "disruption")

    private let budgets: Informer<PodDisruptionBudget>
    private let pods: Informer<Pod>
    private let deployments: Informer<Deployment>
    private let replicaSets: Informer<ReplicaSet>
    private let statefulSets: Informer<StatefulSet>
    private let controllers: Informer<ReplicationController>
    private let recorder: EventRecorder

    init(_ context: ControllerContext) {
        self.context = context
        budgets = context.informers.informer(PodDisruptionBudget.self)
        pods = context.informers.informer(Pod.self)
        deployments = context.informers.informer(Deployment.self)
        replicaSets = context.informers.informer(ReplicaSet.self)
        statefulSets = context.informers.informer(StatefulSet.self)
        controllers = context.informers.informer(ReplicationController.self)
        recorder = context.recorder("controllermanager")
    }

    func subscribe() {
        budgets.subscribe { [queue] event in
            if let budget = event.object { queue.add(budget.key) }
        }
        pods.subscribe { [self] event in
            if let pod = event.object { enqueue(labels: pod.metadata.labels, in: pod.metadata.namespace) }
            if let old = event.old, old.metadata.labels != event.object?.metadata.labels {
                enqueue(labels: old.metadata.labels, in: old.metadata.namespace)
            }
        }
        deployments.subscribe { [self] event in
            guard let item = event.object, event.old?.spec.replicas != item.spec.replicas else { return }
            enqueue(labels: item.spec.template.metadata.labels, in: item.metadata.namespace)
        }
        replicaSets.subscribe { [self] event in
            guard let item = event.object, event.old?.spec.replicas != item.spec.replicas else { return }
            enqueue(labels: item.spec.template.metadata.labels, in: item.metadata.namespace)
        }
        statefulSets.subscribe { [self] event in
            guard let item = event.object, event.old?.spec.replicas != item.spec.replicas else { return }
            enqueue(labels: item.spec.template.metadata.labels, in: item.metadata.namespace)
        }
        controllers.subscribe { [self] event in
            guard let item = event.object, event.old?.spec.replicas != item.spec.replicas else { return }
            enqueue(labels: item.spec.template?.metadata.labels ?? [:], in: item.metadata.namespace)
        }
    }

    func waitForCaches() async {
        await budgets.waitForSync()
        await pods.waitForSync()
        await deployments.waitForSync()
        await replicaSets.waitForSync()
        await statefulSets.waitForSync()
        await controllers.waitForSync()
    }

    private func enqueue(labels: [String: String], in namespace: String) {
        for budget in budgets.list(namespace: namespace) where selects(budget.spec.selector, labels) {
            queue.add(budget.key)
        }
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard let budget = budgets.get(key) else { return }
        let selected = pods.list(namespace: key.namespace).filter {
            selects(budget.spec.selector, $0.metadata.labels)
        }
        if selected.isEmpty {
            recorder.record(budget, type: "Normal", reason: "NoPods", message: "No matching pods found")
        }
        let outcome = DisruptionReconciler.reconcile(
            budget, pods: selected, now: context.now(), scale: scale)
        if let failure = outcome.failure {
            recorder.record(
                budget, type: "Warning", reason: "CalculateExpectedPodCountFailed",
                message: "Failed to calculate the number of expected pods: \(failure)")
        }
        for pod in selected where outcome.lingering.contains(pod.metadata.name) {
            recorder.record(
                pod, type: "Warning", reason: "NotDeleted",
                message: "Pod was expected by PDB \(key.namespace)/\(key.name) to be deleted but it wasn't")
        }
        if outcome.status != budget.status {
            var changed = budget
            changed.status = outcome.status
            do {
                _ = try await context.client.updateStatus(changed)
            } catch let error as APIError where error.isNotFound {
                return
            }
        }
        if let seconds = outcome.recheck { queue.add(key, after: .seconds(seconds + 1)) }
    }

    /// How many pods the controller of a pod wants; a ReplicaSet's Deployment stands for all its ReplicaSets.
    private func scale(_ pod: Pod) -> DisruptionReconciler.Scale {
        guard let owner = pod.controllerReference else { return .none }
        let namespace = pod.metadata.namespace
        switch (owner.kind, owner.apiVersion) {
        case ("ReplicaSet", "apps/v1"):
            guard let set = replicaSets.get(namespace: namespace, name: owner.name),
                set.metadata.uid == owner.uid
            else { break }
            if let parent = set.controllerReference, parent.kind == "Deployment",
                let deployment = deployments.get(namespace: namespace, name: parent.name),
                deployment.metadata.uid == parent.uid
            {
                return .wanted(deployment.spec.replicas ?? 0, uid: parent.uid)
            }
            return .wanted(set.spec.replicas ?? 0, uid: owner.uid)
        case ("StatefulSet", "apps/v1"):
            guard let set = statefulSets.get(namespace: namespace, name: owner.name),
                set.metadata.uid == owner.uid
            else { break }
            return .wanted(set.spec.replicas ?? 0, uid: owner.uid)
        case ("ReplicationController", "v1"):
            guard let controller = controllers.get(namespace: namespace, name: owner.name),
                controller.metadata.uid == owner.uid
            else { break }
            return .wanted(controller.spec.replicas ?? 0, uid: owner.uid)
        default:
            let version = owner.apiVersion.split(separator: "/", omittingEmptySubsequences: false)
            let group = version.count == 2 ? ".\(version[0])" : ""
            return .unknown(
                "\(owner.kind.lowercased())s\(group) does not implement the scale subresource")
        }
        return .unknown("found no controllers for pod \"\(pod.metadata.name)\"")
    }
}
