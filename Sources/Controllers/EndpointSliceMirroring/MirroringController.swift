import KubernetesAPI
import KubernetesClient
import Synchronization

/// Mirrors Endpoints that people write for Services without a selector into EndpointSlices: performs what
/// ``MirroringReconciler`` decides.
final class MirroringController: QueueingController {
    let name = "endpointslicemirroring"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "endpoint_slice_mirroring")

    private let services: Informer<Service>
    private let endpoints: Informer<Endpoints>
    private let slices: Informer<EndpointSlice>
    private let fence = Mutex(WriteFence<NamespacedName>())

    init(_ context: ControllerContext) {
        self.context = context
        services = context.informers.informer(Service.self)
        endpoints = context.informers.informer(Endpoints.self)
        slices = context.informers.informer(EndpointSlice.self)
    }

    func subscribe() {
        slices.indexByService()
        services.subscribe { [queue] event in
            if let service = event.object { queue.add(service.key) }
        }
        endpoints.subscribe { [queue] event in
            if let object = event.object { queue.add(object.key) }
        }
        slices.subscribe { [queue] event in
            guard let slice = event.object, let service = Self.service(of: slice) else { return }
            queue.add(service)
        }
    }

    func waitForCaches() async {
        await services.waitForSync()
        await endpoints.waitForSync()
        await slices.waitForSync()
    }

    /// The Service that one of our slices is for.
    private static func service(of slice: EndpointSlice) -> NamespacedName? {
        let labels = slice.metadata.labels
        guard labels[EndpointSliceReconciler.managedByLabel] == MirroringReconciler.manager else {
            return nil
        }
        return labels[EndpointSliceReconciler.serviceNameLabel].map {
            NamespacedName(namespace: slice.metadata.namespace, name: $0)
        }
    }

    func reconcile(_ key: NamespacedName) async throws {
        if fence.withLock({ $0.isBehind(key, cache: slices.resourceVersion) }) { return }
        let existing = slices.list(of: key, managedBy: MirroringReconciler.manager)
        guard let object = endpoints.get(namespace: key.namespace, name: key.name) else {
            // The garbage collector takes the mirror of what is gone.
            fence.withLock { $0.forget(key) }
            return
        }
        let service = services.get(namespace: key.namespace, name: key.name)
        let changes =
            MirroringReconciler.mirrors(object, of: service)
            ? MirroringReconciler.reconcile(object, existing: existing)
            : EndpointSliceChanges(delete: existing)
        for slice in changes.create {
            let created = try await context.client.create(slice)
            fence.withLock { $0.note(created.metadata.resourceVersion, for: key) }
        }
        for slice in changes.update { _ = try await context.client.update(slice) }
        for slice in changes.delete {
            do {
                try await context.client.delete(
                    EndpointSlice.self, name: slice.metadata.name, namespace: slice.metadata.namespace)
            } catch let error as APIError where error.isNotFound {
                continue
            }
        }
    }
}
