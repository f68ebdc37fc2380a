import KubernetesAPI
import KubernetesClient
import Synchronization

/// Rolls Deployments out: performs what ``DeploymentReconciler`` decides.
final class DeploymentController: QueueingController {
    let name = "deployment"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "deployment")

    private let deployments: Informer<Deployment>
    private let replicaSets: Informer<ReplicaSet>
    private let pods: Informer<Pod>
    private let recorder: EventRecorder
    private let fence = Mutex(WriteFence<NamespacedName>())

    init(_ context: ControllerContext) {
        self.context = context
        deployments = context.informers.informer(Deployment.self)
        replicaSets = context.informers.informer(ReplicaSet.self)
        pods = context.informers.informer(Pod.self)
        recorder = context.recorder("deployment-controller")
    }

    func subscribe() {
        deployments.subscribe { [queue] event in
            if let deployment = event.object { queue.add(deployment.key) }
        }
        replicaSets.subscribe { [self] event in
            guard let set = event.object else { return }
            enqueueOwner(of: set)
            // A set that lost its owner or whose labels changed may be somebody else's now.
            if let old = event.old, old.controllerReference != set.controllerReference {
                enqueueOwner(of: old)
            }
            if set.controllerReference == nil { enqueueMatching(set) }
        }
        pods.subscribe { [self] event in
            // Recreate waits for the last old pod.
            guard case .deleted(let pod) = event,
                let owner = pod.controllerReference, owner.kind == ReplicaSet.resource.kind,
                let set = replicaSets.get(namespace: pod.metadata.namespace, name: owner.name)
            else { return }
            enqueueOwner(of: set)
        }
    }

    func waitForCaches() async {
        await deployments.waitForSync()
        await replicaSets.waitForSync()
        await pods.waitForSync()
    }

    private func enqueueOwner(of set: ReplicaSet) {
        guard let owner = set.controllerReference, owner.kind == Deployment.resource.kind else { return }
        queue.add(NamespacedName(namespace: set.metadata.namespace, name: owner.name))
    }

    private func enqueueMatching(_ set: ReplicaSet) {
        for deployment in deployments.list(namespace: set.metadata.namespace)
        where selects(deployment.spec.selector, set.metadata.labels) {
            queue.add(deployment.key)
        }
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard let deployment = deployments.get(namespace: key.namespace, name: key.name) else {
            fence.withLock { $0.forget(key) }
            return
        }
        if fence.withLock({ $0.isBehind(key, cache: replicaSets.resourceVersion) }) { return }
        let owned = try await claim(for: deployment)
        let actions = DeploymentReconciler.reconcile(
            deployment: deployment, replicaSets: owned, oldPodsRunning: oldPodsRunning(deployment, owned),
            now: context.now())
        var current = deployment
        for action in actions { try await perform(action, for: &current, key: key) }
    }

    private func claim(for deployment: Deployment) async throws -> [ReplicaSet] {
        let claim = Claim(
            of: replicaSets.list(namespace: deployment.metadata.namespace), by: deployment.metadata.uid,
            isDeleting: deployment.metadata.deletionTimestamp != nil
        ) { selects(deployment.spec.selector, $0) }
        var claimed = claim.claimed
        if !claim.toAdopt.isEmpty, try await context.client.mayAdopt(deployment) {
            for set in claim.toAdopt { claimed.append(try await context.client.adopt(set, for: deployment)) }
        }
        for set in claim.toRelease { try await context.client.release(set, from: deployment) }
        return claimed
    }

    private func oldPodsRunning(_ deployment: Deployment, _ owned: [ReplicaSet]) -> Bool {
        guard deployment.spec.strategy.type == "Recreate" else { return false }
        let old = Set(
            owned.filter { !$0.spec.template.makesSamePod(as: deployment.spec.template) }.map(\.metadata.uid))
        return pods.list(namespace: deployment.metadata.namespace).contains { pod in
            guard let owner = pod.controllerReference, !pod.isFinished else { return false }
            return old.contains(owner.uid)
        }
    }

    private func perform(
        _ action: DeploymentAction, for deployment: inout Deployment, key: NamespacedName
    ) async throws {
        switch action {
        case .createReplicaSet(let set):
            try await create(set, for: &deployment, key: key)
        case .updateReplicaSet(let set):
            _ = try await context.client.update(set)
        case .scale(let set, let from):
            _ = try await context.client.update(set)
            report(set, from: from, deployment: deployment)
        case .deleteReplicaSet(let set):
            do {
                try await context.client.delete(
                    ReplicaSet.self, name: set.metadata.name, namespace: set.metadata.namespace)
            } catch let error as APIError where error.isNotFound {
                return
            }
        case .setRevision(let revision):
            // By way of the status, as upstream does: a changed annotation would count as a new generation.
            deployment.metadata.annotations[Annotation.revision] = revision
            deployment = try await context.client.updateStatus(deployment)
        case .updateStatus(var status):
            status.collisionCount = deployment.status.collisionCount
            deployment.status = status
            deployment = try await context.client.updateStatus(deployment)
        case .rollBack(let rollback):
            deployment = try await context.client.update(rollback.deployment)
            recorder.record(
                deployment, type: rollback.type, reason: rollback.reason, message: rollback.message)
        case .wake(let seconds):
            queue.add(key, after: .seconds(seconds))
        }
    }

    private func create(_ set: ReplicaSet, for deployment: inout Deployment, key: NamespacedName) async throws
    {
        do {
            let created = try await context.client.create(set)
            fence.withLock { $0.note(created.metadata.resourceVersion, for: key) }
            report(created, from: 0, deployment: deployment)
        } catch let error as APIError where error.isAlreadyExists {
            let existing = try await context.client.get(
                ReplicaSet.self, name: set.metadata.name, namespace: set.metadata.namespace)
            if existing.isControlled(by: deployment.metadata.uid),
                existing.spec.template.makesSamePod(as: set.spec.template)
            {
                // Ours from before; the cache has yet to see it.
                fence.withLock { $0.note(existing.metadata.resourceVersion, for: key) }
                return
            }
            // Another template has the same hash: count the collision, and hash anew.
            deployment.status.collisionCount = (deployment.status.collisionCount ?? 0) + 1
            deployment = try await context.client.updateStatus(deployment)
            throw error
        } catch let error as APIError {
            // A namespace that is being emptied takes nothing new in: nothing to tell anybody.
            let causes = error.status.details?.causes ?? []
            if !causes.contains(where: { $0.reason == "NamespaceTerminating" }) {
                try await reportRefusal(of: set, error, deployment)
            }
            throw error
        }
    }

    private func reportRefusal(of set: ReplicaSet, _ error: APIError, _ deployment: Deployment) async throws {
        let message = "Failed to create new replica set \"\(set.metadata.name)\": \(error.status.message)"
        recorder.record(deployment, type: "Warning", reason: "ReplicaSetCreateError", message: message)
        let status = RolloutProgress.refused(deployment, message, now: context.now())
        guard status != deployment.status else { return }
        var changed = deployment
        changed.status = status
        _ = try await context.client.updateStatus(changed)
    }

    private func report(_ set: ReplicaSet, from: Int, deployment: Deployment) {
        let size = set.spec.replicas ?? 0
        guard size != from else { return }
        recorder.record(
            deployment, type: "Normal", reason: "ScalingReplicaSet",
            message:
                "Scaled \(size > from ? "up" : "down") replica set \(set.metadata.name) from \(from) to \(size)"
        )
    }
}
