import KubernetesAPI
import KubernetesClient
import Synchronization

/// Writes the EndpointSlices of every Service with a selector: performs what ``EndpointSliceReconciler`` decides.
final class EndpointSliceController: QueueingController {
    let name = "endpointslice"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "endpoint_slice")
    let workers = 4

    private let services: Informer<Service>
    private let pods: Informer<Pod>
    private let nodes: Informer<Node>
    private let slices: Informer<EndpointSlice>
    private let recorder: EventRecorder
    private let metrics = SliceMetrics("endpoint_slice_controller")
    private let fence = Mutex(WriteFence<NamespacedName>())
    private let triggers = Mutex([NamespacedName: MicroTime]())

    init(_ context: ControllerContext) {
        self.context = context
        services = context.informers.informer(Service.self)
        pods = context.informers.informer(Pod.self)
        nodes = context.informers.informer(Node.self)
        slices = context.informers.informer(EndpointSlice.self)
        recorder = context.recorder("endpoint-slice-controller")
    }

    func subscribe() {
        services.indexBySelector()
        slices.indexByService()
        services.subscribe { [self] event in
            if let service = event.object { enqueue(service.key) }
        }
        pods.subscribe { [self] event in
            guard let pod = event.object else { return }
            for key in services.keys(selecting: pod, before: event.old) { enqueue(key) }
        }
        nodes.subscribe { [self] event in
            switch event {
            case .updated(let old, let node) where EndpointNodes.zone(of: old) == EndpointNodes.zone(of: node):
                break
            case .added(let node), .deleted(let node), .updated(_, let node): enqueue(podsOn: node)
            case .synced: break
            }
        }
        slices.subscribe { [queue] event in
            guard let slice = event.object,
                slice.metadata.labels[EndpointSliceReconciler.managedByLabel]
                    == EndpointSliceReconciler.manager,
                let service = slice.metadata.labels[EndpointSliceReconciler.serviceNameLabel]
            else { return }
            queue.add(NamespacedName(namespace: slice.metadata.namespace, name: service))
        }
    }

    /// A node that comes or goes, or changes its zone, changes the endpoints on it.
    private func enqueue(podsOn node: Node) {
        for pod in pods.list() where pod.spec.nodeName == node.metadata.name {
            for key in services.keys(selecting: pod) { enqueue(key) }
        }
    }

    func waitForCaches() async {
        await services.waitForSync()
        await pods.waitForSync()
        await nodes.waitForSync()
        await slices.waitForSync()
    }

    private func enqueue(_ key: NamespacedName) {
        triggers.withLock { if $0[key] == nil { $0[key] = MicroTime.now() } }
        queue.add(key)
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard let service = services.get(namespace: key.namespace, name: key.name) else {
            // The garbage collector takes the slices of a Service that is gone.
            fence.withLock { $0.forget(key) }
            metrics.forget(key)
            triggers.withLock { $0[key] = nil }
            return
        }
        // Services without a selector, and names elsewhere, have no endpoints of ours.
        guard !service.spec.selector.isEmpty, service.spec.type != "ExternalName" else {
            metrics.forget(key)
            triggers.withLock { $0[key] = nil }
            return
        }
        if fence.withLock({ $0.isBehind(key, cache: slices.resourceVersion) }) {
            metrics.ended(.stale)
            return
        }
        let cause = triggers.withLock { $0.removeValue(forKey: key) }
        let pods = pods.list(selectedBy: service)
        // The cache shows a change a moment before its event brings the key here: what finds it first, on another
        // account, has seen it now.
        let trigger = cause ?? MicroTime.now()
        let reconciler = EndpointSliceReconciler()
        let existing = slices.list(of: key, managedBy: EndpointSliceReconciler.manager)
        let changes = reconciler.reconcile(
            service, pods: pods, nodes: EndpointNodes(nodes.list()), existing: existing, trigger: trigger)
        do {
            try await write(changes, for: key)
            metrics.reconciled(
                key, service, changes, existing: existing, capacity: reconciler.maxEndpointsPerSlice)
            metrics.ended(.success)
        } catch {
            metrics.ended(.error)
            tell(service, error)
            // The cause is not served yet; it is measured from when it came.
            triggers.withLock { $0[key] = min($0[key] ?? trigger, trigger) }
            throw error
        }
    }

    /// Tells people, unless somebody else was only quicker, or the namespace is about to go.
    private func tell(_ service: Service, _ error: any Error) {
        guard !Task.isCancelled, !error.passes else { return }
        recorder.record(
            service, type: EventRecorder.warning, reason: "FailedToUpdateEndpointSlices",
            message: "Error updating Endpoint Slices for Service \(service.metadata.namespace)/"
                + "\(service.metadata.name): \(error)")
    }

    private func write(_ changes: EndpointSliceChanges, for key: NamespacedName) async throws {
        for slice in changes.create {
            let created = try await context.client.create(slice)
            fence.withLock { $0.note(created.metadata.resourceVersion, for: key) }
        }
        for slice in changes.update {
            let updated = try await context.client.update(slice)
            // A further update from the old state could only be a conflict.
            fence.withLock { $0.note(updated.metadata.resourceVersion, for: key) }
        }
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
