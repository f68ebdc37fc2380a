import KubernetesAPI
import KubernetesClient

/// Empties namespaces that are being deleted and then lets them go.
final class NamespaceController: QueueingController {
    let name = "namespace"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "namespace")

    private let namespaces: Informer<Namespace>
    private static let finalizer = "kubernetes"

    init(_ context: ControllerContext) {
        self.context = context
        namespaces = context.informers.informer(Namespace.self)
    }

    func subscribe() {
        namespaces.subscribe { [queue] event in
            if let namespace = event.object { queue.add(namespace.key) }
        }
        // Pods take their time to go; each that does brings its namespace closer to its end.
        for kind in KindHandle.namespaced where kind.kind != Event.resource {
            kind.observe(context.informers) { [queue, namespaces] object, isGone in
                guard isGone, let namespace = namespaces.get(namespace: "", name: object.namespace),
                    namespace.metadata.deletionTimestamp != nil
                else { return }
                queue.add(namespace.key)
            }
        }
    }

    func waitForCaches() async { await namespaces.waitForSync() }

    func reconcile(_ key: NamespacedName) async throws {
        guard let namespace = namespaces.get(namespace: "", name: key.name),
            namespace.metadata.deletionTimestamp != nil,
            namespace.spec.finalizers.contains(Self.finalizer)
        else { return }
        var isNews = false
        for kind in KindHandle.namespaced {
            for object in try await kind.contents(context.client, key.name) {
                isNews = isNews || object.deletionTimestamp == nil
                do {
                    try await kind.delete(context.client, key.name, object.name, DeleteOptions())
                } catch let error as APIError where error.isNotFound {
                    continue
                }
            }
        }
        var content = NamespaceContent()
        for kind in KindHandle.namespaced {
            content.add(kind.kind, try await kind.contents(context.client, key.name))
        }
        guard content.isEmpty else {
            try await tell(content, of: namespace)
            // Whatever went at once is gone on the next look; what lingers brings the key back itself.
            queue.add(key, after: isNews ? .milliseconds(50) : .seconds(5))
            return
        }
        var emptied = namespace
        emptied.spec.finalizers.removeAll { $0 == Self.finalizer }
        do {
            _ = try await context.client.update(emptied, subresource: "finalize")
        } catch let error as APIError where error.isNotFound {
            return
        }
    }

    /// Says in the namespace's status what stands in the way.
    private func tell(_ content: NamespaceContent, of namespace: Namespace) async throws {
        var told = namespace
        told.status.conditions = content.conditions(before: namespace.status.conditions, now: context.now())
        guard told.status != namespace.status else { return }
        do {
            _ = try await context.client.update(told, subresource: "status")
        } catch let error as APIError where error.isNotFound {
            return
        }
    }
}
