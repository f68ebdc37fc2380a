import KubernetesAPI
import KubernetesClient
import Synchronization

/// Counts what namespaces use when a quota is new or its ceilings change, and now and then to be sure.
///
/// Between counts the API server keeps the usage itself, in the transactions that change it. A count that met
/// such a change is refused as a conflict and made again.
final class ResourceQuotaController: QueueingController {
    let name = "resourcequota"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "resourcequota_primary")

    private let quotas: Informer<ResourceQuota>
    private let kinds = Mutex<[KindHandle]>([])
    /// Seconds between counts of a quota that nobody changes (upstream's resync period).
    static let resyncSeconds = 300

    init(_ context: ControllerContext) {
        self.context = context
        quotas = context.informers.informer(ResourceQuota.self)
    }

    func prepare() async throws {
        let served = try await context.discoverKinds().namespaced
        kinds.withLock { $0 = served }
    }

    func subscribe() {
        quotas.subscribe { [queue] event in
            switch event {
            case .added(let quota): queue.add(quota.key)
            case .updated(let old, let quota):
                if old.spec != quota.spec || !quota.isCounted { queue.add(quota.key) }
            case .deleted, .synced: break
            }
        }
    }

    func waitForCaches() async { await quotas.waitForSync() }

    func reconcile(_ key: NamespacedName) async throws {
        guard quotas.get(namespace: key.namespace, name: key.name) != nil else { return }
        let client = context.client
        // The quota first, then what it counts: whatever happens after this read also changes the quota.
        let present = try await client.list(ResourceQuota.self, namespace: key.namespace).items
        guard let quota = present.first(where: { $0.metadata.name == key.name }) else { return }
        let contents = QuotaContents(
            pods: try await client.list(Pod.self, namespace: key.namespace).items,
            services: try await client.list(Service.self, namespace: key.namespace).items,
            claims: try await client.list(PersistentVolumeClaim.self, namespace: key.namespace).items)
        var counts: [String: Int] = [:]
        for kind in kinds.withLock({ $0 }) where quota.countedResources.contains(kind.kind.groupResource) {
            counts[kind.kind.groupResource] = try await kind.metadata(client, namespace: key.namespace).count
        }
        var counted = quota
        counted.recount(contents, count: { counts[$0] ?? 0 }, now: context.now())
        queue.add(key, after: .seconds(Self.resyncSeconds))
        guard counted.status != quota.status else { return }
        _ = try await client.updateStatus(counted)
    }
}
