import KubernetesAPI
import KubernetesClient

/// Empties namespaces that are being deleted and then lets them go.
final class NamespaceController: QueueingController {
    let name = "namespace"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>()

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
        var left = 0
        for kind in KindHandle.namespaced {
            let names = try await kind.names(context.client, key.name)
            left += names.count
            for name in names {
                do {
                    try await kind.delete(context.client, key.name, name, DeleteOptions())
                } catch let error as APIError where error.isNotFound {
                    continue
                }
            }
        }
        if left > 0 {
            // Whatever went at once is gone on the next look; what lingers brings the key back itself.
            queue.add(key, after: .milliseconds(50))
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
}
