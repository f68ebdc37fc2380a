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
    private let slices: Informer<EndpointSlice>
    private let fence = Mutex(WriteFence<NamespacedName>())
    private let triggers = Mutex([NamespacedName: Time]())

    init(_ context: ControllerContext) {
        self.context = context
        services = context.informers.informer(Service.self)
        pods = context.informers.informer(Pod.self)
        slices = context.informers.informer(EndpointSlice.self)
    }

    func subscribe() {
        services.subscribe { [self] event in
            if let service = event.object { enqueue(service.key) }
        }
        pods.subscribe { [self] event in
            guard let pod = event.object else { return }
            for key in services.keys(selecting: pod, before: event.old) { enqueue(key) }
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

    func waitForCaches() async {
        await services.waitForSync()
        await pods.waitForSync()
        await slices.waitForSync()
    }

    private func enqueue(_ key: NamespacedName) {
        triggers.withLock { if $0[key] == nil { $0[key] = context.now() } }
        queue.add(key)
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard let service = services.get(namespace: key.namespace, name: key.name),
            service.metadata.deletionTimestamp == nil
        else {
            // The garbage collector takes the slices of a Service that is gone.
            fence.withLock { $0.forget(key) }
            triggers.withLock { $0[key] = nil }
            return
        }
        // Services without a selector, and names elsewhere, have no endpoints of ours.
        guard !service.spec.selector.isEmpty, service.spec.type != "ExternalName" else { return }
        if fence.withLock({ $0.isBehind(key, cache: slices.resourceVersion) }) { return }
        let trigger = triggers.withLock { $0.removeValue(forKey: key) } ?? context.now()
        let existing = slices.list(namespace: key.namespace).filter {
            $0.metadata.labels[EndpointSliceReconciler.serviceNameLabel] == key.name
                && $0.metadata.labels[EndpointSliceReconciler.managedByLabel]
                    == EndpointSliceReconciler.manager
        }
        let changes = EndpointSliceReconciler().reconcile(
            service, pods: pods.list(selectedBy: service), existing: existing, trigger: trigger)
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

extension Informer where Object == Service {
    /// The Services whose endpoints a pod's change concerns: those that select it as it is, or as it was.
    func keys(selecting pod: Pod, before old: Pod?) -> [NamespacedName] {
        list(namespace: pod.metadata.namespace).filter { service in
            !service.spec.selector.isEmpty
                && (service.spec.selects(pod.metadata.labels)
                    || old.map { service.spec.selects($0.metadata.labels) } ?? false)
        }.map(\.key)
    }
}

extension Informer where Object == Pod {
    /// The pods that a Service's selector matches.
    func list(selectedBy service: Service) -> [Pod] {
        list(namespace: service.metadata.namespace).filter { service.spec.selects($0.metadata.labels) }
            .sorted { $0.metadata.name < $1.metadata.name }
    }
}

extension ServiceSpec {
    /// Whether the selector matches these labels: every pair of it is among them.
    func selects(_ labels: [String: String]) -> Bool {
        selector.allSatisfy { labels[$0.key] == $0.value }
    }
}
