import KubernetesAPI
import Logging
import ObjectStore

/// Shows which Service has which address as IPAddress objects, one for each cluster IP (KEP-1880). Who gets
/// what is decided by ``ServiceAddresses``; these objects follow the stored Services.
package struct AddressObjects: Sendable {
    /// The mark by which these are told from addresses that others keep.
    static let labels = [
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"
    ]

    let core: ServerCore

    /// What is to be done so that the objects say what the Services say.
    package struct Plan: Sendable, Hashable {
        package var create: [IPAddress]
        package var delete: [IPAddress]
    }

    /// Compares Services and addresses. Addresses that somebody else keeps are left alone. Pure.
    package static func plan(_ services: [Service], _ addresses: [IPAddress]) -> Plan {
        var wanted: [String: IPAddress] = [:]
        for service in services {
            for text in service.spec.clusterIPs where text != "None" && !text.isEmpty {
                wanted[text] = address(text, of: service)
            }
        }
        var plan = Plan(create: [], delete: [])
        var present: Set<String> = []
        for address in addresses {
            let name = address.metadata.name
            if address.metadata.labels["ipaddress.kubernetes.io/managed-by"] != "ipallocator.k8s.io"
                || wanted[name]?.spec == address.spec
            {
                present.insert(name)
            } else {
                plan.delete.append(address)
            }
        }
        plan.create = wanted.values.filter { !present.contains($0.metadata.name) }
            .sorted { $0.metadata.name < $1.metadata.name }
        return plan
    }

    private static func address(_ text: String, of service: Service) -> IPAddress {
        var labels = labels
        labels["ipaddress.kubernetes.io/ip-family"] = text.contains(":") ? "IPv6" : "IPv4"
        return IPAddress(
            metadata: ObjectMeta(name: text, labels: labels),
            spec: IPAddressSpec(
                parentRef: ParentReference(
                    resource: "services", namespace: service.metadata.namespace, name: service.metadata.name))
        )
    }

    /// Follows the Services until cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for resource in [Service.resource.groupResource, IPAddress.resource.groupResource] {
                group.addTask { await follow(resource) }
            }
        }
    }

    private func follow(_ resource: String) async {
        while !Task.isCancelled {
            do {
                let stream = try core.store.watch(
                    resource: resource, namespace: nil, after: core.store.revision)
                await settle()
                var events = stream.makeAsyncIterator()
                while let batch = try await events.nextBatch() {
                    let isChange = batch.contains { element in
                        guard case .event(let event) = element else { return false }
                        // An address that comes is this one's own doing; one that goes may be missed.
                        return resource == Service.resource.groupResource || event.kind == .deleted
                    }
                    if isChange { await settle() }
                }
                return
            } catch {
                core.logger.warning(
                    "addresses of Services could not be followed; watching on",
                    metadata: ["resource": "\(resource)", "error": "\(error)"])
            }
        }
    }

    /// Brings the objects up to date, once.
    func settle() async {
        do {
            let services: [Service] = try all()
            let plan = Self.plan(services, try all())
            for address in plan.delete {
                let key = key(address)
                guard let stored = core.store.get(key), stored.uid == address.metadata.uid else { continue }
                try await commit(.delete(key, expected: stored.revision))
            }
            for var address in plan.create {
                var generator = SystemRandomNumberGenerator()
                let resource = NetworkingResources.addresses
                Preparation.forCreate(
                    &address, resource, uid: RandomName.uuid(using: &generator), now: core.now())
                try await commit(.create(key(address), try StoredForm.draft(of: address, resource)))
            }
        } catch {
            core.logger.warning(
                "addresses of Services could not be shown", metadata: ["error": "\(error)"])
        }
    }

    private func all<Object: KubernetesObject>() throws -> [Object] {
        try core.store.list(resource: Object.resource.groupResource, namespace: nil).objects
            .map { try StoredForm.decode($0) }
    }

    private func key(_ address: IPAddress) -> ObjectKey {
        ObjectKey(
            resource: IPAddress.resource.groupResource, namespace: "", name: address.metadata.name)
    }

    /// Somebody else's doing in between is seen by the watch, which brings the next look.
    private func commit(_ mutation: Mutation) async throws(StoreError) {
        do {
            _ = try await core.store.commit([mutation])
        } catch {
            switch error.code {
            case .conflict, .notFound, .alreadyExists: return
            default: throw error
            }
        }
    }
}
