import KubernetesAPI
import KubernetesClient
import Synchronization

/// Empties namespaces that are being deleted, of every kind that the server offers, and then lets them go.
final class NamespaceController: QueueingController {
    let name = "namespace"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "namespace")

    private let namespaces: Informer<Namespace>
    private let kinds = Mutex<[KindHandle]>([])
    private static let finalizer = "kubernetes"

    init(_ context: ControllerContext) {
        self.context = context
        namespaces = context.informers.informer(Namespace.self)
    }

    func prepare() async throws {
        let served = try await context.discoverKinds()
        kinds.withLock { $0 = served.namespaced }
        // Pods take their time to go; each object that does brings its namespace closer to its end.
        for kind in served.collectable where kind.kind.isNamespaced {
            kind.observe(context.informers) { [queue, namespaces] object, isGone in
                guard isGone, let namespace = namespaces.get(namespace: "", name: object.namespace),
                    namespace.metadata.deletionTimestamp != nil
                else { return }
                queue.add(namespace.key)
            }
        }
    }

    func subscribe() {
        namespaces.subscribe { [queue] event in
            if let namespace = event.object { queue.add(namespace.key) }
        }
    }

    func waitForCaches() async { await namespaces.waitForSync() }

    func reconcile(_ key: NamespacedName) async throws {
        guard let namespace = namespaces.get(namespace: "", name: key.name),
            namespace.metadata.deletionTimestamp != nil,
            namespace.spec.finalizers.contains(Self.finalizer)
        else { return }
        let (remains, isNews) = try await empty(key.name)
        var current = try await tell(namespace, remains)
        guard remains.isEmpty else {
            // Whatever went at once is gone on the next look; what lingers brings the key back itself.
            queue.add(key, after: isNews ? .milliseconds(50) : .seconds(1))
            return
        }
        current.spec.finalizers.removeAll { $0 == Self.finalizer }
        do {
            _ = try await context.client.update(current, subresource: "finalize")
        } catch let error as APIError where error.isNotFound {
            return
        }
    }

    /// Deletes what is not being deleted yet in a namespace, and tells what is left for now and whether
    /// anything was newly deleted.
    private func empty(_ namespace: String) async throws -> (NamespaceRemains, isNews: Bool) {
        var remains = NamespaceRemains()
        var isNews = false
        for kind in kinds.withLock({ $0 }) {
            do {
                let contents = try await kind.metadata(context.client, namespace: namespace)
                if contents.isEmpty { continue }
                if contents.contains(where: { $0.deletionTimestamp == nil }) {
                    isNews = true
                    try await kind.deleteAll(context.client, namespace: namespace)
                }
                remains.note(kind.kind, try await kind.metadata(context.client, namespace: namespace))
            } catch let error as APIError {
                remains.failures.append(error.status.message)
            }
        }
        return (remains, isNews)
    }

    /// Writes what a deletion waits for into the namespace's status.
    private func tell(_ namespace: Namespace, _ remains: NamespaceRemains) async throws -> Namespace {
        var changed = namespace
        changed.status.conditions = remains.update(namespace.status.conditions, now: context.now())
        if changed.status == namespace.status { return namespace }
        return try await context.client.updateStatus(changed)
    }
}
