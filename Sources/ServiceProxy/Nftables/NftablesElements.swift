import Netlink

// The elements of the maps and sets, from the forwarding table and back to it.
extension NftablesForm {
    /// The key of an entry in `services`; the beginning of its keys in `endpoints`.
    package static func key(_ address: ServiceAddress) -> [UInt8] {
        var key = address.address.bytes
        key.reserveCapacity(key.count + 12)
        key.append(address.transportProtocol.rawValue)
        key.append(contentsOf: [0, 0, 0])
        append(address.port, to: &key)
        return key
    }

    /// The key of one slot in `endpoints`.
    package static func key(_ address: ServiceAddress, slot: Int) -> [UInt8] {
        var key = key(address)
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: slot)) { key.append(contentsOf: $0) }
        return key
    }

    package static func data(_ backend: Backend) -> [UInt8] {
        var data = backend.address.bytes
        append(backend.port, to: &data)
        return data
    }

    /// A port, padded to a whole register.
    private static func append(_ port: UInt16, to bytes: inout [UInt8]) {
        bytes.append(UInt8(truncatingIfNeeded: port >> 8))
        bytes.append(UInt8(truncatingIfNeeded: port))
        bytes.append(0)
        bytes.append(0)
    }

    /// What a packet meets in `services`.
    package static func verdict(_ forwarding: Forwarding) -> Verdict {
        switch forwarding {
        case .spread(let backends): backends.isEmpty ? .goto(refuse) : .goto(pick(backends.count))
        case .refuse: .goto(refuse)
        case .drop: .drop
        }
    }

    /// The elements of all sets for this family's part of a table.
    package func elements(of table: ForwardingTable) -> [String: [SetElement]] {
        var result: [String: [SetElement]] = [:]
        for (address, forwarding) in table.entries where address.address.family == family {
            result[Self.services, default: []]
                .append(SetElement(Self.key(address), .verdict(Self.verdict(forwarding))))
            for (slot, backend) in forwarding.backends.enumerated() {
                result[Self.endpoints, default: []]
                    .append(SetElement(Self.key(address, slot: slot), .data(Self.data(backend))))
            }
        }
        result[Self.serviceAddresses] = own(table.serviceAddresses).map { SetElement($0.bytes) }
        result[Self.hairpins] = own(table.hairpinAddresses).map { SetElement($0.bytes + $0.bytes) }
        result[Self.nodeLocal] = own(configuration.nodeLocalAddresses).map { SetElement($0.bytes) }
        return result
    }

    func own(_ addresses: some Sequence<IPAddress>) -> [IPAddress] {
        addresses.filter { $0.family == family }
    }

    /// The table that these elements stand for, or nil when they contradict each other.
    package func table(from elements: [String: [SetElement]]) -> ForwardingTable? {
        var table = ForwardingTable()
        var slots: [ServiceAddress: [(slot: UInt32, backend: Backend)]] = [:]
        for element in elements[Self.endpoints] ?? [] {
            guard let address = serviceAddress(element.key[...]),
                let slot = element.key.dropFirst(addressSize + 8).slotNumber,
                case .data(let data) = element.value, let backend = backend(data[...])
            else { return nil }
            slots[address, default: []].append((slot, backend))
        }
        for element in elements[Self.services] ?? [] {
            guard let address = serviceAddress(element.key[...]), case .verdict(let verdict) = element.value
            else { return nil }
            switch verdict {
            case .drop: table.entries[address] = .drop
            case .goto(Self.refuse): table.entries[address] = .refuse
            case .goto(let chain):
                let found = (slots.removeValue(forKey: address) ?? []).sorted { $0.slot < $1.slot }
                guard chain == Self.pick(found.count),
                    found.enumerated().allSatisfy({ $0.offset == Int($0.element.slot) })
                else { return nil }
                table.entries[address] = .spread(found.map(\.backend))
            default: return nil
            }
        }
        guard slots.isEmpty else { return nil }
        for element in elements[Self.serviceAddresses] ?? [] {
            guard let address = IPAddress(bytes: element.key.prefix(addressSize)) else { return nil }
            table.serviceAddresses.insert(address)
        }
        for element in elements[Self.hairpins] ?? [] {
            guard let address = IPAddress(bytes: element.key.prefix(addressSize)) else { return nil }
            table.hairpinAddresses.insert(address)
        }
        return table
    }

    private var addressSize: Int { family.bitCount / 8 }

    private func serviceAddress(_ key: ArraySlice<UInt8>) -> ServiceAddress? {
        let rest = key.dropFirst(addressSize)
        guard let address = IPAddress(bytes: key.prefix(addressSize)), let number = rest.first,
            let transport = TransportProtocol(rawValue: number), let port = rest.dropFirst(4).portNumber
        else { return nil }
        return ServiceAddress(address, transport, port)
    }

    private func backend(_ data: ArraySlice<UInt8>) -> Backend? {
        guard let address = IPAddress(bytes: data.prefix(addressSize)),
            let port = data.dropFirst(addressSize).portNumber
        else { return nil }
        return Backend(address, port)
    }
}

extension ArraySlice where Element == UInt8 {
    /// The port number with which the slice begins.
    fileprivate var portNumber: UInt16? {
        guard count >= 2 else { return nil }
        return prefix(2).reduce(0) { $0 << 8 | UInt16($1) }
    }

    /// The slot number with which the slice begins, in the machine's byte order.
    fileprivate var slotNumber: UInt32? {
        guard count >= 4 else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
    }
}
