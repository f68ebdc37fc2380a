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
    private let recorder: EventRecorder
    private let metrics = SliceMetrics("endpoint_slice_mirroring_controller")
    /// Of how many addresses people were told that they are left out, by the Endpoints' name.
    private let told = Mutex<[NamespacedName: Int]>([:])
    private let fence = Mutex(WriteFence<NamespacedName>())

    init(_ context: ControllerContext) {
        self.context = context
        services = context.informers.informer(Service.self)
        endpoints = context.informers.informer(Endpoints.self)
        slices = context.informers.informer(EndpointSlice.self)
        recorder = context.recorder("endpoint-slice-mirroring-controller")
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
        if fence.withLock({ $0.isBehind(key, cache: slices.resourceVersion) }) {
            metrics.ended(.stale)
            return
        }
        let existing = slices.list(of: key, managedBy: MirroringReconciler.manager)
        guard let object = endpoints.get(namespace: key.namespace, name: key.name) else {
            // The garbage collector takes the mirror of what is gone.
            fence.withLock { $0.forget(key) }
            told.withLock { $0[key] = nil }
            metrics.forget(key)
            return
        }
        let service = services.get(namespace: key.namespace, name: key.name)
        let isMirrored = MirroringReconciler.mirrors(object, of: service)
        let changes =
            isMirrored
            ? MirroringReconciler.reconcile(object, existing: existing)
            : EndpointSliceChanges(delete: existing)
        tell(object, leftOut: isMirrored ? MirroringReconciler.leftOut(of: object) : 0)
        do {
            try await write(changes, for: key)
        } catch {
            metrics.ended(.error)
            throw error
        }
        guard isMirrored || !changes.isEmpty else { return }
        metrics.reconciled(
            key, nil, changes, existing: existing, capacity: MirroringReconciler.capacity)
        metrics.ended(.success)
    }

    private func tell(_ object: Endpoints, leftOut count: Int) {
        let isNews = told.withLock { told in
            let before = told[object.key] ?? 0
            told[object.key] = count == 0 ? nil : count
            return count > 0 && before != count
        }
        guard isNews else { return }
        recorder.record(
            object, type: EventRecorder.warning, reason: "TooManyAddressesToMirror",
            message:
                "A max of \(MirroringReconciler.capacity) addresses can be mirrored to EndpointSlices per "
                + "Endpoints subset. \(count) addresses were skipped")
    }

    private func write(_ changes: EndpointSliceChanges, for key: NamespacedName) async throws {
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
