import Netlink

// The bytes of keys and values: numbers in network order, each part padded to whole registers.
extension NftablesForm {
    /// The key of an entry in `services`; the beginning of its keys in other sets.
    package static func key(_ address: ServiceAddress) -> [UInt8] {
        var key = address.address.bytes
        key.reserveCapacity(key.count + 28)
        append(address.transportProtocol, address.port, to: &key)
        return key
    }

    /// The key of one slot in `endpoints`.
    package static func key(
        _ address: ServiceAddress, _ group: EndpointGroup = .inside, slot: Int
    ) -> [UInt8] {
        key(address) + hostOrder(group.firstSlot &+ UInt32(truncatingIfNeeded: slot))
    }

    /// The key in `members`.
    package static func key(_ address: ServiceAddress, member: Backend) -> [UInt8] {
        key(address) + data(member)
    }

    /// The key in `sources`.
    package static func key(_ address: ServiceAddress, source: IPNetwork) -> [UInt8] {
        key(address) + source.first.bytes + hostOrder(UInt32(truncatingIfNeeded: source.prefixLength))
    }

    /// The key in the map that says what becomes of connections to an entry: `services` and its like.
    package static func verdictKey(_ address: ServiceAddress) -> [UInt8] {
        address.isNodePort ? nodePortKey(address) : key(address)
    }

    /// The key in `node-ports`, `node-services` and `node-outside`.
    package static func nodePortKey(_ address: ServiceAddress) -> [UInt8] {
        var key: [UInt8] = []
        append(address.transportProtocol, address.port, to: &key)
        return key
    }

    package static func data(_ backend: Backend) -> [UInt8] {
        var data = backend.address.bytes
        append(backend.port, to: &data)
        return data
    }

    /// The value in `counts`. Its type is that of ports, since `nft` shows numbers of that type as they are.
    static func data(count: Int) -> [UInt8] {
        let number = UInt16(clamping: count)
        return [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
    }

    private static func append(
        _ transport: TransportProtocol, _ port: UInt16, to bytes: inout [UInt8]
    ) {
        bytes.append(transport.rawValue)
        bytes.append(contentsOf: [0, 0, 0])
        append(port, to: &bytes)
    }

    private static func append(_ port: UInt16, to bytes: inout [UInt8]) {
        bytes.append(UInt8(truncatingIfNeeded: port >> 8))
        bytes.append(UInt8(truncatingIfNeeded: port))
        bytes.append(0)
        bytes.append(0)
    }
}

/// Reads keys and values part by part.
struct KeyReader {
    private var rest: ArraySlice<UInt8>
    private let family: IPAddress.Family

    init(_ bytes: [UInt8], _ family: IPAddress.Family) {
        rest = bytes[...]
        self.family = family
    }

    /// Whether all was read.
    var isAtEnd: Bool { rest.isEmpty }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func address() -> IPAddress? {
        take(family.bitCount / 8).flatMap { IPAddress(bytes: $0) }
    }

    mutating func port() -> UInt16? {
        take(4).map { $0.prefix(2).reduce(0) { $0 << 8 | UInt16($1) } }
    }

    mutating func number() -> UInt32? {
        take(4).map { $0.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) } }
    }

    /// - Parameter isNodePort: whether the key has no address, since every address of the node is meant.
    mutating func entry(isNodePort: Bool = false) -> ServiceAddress? {
        guard let address = isNodePort ? .unspecified(family) : address(),
            let transport = take(4)?.first.flatMap(TransportProtocol.init(rawValue:)),
            let port = port()
        else { return nil }
        return ServiceAddress(address, transport, port)
    }

    mutating func backend() -> Backend? {
        guard let address = address(), let port = port() else { return nil }
        return Backend(address, port)
    }
}
