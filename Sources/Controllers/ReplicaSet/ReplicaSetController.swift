import KubernetesAPI
import KubernetesClient
import Synchronization

/// Keeps as many pods as each ReplicaSet asks for: performs what ``ReplicaSetReconciler`` decides.
final class ReplicaSetController: QueueingController {
    let name = "replicaset"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "replicaset")

    private let replicaSets: Informer<ReplicaSet>
    private let pods: Informer<Pod>
    private let recorder: EventRecorder
    private let fence = Mutex(WriteFence<NamespacedName>())

    init(_ context: ControllerContext) {
        self.context = context
        replicaSets = context.informers.informer(ReplicaSet.self)
        pods = context.informers.informer(Pod.self)
        recorder = context.recorder("replicaset-controller")
    }

    func subscribe() {
        replicaSets.subscribe { [queue] event in
            if let set = event.object { queue.add(set.key) }
        }
        pods.subscribe { [self] event in
            guard let pod = event.object else { return }
            enqueueOwner(of: pod)
            if let old = event.old, old.controllerReference != pod.controllerReference {
                enqueueOwner(of: old)
            }
            if pod.controllerReference == nil { enqueueMatching(pod) }
        }
        context.dataPlane.subscribe { [self] name in
            if let pod = pods.get(name) { enqueueOwner(of: pod) }
        }
    }

    func waitForCaches() async {
        await replicaSets.waitForSync()
        await pods.waitForSync()
        await context.waitForDataPlane()
    }

    private func enqueueOwner(of pod: Pod) {
        guard let owner = pod.controllerReference, owner.kind == ReplicaSet.resource.kind else { return }
        queue.add(NamespacedName(namespace: pod.metadata.namespace, name: owner.name))
    }

    private func enqueueMatching(_ pod: Pod) {
        for set in replicaSets.list(namespace: pod.metadata.namespace)
        where selects(set.spec.selector, pod.metadata.labels) {
            queue.add(set.key)
        }
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard let set = replicaSets.get(namespace: key.namespace, name: key.name) else {
            fence.withLock { $0.forget(key) }
            return
        }
        if fence.withLock({ $0.isBehind(key, cache: pods.resourceVersion) }) { return }
        let claim = Claim(
            of: pods.list(namespace: key.namespace), by: set.metadata.uid,
            isDeleting: set.metadata.deletionTimestamp != nil
        ) { selects(set.spec.selector, $0) }
        var owned = claim.claimed
        let orphans = claim.toAdopt.filter(\.isActive)
        if !orphans.isEmpty, try await context.client.mayAdopt(set) {
            for pod in orphans { owned.append(try await context.client.adopt(pod, for: set)) }
        }
        for pod in claim.toRelease { try await context.client.release(pod, from: set) }
        try await act(on: set, owned: owned, key: key)
    }

    private func act(on set: ReplicaSet, owned: [Pod], key: NamespacedName) async throws {
        let siblings = siblingsByNode(of: set)
        let now = context.now()
        // Pods first, then the status: it tells what came of them.
        let decided = ReplicaSetReconciler.reconcile(
            set, pods: owned, siblings: siblings, failure: nil, now: now,
            isReached: context.dataPlane.reaches)
        var problem: (failure: ReplicaSetFailure, error: any Error)?
        for action in decided {
            switch action {
            case .createPods(let count):
                do {
                    try await create(count, for: set, key: key)
                } catch {
                    problem = (ReplicaSetFailure(reason: "FailedCreate", message: text(of: error)), error)
                }
            case .deletePods(let victims):
                do {
                    try await delete(victims, of: set)
                } catch {
                    problem = (ReplicaSetFailure(reason: "FailedDelete", message: text(of: error)), error)
                }
            case .reportUnconfirmed(let pod):
                recorder.record(
                    pod, type: "Warning", reason: "ProxyNotConfirmed",
                    message: "Expected every proxy to send the pod new connections by now, found none to "
                        + "confirm it; it counts as available all the same. See the log of swiftlet for what "
                        + "keeps the proxy")
            case .updateStatus: break
            case .wake(let seconds): queue.add(key, after: .seconds(seconds))
            }
        }
        let after = ReplicaSetReconciler.reconcile(
            set, pods: owned, siblings: siblings, failure: problem?.failure, now: now,
            isReached: context.dataPlane.reaches)
        for case .updateStatus(let status) in after {
            var changed = set
            changed.status = status
            _ = try await context.client.updateStatus(changed)
        }
        if let problem { throw problem.error }
    }

    /// Creates pods in batches that double, so that a request the server refuses is not sent a hundred times.
    private func create(_ count: Int, for set: ReplicaSet, key: NamespacedName) async throws {
        var left = min(count, 500)
        var batch = 1
        while left > 0 {
            let size = min(batch, left)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<size { group.addTask { try await self.createOne(for: set, key: key) } }
                try await group.waitForAll()
            }
            left -= size
            batch *= 2
        }
    }

    private func createOne(for set: ReplicaSet, key: NamespacedName) async throws {
        do {
            let pod = try await context.client.create(Pod.make(from: set.spec.template, for: set))
            fence.withLock { $0.note(pod.metadata.resourceVersion, for: key) }
            recorder.record(
                set, type: "Normal", reason: "SuccessfulCreate", message: "Created pod: \(pod.metadata.name)")
        } catch {
            recorder.record(
                set, type: "Warning", reason: "FailedCreate", message: "Error creating: \(text(of: error))")
            throw error
        }
    }

    private func delete(_ victims: [Pod], of set: ReplicaSet) async throws {
        for pod in victims.prefix(500) {
            var options = DeleteOptions()
            var preconditions = Preconditions()
            preconditions.uid = pod.metadata.uid
            options.preconditions = preconditions
            do {
                try await context.client.delete(
                    Pod.self, name: pod.metadata.name, namespace: pod.metadata.namespace, options: options)
                recorder.record(
                    set, type: "Normal", reason: "SuccessfulDelete",
                    message: "Deleted pod: \(pod.metadata.name)")
            } catch let error as APIError where error.isNotFound {
                continue
            } catch {
                recorder.record(
                    set, type: "Warning", reason: "FailedDelete",
                    message: "Error deleting: \(text(of: error))")
                throw error
            }
        }
    }

    /// Active pods by node, of all ReplicaSets with the same owner: a rollout's old and new ones.
    private func siblingsByNode(of set: ReplicaSet) -> [String: Int] {
        guard let owner = set.controllerReference else { return [:] }
        let related = Set(
            replicaSets.list(namespace: set.metadata.namespace).filter { $0.isControlled(by: owner.uid) }
                .map(\.metadata.uid))
        return pods.list(namespace: set.metadata.namespace).reduce(into: [:]) { counts, pod in
            guard pod.isActive, let controller = pod.controllerReference, related.contains(controller.uid)
            else { return }
            counts[pod.spec.nodeName, default: 0] += 1
        }
    }

    private func text(of error: any Error) -> String {
        (error as? APIError)?.status.message ?? "\(error)"
    }
}
