import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Synchronization

/// Gives Services of type LoadBalancer the nodes' addresses: performs what ``LoadBalancerAssignment`` decides, and
/// tells of it as upstream's service controller does.
///
/// The assignment is made for all Services at once, since they contend for ports; so there is one key.
final class LoadBalancerController: QueueingController {
    let name = "service-lb"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "service")
    let workers = 1

    private static let index = "ports of nodes"
    private static let key = NamespacedName(namespace: "", name: "all")

    private let services: Informer<Service>
    private let nodes: Informer<Node>
    private let slices: Informer<EndpointSlice>
    private let recorder: EventRecorder
    /// What people were told last about a Service, by its uid.
    private let told = Mutex<[String: String]>([:])

    init(_ context: ControllerContext) {
        self.context = context
        services = context.informers.informer(Service.self)
        nodes = context.informers.informer(Node.self)
        slices = context.informers.informer(EndpointSlice.self)
        recorder = context.recorder("service-controller")
    }

    func subscribe() {
        slices.indexByService()
        // Most Services have no say here, and there may be very many.
        services.addIndexer(Self.index) { Self.wants($0) ? [Self.index] : [] }
        services.subscribe { [self] event in
            switch event {
            case .updated(let old, let new): note(old, new)
            case .added(let service): if Self.wants(service) { queue.add(Self.key) }
            case .deleted(let service):
                told.withLock { _ = $0.removeValue(forKey: service.metadata.uid) }
                // What it had, others may be waiting for.
                if Self.wants(service) { queue.add(Self.key) }
            case .synced: break
            }
        }
        nodes.subscribe { [queue] event in
            switch event {
            case .updated(let old, let new)
            where old.metadata.labels == new.metadata.labels
                && old.status.addresses == new.status.addresses
                && old.status.conditions.map(\.status) == new.status.conditions.map(\.status):
                // A sign of life.
                break
            case .added, .updated, .deleted: queue.add(Self.key)
            case .synced: break
            }
        }
        slices.subscribe { [self] event in
            guard let slice = event.object,
                let name = slice.metadata.labels[EndpointSliceReconciler.serviceNameLabel],
                let service = services.get(namespace: slice.metadata.namespace, name: name),
                service.spec.externalTrafficPolicy == "Local" || name == "kubernetes"
            else { return }
            queue.add(Self.key)
        }
    }

    /// Whether the Service has a say in who has which port.
    private static func wants(_ service: Service) -> Bool {
        service.spec.type == "LoadBalancer" || service.spec.type == "NodePort"
    }

    private func note(_ old: Service, _ new: Service) {
        guard Self.wants(old) || Self.wants(new) else { return }
        let (before, after) = (LoadBalancerAssignment.serves(old), LoadBalancerAssignment.serves(new))
        if before != after, old.metadata.uid == new.metadata.uid, new.metadata.deletionTimestamp == nil {
            tell(new, "Type", "\(old.spec.type) -> \(new.spec.type)")
            if before {
                // The API server has taken the addresses out of the status with the type.
                tell(new, "DeletedLoadBalancer", "Deleted load balancer")
                told.withLock { _ = $0.removeValue(forKey: new.metadata.uid) }
            }
        }
        let ranges = (old.spec.loadBalancerSourceRanges, new.spec.loadBalancerSourceRanges)
        if after, ranges.0 != ranges.1 {
            tell(
                new, "LoadBalancerSourceRanges",
                "[\(ranges.0.joined(separator: " "))] -> [\(ranges.1.joined(separator: " "))]")
        }
        guard
            old.spec != new.spec || old.status != new.status
                || old.metadata.deletionTimestamp != new.metadata.deletionTimestamp
        else { return }
        queue.add(Self.key)
    }

    func waitForCaches() async {
        await services.waitForSync()
        await nodes.waitForSync()
        await slices.waitForSync()
    }

    func reconcile(_ key: NamespacedName) async throws {
        let all = services.list(index: Self.index, value: Self.index)
        guard all.contains(where: LoadBalancerAssignment.serves) else { return }
        let assignment = LoadBalancerAssignment(services: all, nodes: nodes.list()) { [slices] name in
            slices.list(of: NamespacedName(namespace: name.namespace, name: name.name))
        }
        for service in all {
            guard let outcome = assignment.outcomes[.init(service.metadata)] else { continue }
            try await settle(service, outcome)
        }
    }

    private func settle(_ service: Service, _ outcome: LoadBalancerAssignment.Outcome) async throws {
        let present = service.status.loadBalancer.ingress
        if present != outcome.ingress {
            if present.isEmpty { tell(service, "EnsuringLoadBalancer", "Ensuring load balancer") }
            guard try await write(outcome.ingress, service) else { return }
            if present.isEmpty {
                tell(service, "EnsuredLoadBalancer", "Ensured load balancer")
            } else if !outcome.ingress.isEmpty {
                tell(service, "UpdatedLoadBalancer", "Updated load balancer with new hosts")
            }
        }
        // What is wrong is told once, and again only after it was well or is wrong in another way.
        let wrong =
            outcome.failure.map { ("SyncLoadBalancerFailed", "Error syncing load balancer: \($0)") }
            ?? (outcome.lacksNodes
                ? ("UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer") : nil)
        let isNew = told.withLock { told in
            let before = told[service.metadata.uid]
            told[service.metadata.uid] = wrong?.1
            return before != wrong?.1
        }
        if isNew, let wrong {
            recorder.record(service, type: EventRecorder.warning, reason: wrong.0, message: wrong.1)
        }
    }

    /// - Returns: whether the Service is still one that can have addresses.
    private func write(_ ingress: [LoadBalancerIngress], _ service: Service) async throws -> Bool {
        do {
            _ = try await context.client.patch(
                Service.self, name: service.metadata.name, namespace: service.metadata.namespace,
                subresource: "status",
                body: [
                    "metadata": ["uid": .string(service.metadata.uid)],
                    "status": ["loadBalancer": ["ingress": .array(ingress.map(\.jsonValue))]],
                ])
            return true
        } catch let error as APIError where error.isNotFound || error.status.code == 422 {
            // It went, or became something else, a moment ago; its event comes back here.
            return false
        }
    }

    private func tell(_ service: Service, _ reason: String, _ message: String) {
        recorder.record(service, type: EventRecorder.normal, reason: reason, message: message)
    }
}
