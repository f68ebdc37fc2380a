import Netlink

/// Turns what is known of Services and EndpointSlices into the forwarding table.
///
/// A pure value: facts go in with `set…` and `remove…`, and `plan()` says what has to change. Only Services of
/// which something changed are planned again, so a change costs the same however many Services there are.
public struct Planner: Sendable {
    /// What the planner knows of its node and cluster.
    public let configuration: ProxyConfiguration
    /// The zone of the node (label `topology.kubernetes.io/zone`), by which hints choose endpoints.
    public private(set) var zone: String?
    /// The table, with all changes that `plan()` has returned.
    public private(set) var table = ForwardingTable()

    private(set) var services: [ObjectName: ServiceFacts] = [:]
    private(set) var slices: [ObjectName: [ObjectName: SliceFacts]] = [:]
    /// To which Service a slice belongs, for when its label changes.
    private var serviceOfSlice: [ObjectName: ObjectName] = [:]

    /// What each Service claims now.
    private var claims: [ObjectName: Claims] = [:]
    /// Who has each address, and who else would like to.
    private(set) var owners: [ServiceAddress: ObjectName] = [:]
    private var contenders: [ServiceAddress: Set<ObjectName>] = [:]
    private var serviceAddressUses: [IPAddress: Int] = [:]
    private var hairpinUses: [IPAddress: Int] = [:]

    /// The Services of which load balancers ask for the health of this node.
    private(set) var checkedServices: Set<ObjectName> = []

    /// The entries at which connections vanish, since they are for endpoints on this node and there are none.
    private(set) var dropping: Set<ServiceAddress> = []

    /// What has to be looked at by the next `plan()`.
    private var changedServices: Set<ObjectName> = []
    /// Endpoints of Services that were terminating when a slice was last to name them.
    private var departing: [ObjectName: Set<IPAddress>] = [:]
    private var touched = Touched()

    private struct Claims: Sendable {
        var entries: [ServiceAddress: AddressClaim] = [:]
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
        dropping = Set(table.entries.lazy.filter(\.value.isDropping).map(\.key))
    }

    /// The node came into another zone.
    public mutating func setZone(_ zone: String?) {
        guard zone != self.zone else { return }
        self.zone = zone
        changedServices.formUnion(services.keys)
    }

    /// A Service came or changed.
    public mutating func setService(_ facts: ServiceFacts) {
        guard services[facts.name] != facts else { return }
        services[facts.name] = facts
        if facts.healthCheckPort == nil {
            checkedServices.remove(facts.name)
        } else {
            checkedServices.insert(facts.name)
        }
        changedServices.insert(facts.name)
    }

    /// A Service went.
    public mutating func removeService(_ name: ObjectName) {
        guard services.removeValue(forKey: name) != nil else { return }
        checkedServices.remove(name)
        changedServices.insert(name)
    }

    /// An EndpointSlice came or changed.
    public mutating func setSlice(_ facts: SliceFacts) {
        if let before = serviceOfSlice[facts.name], before != facts.service { removeSlice(facts.name) }
        let before = slices[facts.service]?[facts.name]
        guard before != facts else { return }
        if let before { noteDepartures(from: before, to: facts) }
        slices[facts.service, default: [:]][facts.name] = facts
        serviceOfSlice[facts.name] = facts.service
        changedServices.insert(facts.service)
    }

    /// An EndpointSlice went.
    public mutating func removeSlice(_ name: ObjectName) {
        guard let service = serviceOfSlice.removeValue(forKey: name) else { return }
        if let before = slices[service]?.removeValue(forKey: name) { noteDepartures(from: before, to: nil) }
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
            guard old != new else { continue }
            changes.entries[address] = .init(old: old, new: new)
            if new?.isDropping == true {
                dropping.insert(address)
            } else if old?.isDropping == true {
                dropping.remove(address)
            }
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
        changes.departed = departures()
        table.apply(changes)
        return changes
    }
}

// Which pods are gone.
extension Planner {
    private mutating func noteDepartures(from before: SliceFacts, to after: SliceFacts?) {
        let leaving = Set(before.endpoints.lazy.filter(\.isTerminating).map(\.address))
        guard !leaving.isEmpty else { return }
        let departed = leaving.subtracting(after?.endpoints.map(\.address) ?? [])
        if !departed.isEmpty { departing[before.service, default: []].formUnion(departed) }
    }

    /// Where connections to those that left and that no other slice of their Service names may be.
    private mutating func departures() -> [ServiceAddress: Set<IPAddress>] {
        var result: [ServiceAddress: Set<IPAddress>] = [:]
        for (service, addresses) in departing {
            let present = (slices[service] ?? [:]).values.lazy.flatMap(\.endpoints).map(\.address)
            let departed = addresses.subtracting(present)
            for entry in (claims[service]?.entries ?? [:]).keys where owners[entry] == service {
                let own = departed.filter { $0.family == entry.address.family }
                if !own.isEmpty { result[entry] = own }
            }
        }
        departing = [:]
        return result
    }
}

// What a Service claims.
extension Planner {
    /// Brings a Service's claims up to date.
    private mutating func claim(_ name: ObjectName) {
        let old = claims[name] ?? Claims()
        var new = Claims()
        if let service = services[name] {
            new.entries = AddressClaim.all(of: service, configuration)
            new.serviceAddresses = service.clusterAddresses.filter {
                !configuration.nodeLocalAddresses.contains($0)
            }
            if !new.entries.isEmpty {
                for slice in (slices[name] ?? [:]).values {
                    for endpoint in slice.endpoints where endpoint.isOnNode {
                        // A connection of the node's to itself needs no other source.
                        guard !configuration.nodeAddresses.contains(endpoint.address) else { continue }
                        new.hairpins.insert(endpoint.address)
                    }
                }
            }
        }
        for address in old.entries.keys where new.entries[address] == nil { release(address, by: name) }
        for address in new.entries.keys { take(address, by: name) }
        touched.entries.formUnion(old.entries.keys)
        touched.entries.formUnion(new.entries.keys)
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
        guard let service = services[name], let claim = claims[name]?.entries[address] else { return nil }
        let choice = EndpointChoice(
            slices: (slices[name] ?? [:]).values, port: claim.port, family: address.address.family, zone: zone
        )
        let isCluster = claim.kind == .cluster
        var result = Forwarding(
            isCluster && service.isInternalTrafficLocal
                ? choice.onNode(after: old?.inside) : choice.anywhere(after: old?.inside),
            affinity: service.affinityTimeout)
        if !isCluster, service.isExternalTrafficLocal { result.outside = choice.onNode(after: old?.outside) }
        if claim.kind == .loadBalancer { result.sources = sources(of: service, at: address.address) }
        return result
    }

    /// Which clients may use a load balancer's address; nil when all may.
    private func sources(of service: ServiceFacts, at address: IPAddress) -> Set<IPNetwork>? {
        let ranges = service.sourceRanges.filter { $0.address.family == address.family }.map(\.canonical)
        guard !ranges.isEmpty, !ranges.contains(where: { $0.prefixLength == 0 }) else { return nil }
        var result = Set(ranges)
        // When the node bears the load balancer's address, its own connections there come from that address.
        if let own = configuration.nodeAddress(address.family), ranges.contains(where: { $0.contains(own) }) {
            result.insert(IPNetwork(host: address))
        }
        return result
    }

    /// What the owner of an address claims there.
    func claim(at address: ServiceAddress) -> (ObjectName, AddressClaim)? {
        guard let owner = owners[address], let claim = claims[owner]?.entries[address] else { return nil }
        return (owner, claim)
    }

    /// What a Service claims, and who has it.
    func addresses(of service: ServiceFacts) -> [(ServiceAddress, AddressClaim, ObjectName?)] {
        AddressClaim.all(of: service, configuration).sorted { $0.key < $1.key }
            .map { ($0.key, $0.value, owners[$0.key]) }
    }
}
