import KubernetesAPI
import ObjectStore
import Synchronization
import Telemetry

/// Gives out Service addresses and node ports.
///
/// Who has what is what the store says (``AddressBook``), so there is nothing that could disagree with it. A
/// Service and the IPAddress objects of its addresses are committed together: no crash can leave one without the
/// other, and an address that somebody else took meanwhile, even through another server over the same store,
/// fails the commit. Numbers that were given out and are not committed yet are remembered beside the book, so
/// that two requests at the same time do not even try for the same.
package final class ServiceAddresses: Sendable {
    /// The Service ranges that the cluster was started with, one or two of different families. The first one's
    /// family is that of Services which do not say.
    package let ranges: [NetworkRange]
    /// The node port range, 30000 to 32767 unless configured.
    package let nodePorts: ClosedRange<Int>

    private struct Taken {
        var addresses: Set<NetworkAddress> = []
        var ports: Set<Int> = []
    }
    private let store: ObjectStore
    private let now: @Sendable () -> Time
    private let book: ProjectionFollower<AddressBook>
    private let metrics: AllocatorMetrics
    /// What was given out and is not committed yet.
    private let pending = Mutex(Taken())
    /// What could not be given out, for who tells people; of very much only the newest.
    let refusals: AsyncStream<AllocationRefusal>
    private let refusal: AsyncStream<AllocationRefusal>.Continuation

    package init(
        ranges: [NetworkRange], nodePorts: ClosedRange<Int> = 30000...32767, store: ObjectStore,
        metrics registry: MetricRegistry = MetricRegistry(), now: @escaping @Sendable () -> Time
    ) {
        self.ranges = ranges
        self.nodePorts = nodePorts
        self.store = store
        self.now = now
        let book = ProjectionFollower<AddressBook>(store)
        self.book = book
        metrics = AllocatorMetrics(registry, nodePorts: nodePorts) { book.current() }
        (refusals, refusal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(64))
    }

    /// The families of the cluster, the first one that of Services which do not say.
    package var families: [String] { ranges.map(\.family) }

    /// The ranges that new addresses of a family come from.
    func openRanges(of family: String) -> [NetworkRange] { book.current().openRanges(of: family) }

    /// Whether several Services have the node port.
    func isShared(port: Int) -> Bool { book.current().isShared(port: port) }

    /// The first address of the first range: where the API server answers as `kubernetes.default`.
    package var first: NetworkAddress? { ranges.first?.address(at: 1) }

    /// Gives a Service its addresses and ports.
    ///
    /// - Parameters:
    ///   - service: normalised; receives what was given to it.
    ///   - old: the state before an update, whose values it keeps.
    ///   - isDryRun: find out what would be given, take nothing.
    /// - Throws: `invalid` with upstream's words when a wish cannot be fulfilled.
    package func allocate(
        _ service: inout Service, old: Service?, isDryRun: Bool
    ) throws(APIError) -> Reservation {
        let errors = ServiceFamilies.settle(&service, old: old, cluster: families)
        if !errors.isEmpty { throw .invalid(service, errors) }
        var changed = service
        let outcome: Result<Taken, APIError> = pending.withLock { pending in
            var draft = Allocation(
                book: book.current(), pendingAddresses: pending.addresses, pendingPorts: pending.ports,
                nodePorts: nodePorts)
            do throws(APIError) {
                try draft.takeAddresses(&changed, old: old)
                try draft.takePorts(&changed, old: old)
            } catch {
                if !isDryRun { note(draft, old ?? changed) }
                return .failure(error)
            }
            if !isDryRun {
                metrics.count(draft)
                pending.addresses.formUnion(draft.addresses)
                pending.ports.formUnion(draft.ports)
            }
            return .success(Taken(addresses: draft.addresses, ports: draft.ports))
        }
        let taken = try outcome.get()
        service = changed
        if isDryRun { return .none }
        let settle: @Sendable () -> Void = {
            self.pending.withLock { pending in
                pending.addresses.subtract(taken.addresses)
                pending.ports.subtract(taken.ports)
            }
        }
        var companions = releasing(old, keeping: Set(AddressBook.addresses(of: changed)))
        do throws(APIError) {
            for address in taken.addresses.sorted() { companions.append(try creation(address, changed)) }
        } catch {
            settle()
            throw error
        }
        return Reservation(companions: companions, confirm: settle, cancel: settle)
    }

    /// Counts what was refused, and passes it on to who tells people.
    private func note(_ draft: Allocation, _ service: Service) {
        metrics.count(draft)
        guard let cause = draft.refusal else { return }
        refusal.yield(
            AllocationRefusal(
                service: ObjectReference(
                    kind: Service.resource.kind, namespace: service.metadata.namespace,
                    name: service.metadata.name, uid: service.metadata.uid,
                    apiVersion: Service.resource.apiVersion), cause: cause))
    }

    /// What is to be deleted together with a Service.
    package func release(_ service: Service) -> [Mutation] { releasing(service, keeping: []) }

    /// The deletion of the IPAddress objects that a Service has no use for any more.
    private func releasing(_ old: Service?, keeping kept: Set<NetworkAddress>) -> [Mutation] {
        guard let old else { return [] }
        return AddressBook.addresses(of: old).filter { !kept.contains($0) }.compactMap { address in
            let key = ServiceAddressObject.key(address)
            guard let stored = store.get(key), let object = try? IPAddress(json: stored.bytes),
                ServiceAddressObject.isOurs(object),
                object.spec.parentRef == ServiceAddressObject.parent(old)
            else { return nil }
            return .delete(key, expected: stored.revision)
        }
    }

    private func creation(_ address: NetworkAddress, _ service: Service) throws(APIError) -> Mutation {
        var object = ServiceAddressObject.make(address, of: service)
        var generator = SystemRandomNumberGenerator()
        let resource = NetworkingResources.addresses
        Preparation.forCreate(&object, resource, uid: RandomName.uuid(using: &generator), now: now())
        return .create(ServiceAddressObject.key(address), try StoredForm.draft(of: object, resource))
    }
}

/// The IPAddress object that stands for one address of a Service (KEP-1880).
package enum ServiceAddressObject {
    static let managerLabel = "ipaddress.kubernetes.io/managed-by"
    static let familyLabel = "ipaddress.kubernetes.io/ip-family"
    static let manager = "ipallocator.k8s.io"

    package static func key(_ address: NetworkAddress) -> ObjectKey {
        ObjectKey(resource: IPAddress.resource.groupResource, namespace: "", name: address.description)
    }

    /// Who has the address.
    package static func parent(_ service: Service) -> ParentReference {
        ParentReference(
            resource: "services", namespace: service.metadata.namespace, name: service.metadata.name)
    }

    package static func make(_ address: NetworkAddress, of service: Service) -> IPAddress {
        IPAddress(
            metadata: ObjectMeta(
                name: address.description,
                labels: [managerLabel: manager, familyLabel: address.family]),
            spec: IPAddressSpec(parentRef: parent(service)))
    }

    /// Whether it is kept by this allocator; others may keep addresses of their own.
    package static func isOurs(_ object: IPAddress) -> Bool {
        object.metadata.labels[managerLabel] == manager
    }
}
