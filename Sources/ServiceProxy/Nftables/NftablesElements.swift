import Netlink

// The elements of the maps and sets, from the forwarding table and back to it.
extension NftablesForm {
    /// What a packet from one side meets at an entry.
    package static func verdict(
        _ address: ServiceAddress, _ forwarding: Forwarding, _ group: EndpointGroup
    ) -> Verdict? {
        guard let destination = group == .inside ? forwarding.inside : forwarding.outside else { return nil }
        if destination == .drop { return .drop }
        if hasCount(forwarding, group) { return .goto(address.isNodePort ? nodeSpread : spread) }
        return .goto(PickChain(address, forwarding, group)?.name ?? refuse)
    }

    /// Whether one side of an entry has so few endpoints, or none, that a change of their number changes no verdict.
    private static func hasCount(_ forwarding: Forwarding, _ group: EndpointGroup) -> Bool {
        group == .inside && forwarding.affinity == nil && forwarding.inside != .drop
            && forwarding.inside.backends.count <= counted.upperBound
    }

    /// What is in `counts` for an entry.
    static func count(_ forwarding: Forwarding) -> Int? {
        let count = forwarding.inside.backends.count
        guard hasCount(forwarding, .inside), counted.contains(count) else { return nil }
        return count
    }

    /// The elements of all sets for this family's part of a table.
    package func elements(of table: ForwardingTable) -> [String: [SetElement]] {
        var changes = TableChanges()
        for (address, forwarding) in table.entries {
            changes.entries[address] = .init(old: nil, new: forwarding)
        }
        changes.addedServiceAddresses = table.serviceAddresses
        changes.addedHairpinAddresses = table.hairpinAddresses
        var result = ElementOperations(changes, family).added
        result[Self.nodeLocal] = own(configuration.nodeLocalAddresses).map { SetElement($0.bytes) }
        return result
    }

    func own(_ addresses: some Sequence<IPAddress>) -> [IPAddress] {
        addresses.filter { $0.family == family }
    }

    /// The table that these elements stand for, or nil when they contradict each other.
    package func table(from elements: [String: [SetElement]]) -> ForwardingTable? {
        var table = ForwardingTable()
        guard let slots = slots(elements[Self.endpoints] ?? []) else { return nil }
        for (set, group, isNodePort) in [
            (Self.services, EndpointGroup.inside, false), (Self.outside, .outside, false),
            (Self.nodeServices, .inside, true), (Self.nodeOutside, .outside, true),
        ] {
            for element in elements[set] ?? [] {
                var key = KeyReader(element.key, family)
                guard let address = key.entry(isNodePort: isNodePort),
                    case .verdict(let verdict) = element.value,
                    read(verdict, address, group, slots[address]?[group] ?? [:], into: &table)
                else { return nil }
            }
        }
        for element in elements[Self.sources] ?? [] {
            var key = KeyReader(element.key, family)
            guard let address = key.entry(), let first = key.address(), let length = key.number(),
                let network = IPNetwork(first, prefixLength: Int(length)), var entry = table.entries[address]
            else { return nil }
            entry.sources = (entry.sources ?? []).union([network])
            table.entries[address] = entry
        }
        for (set, addresses) in [
            (Self.serviceAddresses, \ForwardingTable.serviceAddresses),
            (Self.hairpins, \ForwardingTable.hairpinAddresses),
        ] {
            for element in elements[set] ?? [] {
                var key = KeyReader(element.key, family)
                guard let address = key.address() else { return nil }
                table[keyPath: addresses].insert(address)
            }
        }
        // All of it must be there, and nothing else: what follows from the entries is not read, but compared.
        let wanted = self.elements(of: table)
        for set in sets.map(\.name) where Self.holdsTable(set) {
            guard Set(wanted[set] ?? []) == Set(elements[set] ?? []) else { return nil }
        }
        return table
    }

    private func slots(_ elements: [SetElement]) -> [ServiceAddress: [EndpointGroup: [UInt32: Backend]]]? {
        var result: [ServiceAddress: [EndpointGroup: [UInt32: Backend]]] = [:]
        for element in elements {
            var key = KeyReader(element.key, family)
            guard let address = key.entry(), let number = key.number(), case .data(let bytes) = element.value
            else { return nil }
            var data = KeyReader(bytes, family)
            guard let backend = data.backend() else { return nil }
            let group: EndpointGroup = number >= EndpointGroup.outside.firstSlot ? .outside : .inside
            result[address, default: [:]][group, default: [:]][number - group.firstSlot] = backend
        }
        return result
    }

    /// Reads one side of an entry. False when it is none that this form has.
    private func read(
        _ verdict: Verdict, _ address: ServiceAddress, _ group: EndpointGroup, _ slots: [UInt32: Backend],
        into table: inout ForwardingTable
    ) -> Bool {
        let destination: Forwarding.Destination
        var affinity: Int?
        switch verdict {
        case .drop: destination = .drop
        case .goto(Self.refuse): destination = .refuse
        case .goto(Self.spread), .goto(Self.nodeSpread):
            let backends = (0..<slots.count).compactMap { slots[UInt32(truncatingIfNeeded: $0)] }
            destination = backends.isEmpty ? .refuse : .spread(backends)
        case .goto(let name):
            guard let pick = PickChain(name: name), pick.count == slots.count else { return false }
            let backends = (0..<pick.count).compactMap { slots[UInt32(truncatingIfNeeded: $0)] }
            destination = .spread(backends)
            affinity = pick.affinity
        default: return false
        }
        if group == .inside {
            table.entries[address] = Forwarding(destination, affinity: affinity)
        } else {
            table.entries[address]?.outside = destination
            if let affinity { table.entries[address]?.affinity = affinity }
        }
        return table.entries[address] != nil
    }
}

/// The elements that come and go with a change. What goes is taken out before anything is put in, so an element
/// that changes its value does both.
package struct ElementOperations: Sendable, Hashable {
    /// By set.
    package private(set) var removed: [String: [[UInt8]]] = [:]
    package private(set) var added: [String: [SetElement]] = [:]

    package init() {}

    /// What this family's part of the changes needs.
    package init(_ changes: TableChanges, _ family: IPAddress.Family) {
        for (address, change) in changes.entries where address.address.family == family {
            add(address, change)
        }
        change(
            NftablesForm.serviceAddresses, changes.removedServiceAddresses, changes.addedServiceAddresses,
            family
        ) { $0.bytes }
        change(
            NftablesForm.hairpins, changes.removedHairpinAddresses, changes.addedHairpinAddresses, family
        ) { $0.bytes + $0.bytes }
    }

    /// The operations, those that remove first.
    package var deletions: [NftablesOperation] {
        removed.sorted { $0.key < $1.key }.map { .deleteElements(set: $0.key, $0.value) }
    }
    package var additions: [NftablesOperation] {
        added.sorted { $0.key < $1.key }.map { .addElements(set: $0.key, $0.value) }
    }

    private mutating func change(
        _ set: String, _ old: Set<IPAddress>, _ new: Set<IPAddress>, _ family: IPAddress.Family,
        _ key: (IPAddress) -> [UInt8]
    ) {
        for address in old where address.family == family { remove(key(address), from: set) }
        for address in new where address.family == family { add(SetElement(key(address)), to: set) }
    }

    private mutating func remove(_ key: [UInt8], from set: String) {
        removed[set, default: []].append(key)
    }

    private mutating func add(_ element: SetElement, to set: String) {
        added[set, default: []].append(element)
    }

    /// Adds what one entry's change needs: only slots, verdicts and the rest that differ.
    package mutating func add(_ address: ServiceAddress, _ change: TableChanges.Entry) {
        changeSide(
            address, change, .inside, address.isNodePort ? NftablesForm.nodeServices : NftablesForm.services)
        changeSide(
            address, change, .outside, address.isNodePort ? NftablesForm.nodeOutside : NftablesForm.outside)
        let (oldCount, newCount) = (
            change.old.flatMap(NftablesForm.count), change.new.flatMap(NftablesForm.count)
        )
        if oldCount != newCount {
            let key = NftablesForm.key(address)
            if oldCount != nil { remove(key, from: NftablesForm.counts) }
            if let newCount {
                add(SetElement(key, .data(NftablesForm.data(count: newCount))), to: NftablesForm.counts)
            }
        }
        if address.isNodePort, (change.old == nil) != (change.new == nil) {
            let key = NftablesForm.nodePortKey(address)
            if change.old != nil {
                remove(key, from: NftablesForm.nodePorts)
            } else {
                add(SetElement(key), to: NftablesForm.nodePorts)
            }
        }
        let (oldSources, newSources) = (change.old?.sources, change.new?.sources)
        if oldSources != newSources {
            if (oldSources == nil) != (newSources == nil) {
                let key = NftablesForm.key(address)
                if oldSources != nil {
                    remove(key, from: NftablesForm.restricted)
                } else {
                    add(SetElement(key), to: NftablesForm.restricted)
                }
            }
            changeSet(NftablesForm.sources, oldSources ?? [], newSources ?? []) {
                NftablesForm.key(address, source: $0)
            }
        }
        changeAffinity(address, change)
    }

    private mutating func changeAffinity(_ address: ServiceAddress, _ change: TableChanges.Entry) {
        let old = change.old.flatMap { RememberChain(address, $0) }
        let new = change.new.flatMap { RememberChain(address, $0) }
        if old != new {
            let key = NftablesForm.key(address)
            if old != nil { remove(key, from: NftablesForm.sticky) }
            if let new { add(SetElement(key, .verdict(.goto(new.name))), to: NftablesForm.sticky) }
        }
        let oldMembers = old == nil ? [] : Set(change.old?.backends ?? [])
        let newMembers = new == nil ? [] : Set(change.new?.backends ?? [])
        changeSet(NftablesForm.members, oldMembers, newMembers) { NftablesForm.key(address, member: $0) }
    }

    private mutating func changeSet<Value: Hashable>(
        _ set: String, _ old: Set<Value>, _ new: Set<Value>, _ key: (Value) -> [UInt8]
    ) {
        for value in old where !new.contains(value) { remove(key(value), from: set) }
        for value in new where !old.contains(value) { add(SetElement(key(value)), to: set) }
    }

    private mutating func changeSide(
        _ address: ServiceAddress, _ change: TableChanges.Entry, _ group: EndpointGroup, _ set: String
    ) {
        let oldVerdict = change.old.flatMap { NftablesForm.verdict(address, $0, group) }
        let newVerdict = change.new.flatMap { NftablesForm.verdict(address, $0, group) }
        if oldVerdict != newVerdict {
            let key = NftablesForm.verdictKey(address)
            if oldVerdict != nil { remove(key, from: set) }
            if let newVerdict { add(SetElement(key, .verdict(newVerdict)), to: set) }
        }
        func backends(_ forwarding: Forwarding?) -> [Backend] {
            (group == .inside ? forwarding?.inside : forwarding?.outside)?.backends ?? []
        }
        let (old, new) = (backends(change.old), backends(change.new))
        for slot in 0..<max(old.count, new.count) {
            let before = slot < old.count ? old[slot] : nil
            let after = slot < new.count ? new[slot] : nil
            guard before != after else { continue }
            let key = NftablesForm.key(address, group, slot: slot)
            if before != nil { remove(key, from: NftablesForm.endpoints) }
            if let after { add(SetElement(key, .data(NftablesForm.data(after))), to: NftablesForm.endpoints) }
        }
    }
}
