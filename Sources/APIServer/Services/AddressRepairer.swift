import KubernetesAPI
import Logging
import ObjectStore
import Synchronization

/// Keeps Services and their IPAddress objects in accord: carries out what ``AddressRepair`` finds, for everything
/// at start and then for what changes.
final class AddressRepairer: Sendable {
    private let core: ServerCore
    private let addresses: ServiceAddresses
    private let events: ServerEvents
    /// What was said and could not be repaired: it is said once.
    private let said = Mutex<Set<AddressRepair.Finding>>([])
    private let delays: AsyncStream<Int>
    private let delay: AsyncStream<Int>.Continuation

    init(core: ServerCore, addresses: ServiceAddresses, events: ServerEvents) {
        self.core = core
        self.addresses = addresses
        self.events = events
        (delays, delay) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Follows Services, IPAddresses and ServiceCIDRs until cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for resource in AddressBook.resources { group.addTask { await self.follow(resource) } }
            group.addTask { await self.lookAgain() }
        }
    }

    /// Looks at everything, once.
    func repairAll() async {
        let services = objects(Service.self)
        let addresses = objects(IPAddress.self)
        await repair { repair in
            // Of several Services with one address the eldest has it, unless the address says otherwise.
            for service in services.sorted(by: Self.isOlder) { repair.check(service) }
            for address in addresses { repair.check(address) }
        }
    }

    private static func isOlder(_ a: Service, _ b: Service) -> Bool {
        let (left, right) = (a.metadata, b.metadata)
        return (left.creationTimestamp?.seconds ?? 0, left.namespace, left.name)
            < (right.creationTimestamp?.seconds ?? 0, right.namespace, right.name)
    }

    private func lookAgain() async {
        for await seconds in delays {
            do {
                try await core.clock.sleep(for: .seconds(seconds))
            } catch {
                return
            }
            await repairAll()
        }
    }

    private func follow(_ resource: String) async {
        while !Task.isCancelled {
            do {
                let stream = try core.store.watch(
                    resource: resource, namespace: nil, after: core.store.revision)
                await repairAll()
                for try await element in stream {
                    guard case .event(let event) = element else { continue }
                    await look(at: event)
                }
                return
            } catch {
                core.logger.warning(
                    "addresses of Services could not be followed; watching on",
                    metadata: ["resource": "\(resource)", "error": "\(error)"])
            }
        }
    }

    private func look(at event: StoreEvent) async {
        switch event.key.resource {
        case Service.resource.groupResource:
            // Whatever the event says: what is there now counts. The addresses went with a Service that is gone.
            guard let service = core.find(Service.self, event.key.name, namespace: event.key.namespace)
            else { return }
            await repair { $0.check(service) }
        case IPAddress.resource.groupResource:
            let object = try? IPAddress(json: event.object.bytes)
            let service = object?.spec.parentRef.flatMap(service)
            let present = core.find(IPAddress.self, event.key.name)
            await repair { repair in
                if let service { repair.check(service) }
                if let present { repair.check(present) }
            }
        default:
            guard event.kind != .added else { return }
            await repairAll()
        }
    }

    // MARK: Acting

    private func repair(_ look: (inout AddressRepair) -> Void) async {
        let ranges = objects(ServiceCIDR.self).flatMap(\.spec.cidrs).compactMap { NetworkRange($0) }
        var repair = AddressRepair(
            .init(
                address: { [core] in core.find(IPAddress.self, $0) },
                service: { [self] in service($0) }, ranges: ranges, nodePorts: addresses.nodePorts,
                sharing: { [self] in sharing($0) }, now: core.now()))
        look(&repair)
        for finding in repair.findings { await settle(finding) }
        if let seconds = repair.lookAgainAfter { delay.yield(max(seconds, 1)) }
    }

    private func settle(_ finding: AddressRepair.Finding) async {
        do {
            var mutations: [Mutation] = []
            if let object = finding.delete {
                mutations.append(
                    .delete(key(object), expected: Revision(object.metadata.resourceVersion)))
            }
            if var object = finding.create {
                var generator = SystemRandomNumberGenerator()
                let resource = NetworkingResources.addresses
                Preparation.forCreate(
                    &object, resource, uid: RandomName.uuid(using: &generator), now: core.now())
                mutations.append(.create(key(object), try StoredForm.draft(of: object, resource)))
            }
            guard !mutations.isEmpty else {
                let isNew = said.withLock { $0.insert(finding).inserted }
                if isNew { await report(finding) }
                return
            }
            // Somebody else's doing in between is seen by the watch, which brings the next look.
            _ = try await core.store.commit(mutations)
            await report(finding)
        } catch let error as StoreError where error.isOvertaken {
            return
        } catch {
            core.logger.warning(
                "addresses of Services could not be repaired", metadata: ["error": "\(error)"])
        }
    }

    private func report(_ finding: AddressRepair.Finding) async {
        await events.warn(
            finding.subject, reason: finding.reason, action: finding.action, message: finding.message,
            component: finding.component)
    }

    // MARK: Reading

    private func objects<Object: KubernetesObject>(_ type: Object.Type) -> [Object] {
        core.objects(type, namespace: nil)
    }

    /// The Services that have one node port, if they are several; the eldest first.
    private func sharing(_ port: Int) -> [Service] {
        guard addresses.isShared(port: port) else { return [] }
        return objects(Service.self).filter { AddressBook.ports(of: $0).contains(port) }
            .sorted(by: Self.isOlder)
    }

    private func service(_ parent: ParentReference) -> Service? {
        core.find(Service.self, parent.name, namespace: parent.namespace)
    }

    private func key(_ address: IPAddress) -> ObjectKey {
        ObjectKey(
            resource: IPAddress.resource.groupResource, namespace: "", name: address.metadata.name)
    }
}

extension StoreError {
    /// Whether somebody else wrote first.
    fileprivate var isOvertaken: Bool {
        switch code {
        case .conflict, .notFound, .alreadyExists: true
        default: false
        }
    }
}
