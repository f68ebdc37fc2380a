import Netlink

/// Turns what is known of Services and EndpointSlices into the forwarding table.
///
/// A pure value: facts go in with `set…` and `remove…`, and `plan()` says what has to change. Only Services of
/// which something changed are planned again, so a change costs the same however many Services there are.
public struct Planner: Sendable {
    /// What the planner knows of its node and cluster.
    public let configuration: ProxyConfiguration
    /// The table, with all changes that `plan()` has returned.
    public private(set) var table = ForwardingTable()

    private var services: [ObjectName: ServiceFacts] = [:]
    private var slices: [ObjectName: [ObjectName: SliceFacts]] = [:]
    /// To which Service a slice belongs, for when its label changes.
    private var serviceOfSlice: [ObjectName: ObjectName] = [:]

    /// What each Service claims now.
    private var claims: [ObjectName: Claims] = [:]
    /// Who has each address, and who else would like to.
    private var owners: [ServiceAddress: ObjectName] = [:]
    private var contenders: [ServiceAddress: Set<ObjectName>] = [:]
    private var serviceAddressUses: [IPAddress: Int] = [:]
    private var hairpinUses: [IPAddress: Int] = [:]

    /// What has to be looked at by the next `plan()`.
    private var changedServices: Set<ObjectName> = []
    private var touched = Touched()

    private struct Claims: Sendable {
        var entries: [ServiceAddress] = []
        var serviceAddresses: [IPAddress] = []
        var hairpins: Set<IPAddress> = []
    }

    private struct Touched: Sendable {
        var entries: Set<ServiceAddress> = []
        var serviceAddresses: Set<IPAddress> = []
        var hairpins: Set<IPAddress> = []
    }

    public init(_ configuration: ProxyConfiguration) {
        self.configuration = configuration
    }

    /// Takes over a table that is in force already, as the kernel has it. The next `plan()` returns the
    /// difference between it and what is wanted.
    public mutating func adopt(_ table: ForwardingTable) {
        touched.entries.formUnion(self.table.entries.keys)
        touched.entries.formUnion(table.entries.keys)
        touched.serviceAddresses.formUnion(self.table.serviceAddresses)
        touched.serviceAddresses.formUnion(table.serviceAddresses)
        touched.hairpins.formUnion(self.table.hairpinAddresses)
        touched.hairpins.formUnion(table.hairpinAddresses)
        self.table = table
    }

    /// A Service came or changed.
    public mutating func setService(_ facts: ServiceFacts) {
        guard services[facts.name] != facts else { return }
        services[facts.name] = facts
        changedServices.insert(facts.name)
    }

    /// A Service went.
    public mutating func removeService(_ name: ObjectName) {
        guard services.removeValue(forKey: name) != nil else { return }
        changedServices.insert(name)
    }

    /// An EndpointSlice came or changed.
    public mutating func setSlice(_ facts: SliceFacts) {
        if let before = serviceOfSlice[facts.name], before != facts.service { removeSlice(facts.name) }
        guard slices[facts.service]?[facts.name] != facts else { return }
        slices[facts.service, default: [:]][facts.name] = facts
        serviceOfSlice[facts.name] = facts.service
        changedServices.insert(facts.service)
    }

    /// An EndpointSlice went.
    public mutating func removeSlice(_ name: ObjectName) {
        guard let service = serviceOfSlice.removeValue(forKey: name) else { return }
        slices[service]?[name] = nil
        if slices[service]?.isEmpty == true { slices[service] = nil }
        changedServices.insert(service)
    }

    /// What has to change since the last plan. The planner's table already has the changes.
    public mutating func plan() -> TableChanges {
        for name in changedServices { claim(name) }
        changedServices.removeAll(keepingCapacity: true)
        var changes = TableChanges()
        for address in touched.entries {
            let old = table.entries[address]
            let new = owners[address].flatMap { forwarding(of: $0, at: address, after: old) }
            if old != new { changes.entries[address] = .init(old: old, new: new) }
        }
        for address in touched.serviceAddresses {
            switch (table.serviceAddresses.contains(address), serviceAddressUses[address] != nil) {
            case (false, true): changes.addedServiceAddresses.insert(address)
            case (true, false): changes.removedServiceAddresses.insert(address)
            default: break
            }
        }
        for address in touched.hairpins {
            switch (table.hairpinAddresses.contains(address), hairpinUses[address] != nil) {
            case (false, true): changes.addedHairpinAddresses.insert(address)
            case (true, false): changes.removedHairpinAddresses.insert(address)
            default: break
            }
        }
        touched = Touched()
        table.apply(changes)
        return changes
    }
}

// What a Service claims.
extension Planner {
    /// Brings a Service's claims up to date.
    private mutating func claim(_ name: ObjectName) {
        let old = claims[name] ?? Claims()
        var new = Claims()
        if let service = services[name] {
            new.serviceAddresses = service.clusterAddresses.filter {
                !configuration.nodeLocalAddresses.contains($0)
            }
            for address in new.serviceAddresses {
                for port in service.ports {
                    new.entries.append(ServiceAddress(address, port.transportProtocol, port.number))
                }
            }
            if let nodeAddress = configuration.nodeAddress, !service.clusterAddresses.isEmpty {
                for port in service.ports {
                    guard let number = port.nodePort else { continue }
                    new.entries.append(ServiceAddress(nodeAddress, port.transportProtocol, number))
                }
            }
            if !new.entries.isEmpty {
                for slice in (slices[name] ?? [:]).values {
                    for endpoint in slice.endpoints where endpoint.isOnNode {
                        new.hairpins.insert(endpoint.address)
                    }
                }
            }
        }
        for address in old.entries where !new.entries.contains(address) { release(address, by: name) }
        for address in new.entries { take(address, by: name) }
        touched.entries.formUnion(old.entries)
        touched.entries.formUnion(new.entries)
        Self.count(old.serviceAddresses, new.serviceAddresses, &serviceAddressUses, &touched.serviceAddresses)
        Self.count(old.hairpins, new.hairpins, &hairpinUses, &touched.hairpins)
        claims[name] = new.entries.isEmpty && new.serviceAddresses.isEmpty ? nil : new
    }

    private static func count(
        _ old: some Sequence<IPAddress>, _ new: some Sequence<IPAddress>, _ uses: inout [IPAddress: Int],
        _ touched: inout Set<IPAddress>
    ) {
        for address in new {
            uses[address, default: 0] += 1
            touched.insert(address)
        }
        for address in old {
            touched.insert(address)
            if let number = uses[address] { uses[address] = number > 1 ? number - 1 : nil }
        }
    }

    private mutating func take(_ address: ServiceAddress, by name: ObjectName) {
        guard let owner = owners[address], owner != name else {
            owners[address] = name
            return
        }
        let winner = precedes(name, owner) ? name : owner
        owners[address] = winner
        contenders[address, default: []].insert(winner == name ? owner : name)
        contenders[address]?.remove(winner)
    }

    private mutating func release(_ address: ServiceAddress, by name: ObjectName) {
        contenders[address]?.remove(name)
        if owners[address] == name {
            let heir = contenders[address]?.min { precedes($0, $1) }
            owners[address] = heir
            if let heir { contenders[address]?.remove(heir) }
        }
        if contenders[address]?.isEmpty == true { contenders[address] = nil }
    }

    /// Of two Services that claim one address the older one has it, as it had it first.
    private func precedes(_ left: ObjectName, _ right: ObjectName) -> Bool {
        (services[left]?.created ?? .max, left) < (services[right]?.created ?? .max, right)
    }

    private func forwarding(
        of name: ObjectName, at address: ServiceAddress, after old: Forwarding?
    ) -> Forwarding? {
        guard let service = services[name] else { return nil }
        let isNodePort = !service.clusterAddresses.contains(address.address)
        let number = isNodePort ? \ServiceFacts.Port.nodePort : \.optionalNumber
        guard
            let port = service.ports.first(where: {
                $0[keyPath: number] == address.port && $0.transportProtocol == address.transportProtocol
            })
        else { return nil }
        let choice = BackendChoice(
            slices: (slices[name] ?? [:]).values, port: port, family: address.address.family,
            onlyOnNode: service.isInternalTrafficLocal && !isNodePort)
        if !choice.backends.isEmpty {
            return .spread(Forwarding.slots(for: choice.backends, after: old?.backends ?? []))
        }
        // Endpoints elsewhere would serve, but the Service wants none but local ones: nobody is refused, since
        // another attempt may be made when one has come here.
        return choice.hasOthers ? .drop : .refuse
    }
}

extension ServiceFacts.Port {
    fileprivate var optionalNumber: UInt16? { number }
}

/// Which endpoints of a Service get a port's new connections.
struct BackendChoice {
    /// The chosen ones.
    private(set) var backends: Set<Backend> = []
    /// Whether there are usable ones that the traffic policy forbids.
    private(set) var hasOthers = false

    /// - Parameter onlyOnNode: whether only endpoints on this node may serve.
    init(
        slices: some Sequence<SliceFacts>, port: ServiceFacts.Port, family: IPAddress.Family, onlyOnNode: Bool
    ) {
        // While nothing is ready, those that are on their way out and still serve go on serving (KEP-1669).
        var fallBack: Set<Backend> = []
        for slice in slices {
            guard
                let target = slice.ports.first(where: {
                    $0.name == port.name && $0.transportProtocol == port.transportProtocol
                })
            else { continue }
            for endpoint in slice.endpoints where endpoint.address.family == family {
                let backend = Backend(endpoint.address, target.number)
                let isUsable = endpoint.isReady || endpoint.isServing && endpoint.isTerminating
                if onlyOnNode, !endpoint.isOnNode {
                    hasOthers = hasOthers || isUsable
                } else if endpoint.isReady {
                    backends.insert(backend)
                } else if isUsable {
                    fallBack.insert(backend)
                }
            }
        }
        if backends.isEmpty { backends = fallBack }
    }
}
