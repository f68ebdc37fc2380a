import KubernetesAPI
import KubernetesClient

/// Looks after the ranges of Service addresses: performs what ``ServiceCIDRReconciler`` decides.
final class ServiceCIDRController: QueueingController {
    let name = "service-cidr"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "servicecidrs")
    let workers = 1

    private let ranges: Informer<ServiceCIDR>
    private let addresses: Informer<IPAddress>

    init(_ context: ControllerContext) {
        self.context = context
        ranges = context.informers.informer(ServiceCIDR.self)
        addresses = context.informers.informer(IPAddress.self)
    }

    func subscribe() {
        ranges.subscribe { [self] event in
            guard let range = event.object else { return }
            queue.add(range.key)
            // Ranges overlap: one that comes may be what another that is to go waits for.
            enqueueLeaving()
        }
        addresses.subscribe { [self] event in
            if case .deleted = event { enqueueLeaving() }
        }
    }

    private func enqueueLeaving() {
        for range in ranges.list() where range.metadata.deletionTimestamp != nil { queue.add(range.key) }
    }

    func waitForCaches() async {
        await ranges.waitForSync()
        await addresses.waitForSync()
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard var range = ranges.get(key) else { return }
        let kept = addresses.list().filter {
            $0.metadata.labels["ipaddress.kubernetes.io/managed-by"] == "ipallocator.k8s.io"
        }
        let actions = ServiceCIDRReconciler.reconcile(
            range, all: ranges.list(), addresses: kept, now: context.now())
        for action in actions {
            switch action {
            case .setFinalizers(let finalizers):
                range.metadata.finalizers = finalizers
                _ = try await context.client.update(range)
            case .setCondition(let condition):
                range.status.conditions.removeAll { $0.type == condition.type }
                range.status.conditions.append(condition)
                _ = try await context.client.updateStatus(range)
            case .lookAgain(let seconds):
                queue.add(key, after: .seconds(seconds))
            }
        }
    }
}
