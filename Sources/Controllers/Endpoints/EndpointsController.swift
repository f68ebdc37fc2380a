import KubernetesAPI
import KubernetesClient

/// Writes the Endpoints object of every Service with a selector: performs what ``EndpointsReconciler`` decides.
final class EndpointsController: QueueingController {
    let name = "endpoints"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "endpoint")

    private let services: Informer<Service>
    private let pods: Informer<Pod>
    private let endpoints: Informer<Endpoints>
    private let recorder: EventRecorder

    init(_ context: ControllerContext) {
        self.context = context
        services = context.informers.informer(Service.self)
        pods = context.informers.informer(Pod.self)
        endpoints = context.informers.informer(Endpoints.self)
        recorder = context.recorder("endpoint-controller")
    }

    func subscribe() {
        services.indexBySelector()
        services.subscribe { [queue] event in
            if let service = event.object { queue.add(service.key) }
        }
        pods.subscribe { [queue, services] event in
            guard let pod = event.object else { return }
            for key in services.keys(selecting: pod, before: event.old) { queue.add(key) }
        }
        endpoints.subscribe { [queue] event in
            if let object = event.object { queue.add(object.key) }
        }
    }

    func waitForCaches() async {
        await services.waitForSync()
        await pods.waitForSync()
        await endpoints.waitForSync()
    }

    func reconcile(_ key: NamespacedName) async throws {
        let existing = endpoints.get(namespace: key.namespace, name: key.name)
        guard let service = services.get(namespace: key.namespace, name: key.name) else {
            try await removeLeftover(existing)
            return
        }
        guard !service.spec.selector.isEmpty, service.spec.type != "ExternalName",
            service.metadata.deletionTimestamp == nil
        else { return }
        let desired = EndpointsReconciler.reconcile(
            service, pods: pods.list(selectedBy: service), existing: existing, trigger: context.now())
        guard let desired else { return }
        do {
            if existing == nil {
                _ = try await context.client.create(desired)
            } else {
                _ = try await context.client.update(desired)
            }
        } catch let error as APIError where existing == nil && error.isAlreadyExists {
            // Ours from a moment ago; the cache has yet to see it, and its event comes back here.
            return
        } catch {
            if !Task.isCancelled, !error.passes { tell(desired, isNew: existing == nil, error) }
            throw error
        }
    }

    private func tell(_ endpoints: Endpoints, isNew: Bool, _ error: any Error) {
        let name = "\(endpoints.metadata.namespace)/\(endpoints.metadata.name)"
        recorder.record(
            endpoints, type: EventRecorder.warning,
            reason: isNew ? "FailedToCreateEndpoint" : "FailedToUpdateEndpoint",
            message: isNew
                ? "Failed to create endpoint for service \(name): \(error)"
                : "Failed to update endpoint \(name): \(error)")
    }

    /// Endpoints have no owner reference, for reasons of age: what we made for a Service that is gone, we remove.
    private func removeLeftover(_ existing: Endpoints?) async throws {
        guard let existing,
            existing.metadata.labels[EndpointsReconciler.managedByLabel] == EndpointsReconciler.manager
        else { return }
        do {
            try await context.client.delete(
                Endpoints.self, name: existing.metadata.name, namespace: existing.metadata.namespace)
        } catch let error as APIError where error.isNotFound {
            return
        }
    }
}
