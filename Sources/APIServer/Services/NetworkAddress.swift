import Glibc

/// An IPv4 or IPv6 address as a number.
package struct NetworkAddress: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var isIPv6: Bool
    package var bits: UInt128

    package init(isIPv6: Bool, bits: UInt128) {
        self.isIPv6 = isIPv6
        self.bits = bits
    }

    /// Parses an address as the API takes it (RFC 4291 and dotted decimals without leading zeros); nil for
    /// anything else.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
        isIPv6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
        guard inet_pton(isIPv6 ? AF_INET6 : AF_INET, String(text), &bytes) == 1 else { return nil }
        bits = bytes.reduce(0) { $0 << 8 | UInt128($1) }
    }

    /// The family as the API names it: `IPv4` or `IPv6`.
    package var family: String { isIPv6 ? "IPv6" : "IPv4" }

    /// The canonical text (RFC 5952), by which IPAddress objects are named.
    package var description: String {
        var bytes: [UInt8] = (0..<(isIPv6 ? 16 : 4)).reversed()
            .map { UInt8(truncatingIfNeeded: bits >> UInt128($0 * 8)) }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard
            inet_ntop(isIPv6 ? AF_INET6 : AF_INET, &bytes, &text, socklen_t(text.count)) != nil
        else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    package static func < (a: NetworkAddress, b: NetworkAddress) -> Bool {
        a.isIPv6 == b.isIPv6 ? a.bits < b.bits : !a.isIPv6
    }
}

/// A range that Services may have their addresses from, such as `10.96.0.0/16` or `fd00:96::/112`.
package struct NetworkRange: Sendable, Hashable, CustomStringConvertible {
    package let base: NetworkAddress
    package let prefixLength: Int

    /// Parses `ADDRESS/PREFIX`: IPv4 with 8 to 30 bits, IPv6 with 64 to 126 (more than 2^64 addresses cannot be
    /// had, as upstream). Bits behind the prefix are cleared; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = NetworkAddress(parts[0]), let length = Int(parts[1]),
            (address.isIPv6 ? 64...126 : 8...30).contains(length)
        else { return nil }
        prefixLength = length
        let hostBits = UInt128((address.isIPv6 ? 128 : 32) - length)
        base = NetworkAddress(isIPv6: address.isIPv6, bits: (address.bits >> hostBits) << hostBits)
    }

    package var family: String { base.family }

    /// The distance from the base to the last address that can be given out. The network's own address never
    /// is, and neither is IPv4's broadcast address.
    package var lastOffset: UInt64 {
        let hostBits = (base.isIPv6 ? 128 : 32) - prefixLength
        let last = hostBits == 64 ? UInt64.max : (1 << UInt64(hostBits)) - 1
        return base.isIPv6 ? last : last - 1
    }

    /// Whether the address can be given out from this range.
    package func contains(_ address: NetworkAddress) -> Bool { offset(of: address) != nil }

    /// How far the address is from the base; nil if it cannot be given out from this range.
    package func offset(of address: NetworkAddress) -> UInt64? {
        guard address.isIPv6 == base.isIPv6, address.bits > base.bits,
            address.bits - base.bits <= UInt128(lastOffset)
        else { return nil }
        return UInt64(address.bits - base.bits)
    }

    /// The address at a distance from the base; the caller keeps it within `lastOffset`.
    package func address(at offset: UInt64) -> NetworkAddress {
        NetworkAddress(isIPv6: base.isIPv6, bits: base.bits + UInt128(offset))
    }

    package var description: String { "\(base)/\(prefixLength)" }
}
