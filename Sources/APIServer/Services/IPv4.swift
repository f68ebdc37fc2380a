/// IPv4 addresses and ranges as numbers.
package struct IPv4Address: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var bits: UInt32

    package init(bits: UInt32) { self.bits = bits }

    /// Parses dotted decimals without leading zeros; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard
                !part.isEmpty, part.utf8.count <= 3, part.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                part.utf8.count == 1 || part.utf8.first != 0x30, let byte = UInt8(part)
            else { return nil }
            bits = bits << 8 | UInt32(byte)
        }
        self.bits = bits
    }

    package var description: String {
        "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    }

    package static func < (a: IPv4Address, b: IPv4Address) -> Bool { a.bits < b.bits }
}

/// An IPv4 range such as `10.96.0.0/16`.
package struct IPv4Range: Sendable, Hashable, CustomStringConvertible {
    package let base: IPv4Address
    package let prefixLength: Int

    /// Parses `ADDRESS/PREFIX` with a prefix of 8 to 30 bits; bits behind the prefix are cleared.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard
            parts.count == 2, let address = IPv4Address(parts[0]), let length = Int(parts[1]),
            (8...30).contains(length)
        else { return nil }
        prefixLength = length
        base = IPv4Address(bits: address.bits & ~(UInt32.max >> UInt32(length)))
    }

    /// How many addresses the range has, the first and last included.
    package var size: UInt32 { 1 << UInt32(32 - prefixLength) }

    package func contains(_ address: IPv4Address) -> Bool {
        address.bits >= base.bits && address.bits - base.bits < size
    }

    /// The address at a distance from the base; the caller keeps it within `size`.
    package func address(at offset: UInt32) -> IPv4Address { IPv4Address(bits: base.bits &+ offset) }

    package var description: String { "\(base)/\(prefixLength)" }
}
