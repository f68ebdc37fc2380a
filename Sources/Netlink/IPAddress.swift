/// An IPv4 or IPv6 address.
///
/// One type serves both families, so that what is written for IPv4 has its place for IPv6.
public struct IPAddress: Hashable, Sendable {
    /// The address family.
    public enum Family: UInt8, Hashable, Sendable, Comparable {
        case ipv4 = 2
        case ipv6 = 10

        /// How many bits an address of this family has.
        public var bitCount: Int { self == .ipv4 ? 32 : 128 }

        public static func < (left: Family, right: Family) -> Bool { left.rawValue < right.rawValue }
    }

    /// The family of this address.
    public let family: Family
    /// The address as a number; an IPv4 address fills the lowest 32 bits.
    let high: UInt64
    let low: UInt64

    init(family: Family, high: UInt64, low: UInt64) {
        self.family = family
        self.high = high
        self.low = low
    }

    /// The IPv4 address with this number: `0x0a60_0001` is 10.96.0.1.
    public init(ipv4 number: UInt32) {
        self.init(family: .ipv4, high: 0, low: UInt64(number))
    }

    /// An address from its bytes in network order: 4 or 16 of them, else nil.
    public init?(bytes: some Collection<UInt8>) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        for byte in bytes {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
        switch bytes.count {
        case 4: self.init(family: .ipv4, high: 0, low: low)
        case 16: self.init(family: .ipv6, high: high, low: low)
        default: return nil
        }
    }

    /// The bytes in network order, 4 or 16 of them.
    public var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(family.bitCount / 8)
        if family == .ipv6 {
            for shift in stride(from: 56, through: 0, by: -8) {
                result.append(UInt8(truncatingIfNeeded: high >> UInt64(shift)))
            }
        }
        for shift in stride(from: family == .ipv6 ? 56 : 24, through: 0, by: -8) {
            result.append(UInt8(truncatingIfNeeded: low >> UInt64(shift)))
        }
        return result
    }

    /// The IPv4 address as a number, or nil for IPv6.
    public var ipv4Number: UInt32? {
        family == .ipv4 ? UInt32(truncatingIfNeeded: low) : nil
    }

    /// The address that is `distance` above this one, or nil beyond the end of the family.
    public func advanced(by distance: UInt64) -> IPAddress? {
        let (sum, carry) = low.addingReportingOverflow(distance)
        if family == .ipv4 {
            return carry || sum > UInt64(UInt32.max) ? nil : IPAddress(family: .ipv4, high: 0, low: sum)
        }
        guard carry else { return IPAddress(family: .ipv6, high: high, low: sum) }
        return high == .max ? nil : IPAddress(family: .ipv6, high: high + 1, low: sum)
    }

    /// Whether this is a loopback address: 127.0.0.0/8 or ::1.
    public var isLoopback: Bool {
        family == .ipv4 ? low >> 24 == 127 : high == 0 && low == 1
    }

    /// The unspecified address: 0.0.0.0 or ::.
    public static func unspecified(_ family: Family) -> IPAddress {
        IPAddress(family: family, high: 0, low: 0)
    }

    /// Whether this is the unspecified address: 0.0.0.0 or ::.
    public var isUnspecified: Bool { high == 0 && low == 0 }
}

extension IPAddress: Comparable {
    public static func < (left: IPAddress, right: IPAddress) -> Bool {
        (left.family, left.high, left.low) < (right.family, right.high, right.low)
    }
}

extension IPAddress: CustomStringConvertible, LosslessStringConvertible {
    /// Parses `10.96.0.1` or `fd00::1`. As in the Kubernetes API, leading zeros in IPv4 parts, zones and
    /// surrounding space are refused.
    public init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            self.init(ipv6Text: text)
        } else {
            guard let number = Self.ipv4Number(of: text) else { return nil }
            self.init(ipv4: number)
        }
    }

    private static func ipv4Number(of text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var number: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }),
                part.utf8.count == 1 || part.utf8.first != UInt8(ascii: "0"), let value = UInt8(part)
            else { return nil }
            number = number << 8 | UInt32(value)
        }
        return number
    }

    private init?(ipv6Text text: some StringProtocol) {
        // At most one "::", which stands for as many zero groups as are missing.
        var halves: [[UInt16]] = [[]]
        var rest = Substring(text)
        if rest.hasPrefix("::") {
            halves = [[], []]
            rest = rest.dropFirst(2)
        } else if rest.hasPrefix(":") {
            return nil
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != ":" }
            rest = rest.dropFirst(part.count)
            if part.utf8.contains(UInt8(ascii: ".")) {
                guard rest.isEmpty, let number = Self.ipv4Number(of: part) else { return nil }
                halves[halves.count - 1] += [
                    UInt16(truncatingIfNeeded: number >> 16), UInt16(truncatingIfNeeded: number),
                ]
                break
            }
            guard (1...4).contains(part.utf8.count), part.first?.isHexDigit == true,
                let group = UInt16(part, radix: 16)
            else { return nil }
            halves[halves.count - 1].append(group)
            if rest.isEmpty { break }
            if rest.hasPrefix("::") {
                guard halves.count == 1 else { return nil }
                halves.append([])
                rest = rest.dropFirst(2)
            } else {
                rest = rest.dropFirst()
                if rest.isEmpty { return nil }
            }
        }
        let given = halves.reduce(0) { $0 + $1.count }
        guard halves.count == 2 ? given < 8 : given == 8 else { return nil }
        var groups = halves[0]
        if halves.count == 2 {
            groups += [UInt16](repeating: 0, count: 8 - given) + halves[1]
        }
        let high = groups.prefix(4).reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        let low = groups.suffix(4).reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        self.init(family: .ipv6, high: high, low: low)
    }

    /// The text form; IPv6 as in RFC 5952.
    public var description: String {
        if family == .ipv4 {
            return bytes.map { String($0) }.joined(separator: ".")
        }
        let groups = (0..<8).map { index -> UInt16 in
            let half = index < 4 ? high : low
            return UInt16(truncatingIfNeeded: half >> UInt64((3 - index % 4) * 16))
        }
        var longest = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > max(1, longest.count) { longest = index..<end }
            index = max(end, index + 1)
        }
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        return longest.isEmpty
            ? text(0..<8) : text(0..<longest.lowerBound) + "::" + text(longest.upperBound..<8)
    }
}

/// A range of addresses that share a prefix: 10.244.0.0/24.
public struct IPNetwork: Hashable, Sendable, CustomStringConvertible, LosslessStringConvertible {
    /// An address within the network; for an interface's address, the interface's own.
    public let address: IPAddress
    /// How many leading bits the addresses of the network share.
    public let prefixLength: Int

    /// The network of `address`; nil when the family has fewer bits than `prefixLength`.
    public init?(_ address: IPAddress, prefixLength: Int) {
        guard (0...address.family.bitCount).contains(prefixLength) else { return nil }
        self.address = address
        self.prefixLength = prefixLength
    }

    /// The network that holds only `address`: a /32 or a /128.
    public init(host address: IPAddress) {
        self.address = address
        self.prefixLength = address.family.bitCount
    }

    /// Parses `10.244.0.0/24` or `fd00::/64`.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), (1...3).contains(parts[1].utf8.count),
            parts[1].utf8.allSatisfy({ (48...57).contains($0) }), let length = Int(parts[1])
        else { return nil }
        self.init(address, prefixLength: length)
    }

    public var description: String { "\(address)/\(prefixLength)" }

    private var masks: (high: UInt64, low: UInt64) {
        func leading(_ count: Int) -> UInt64 {
            count <= 0 ? 0 : count >= 64 ? .max : ~(UInt64.max >> UInt64(count))
        }
        if address.family == .ipv4 { return (0, leading(prefixLength + 32) & 0xffff_ffff) }
        return (leading(prefixLength), leading(prefixLength - 64))
    }

    /// The first address of the network: 10.244.0.0.
    public var first: IPAddress {
        let masks = masks
        return IPAddress(
            family: address.family, high: address.high & masks.high, low: address.low & masks.low)
    }

    /// The last address of the network: 10.244.0.255.
    public var last: IPAddress {
        let masks = masks
        let host = address.family == .ipv4 ? UInt64(UInt32.max) : .max
        return IPAddress(
            family: address.family, high: address.high | (address.family == .ipv4 ? 0 : ~masks.high),
            low: address.low | (~masks.low & host))
    }

    /// The same network, named by its first address.
    public var canonical: IPNetwork {
        IPNetwork(first, prefixLength: prefixLength) ?? self
    }

    /// Whether `other` lies within the network.
    public func contains(_ other: IPAddress) -> Bool {
        other.family == address.family && other >= first && other <= last
    }

    /// The network mask in network byte order.
    public var mask: [UInt8] {
        let masks = masks
        return IPAddress(family: address.family, high: masks.high, low: masks.low).bytes
    }
}
