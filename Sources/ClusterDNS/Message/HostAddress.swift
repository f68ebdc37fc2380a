import Glibc

/// An IPv4 or IPv6 address.
public enum HostAddress: Sendable, Hashable {
    case v4(UInt32)
    case v6(UInt64, UInt64)

    /// Reads dotted decimal or RFC 4291 notation; nil for anything else.
    public init?(_ text: String) {
        // C would read no further.
        guard !text.utf8.contains(0) else { return nil }
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            self = .v4(UInt32(bigEndian: four.s_addr))
            return
        }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        self.init(bytes: withUnsafeBytes(of: &six) { Array($0) })
    }

    /// From 4 or 16 bytes in network order; otherwise the unspecified IPv4 address.
    package init(bytes: [UInt8]) {
        switch bytes.count {
        case 4:
            self = .v4(bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16:
            self = .v6(
                bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }, bytes[8...].reduce(0) { $0 << 8 | UInt64($1) }
            )
        default:
            self = .v4(0)
        }
    }

    /// In network order.
    package var bytes: [UInt8] {
        switch self {
        case .v4(let value):
            [UInt8(value >> 24), UInt8(value >> 16 & 0xff), UInt8(value >> 8 & 0xff), UInt8(value & 0xff)]
        case .v6(let high, let low):
            [high, low].flatMap { half in (0..<8).map { UInt8(half >> (56 - 8 * UInt64($0)) & 0xff) } }
        }
    }

    /// The address as one label: dots or colons become dashes (10-244-0-5), as upstream names an endpoint
    /// that has no host name.
    package var dashed: String {
        String(description.map { $0 == "." || $0 == ":" ? "-" : $0 })
    }

    /// Reads `dashed` back.
    package init?(dashed label: some StringProtocol) {
        guard !label.contains(where: { $0 == "." || $0 == ":" }) else { return nil }
        let dotted = String(label.map { $0 == "-" ? "." : $0 })
        if let four = HostAddress(dotted) {
            self = four
            return
        }
        guard let six = HostAddress(String(label.map { $0 == "-" ? ":" : $0 })) else { return nil }
        self = six
    }
}

extension HostAddress: CustomStringConvertible {
    public var description: String {
        switch self {
        case .v4:
            return bytes.map(String.init).joined(separator: ".")
        case .v6:
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            _ = bytes.withUnsafeBytes { inet_ntop(AF_INET6, $0.baseAddress, &text, socklen_t(text.count)) }
            return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }
}

/// A range of addresses in CIDR notation.
public struct AddressRange: Sendable, Hashable {
    public let base: HostAddress
    /// Length of the prefix in bits.
    public let length: Int

    /// Reads `10.96.0.0/16`; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let base = HostAddress(String(parts[0])), let length = Int(parts[1]),
            length >= 0, length <= base.bytes.count * 8
        else { return nil }
        self.base = base
        self.length = length
    }

    package func contains(_ address: HostAddress) -> Bool {
        let mine = base.bytes
        let other = address.bytes
        guard mine.count == other.count else { return false }
        for index in 0..<mine.count {
            let bits = min(8, max(0, length - index * 8))
            let mask = UInt8(truncatingIfNeeded: 0xff00 >> bits)
            if mine[index] & mask != other[index] & mask { return false }
        }
        return true
    }
}
