import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

/// Deletes what lost its owners and keeps the promise of a deletion's propagation policy: performs what
/// ``OwnerGraph`` decides, for every kind that the server offers.
final class GarbageCollector: Controller {
    let name = "garbage-collector"

    private let context: ControllerContext
    private let recorder: EventRecorder
    private let graph = Mutex(OwnerGraph())
    private let queue = WorkQueue<Work>(name: "garbage_collector_attempt_to_delete")
    private let kinds = Mutex<[KindHandle]>([])

    /// An action under a key by which repetitions fall together.
    private struct Work: Hashable, Sendable {
        var id: String
        var action: CollectorAction

        static func == (a: Work, b: Work) -> Bool { a.id == b.id }
        func hash(into hasher: inout Hasher) { hasher.combine(id) }
    }

    init(_ context: ControllerContext) {
        self.context = context
        recorder = context.recorder("garbage-collector-controller")
    }

    func run() async throws {
        let kinds = try await context.discoverKinds().collectable
        self.kinds.withLock { $0 = kinds }
        for kind in kinds {
            kind.observe(context.informers) { [self] object, isGone in
                let actions = graph.withLock { isGone ? $0.remove(uid: object.uid) : $0.observe(object) }
                enqueue(actions)
            }
        }
        // Judging an owner absent before its kind was listed would cost the server a question each.
        for kind in kinds { await kind.informer(context.informers).waitForSync() }
        await withTaskCancellationHandler {
            await runController(queue, name: name, workers: 2, logger: context.logger) { [self] work in
                try await perform(work.action)
            }
        } onCancel: {
            queue.shutDown()
        }
    }

    private func enqueue(_ actions: [CollectorAction]) {
        for action in actions {
            let id =
                switch action {
                case .delete(let object, let foreground): "delete \(object.uid) \(foreground)"
                case .dropOwners(let object, let uids): "drop \(object.uid) \(uids.sorted())"
                case .removeFinalizer(let object, let finalizer): "finalizer \(object.uid) \(finalizer)"
                case .report(let object, let owner): "report \(object.uid) \(owner.uid)"
                case .verify(let owner, let namespace): "verify \(owner.uid) \(namespace)"
                }
            queue.add(Work(id: id, action: action))
        }
    }

    private func perform(_ action: CollectorAction) async throws {
        do {
            switch action {
            case .delete(let object, let foreground):
                try await delete(object, foreground: foreground)
            case .dropOwners(let object, let uids):
                try await edit(object) { $0.ownerReferences.removeAll { uids.contains($0.uid) } }
            case .removeFinalizer(let object, let finalizer):
                try await edit(object) { $0.finalizers.removeAll { $0 == finalizer } }
            case .report(let object, let owner):
                report(object, owner)
            case .verify(let owner, let namespace):
                try await verify(owner, namespace: namespace)
            }
        } catch let error as APIError where error.isNotFound {
            return
        }
    }

    private func delete(_ object: OwnedObject, foreground: Bool) async throws {
        let kind = KindHandle(kind: object.kind)
        // The cache may be behind: the live object may have found another owner.
        let live = try await kind.metadata(context.client, namespace: object.namespace, name: object.name)
        guard live.uid == object.uid, live.ownerReferences == object.owners else { return }
        var options = DeleteOptions()
        var preconditions = Preconditions()
        preconditions.uid = live.uid
        preconditions.resourceVersion = live.resourceVersion
        options.preconditions = preconditions
        // What somebody asked for when deleting the object itself still holds.
        if foreground || live.finalizers.contains(Finalizer.foreground) {
            options.propagationPolicy = "Foreground"
        } else if live.finalizers.contains(Finalizer.orphan) {
            options.propagationPolicy = "Orphan"
        } else {
            options.propagationPolicy = "Background"
        }
        try await kind.delete(context.client, namespace: object.namespace, name: object.name, options)
    }

    private func edit(_ object: OwnedObject, _ change: (inout ObjectMeta) -> Void) async throws {
        let kind = KindHandle(kind: object.kind)
        let live = try await kind.metadata(context.client, namespace: object.namespace, name: object.name)
        guard live.uid == object.uid else { return }
        var changed = live
        change(&changed)
        if changed != live { try await kind.write(context.client, changed) }
    }

    private func report(_ object: OwnedObject, _ owner: OwnerReference) {
        var reference = ObjectReference()
        reference.kind = object.kind.kind
        reference.apiVersion = object.kind.apiVersion
        reference.namespace = object.namespace
        reference.name = object.name
        reference.uid = object.uid
        recorder.record(
            object: reference, type: "Warning", reason: "OwnerRefInvalidNamespace",
            message: "ownerRef [\(owner.apiVersion)/\(owner.kind), namespace: \(object.namespace), "
                + "name: \(owner.name), uid: \(owner.uid)] does not exist in namespace \"\(object.namespace)\""
        )
    }

    private func verify(_ owner: OwnerReference, namespace: String) async throws {
        // An owner of a kind that the server does not offer cannot be judged: its dependants stay.
        guard let kind = handle(owner.kind, owner.apiVersion) else { return }
        // Nor can one that has no namespace to be looked for in.
        if kind.kind.isNamespaced, namespace.isEmpty { return }
        do {
            let live = try await kind.metadata(
                context.client, namespace: kind.kind.isNamespaced ? namespace : "", name: owner.name)
            if live.uid == owner.uid { return }
        } catch let error as APIError where error.isNotFound {
            // Absent, as is one whose name has been taken by another.
        }
        enqueue(graph.withLock { $0.confirmAbsent(ownerUID: owner.uid, namespace: namespace) })
    }

    /// The kind of an owner, whatever version of its group the reference names.
    private func handle(_ kind: String, _ apiVersion: String) -> KindHandle? {
        let parts = apiVersion.split(separator: "/", omittingEmptySubsequences: false)
        let group = parts.count == 2 ? String(parts[0]) : ""
        return kinds.withLock { kinds in
            kinds.first { $0.kind.kind == kind && $0.kind.group == group }
        }
    }
}
