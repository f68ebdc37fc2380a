import Glibc

/// An IPv4 or IPv6 address as its bytes.
struct AddressValue: Hashable {
    /// 4 or 16 bytes in network order.
    var bytes: [UInt8]

    var isIPv4: Bool { bytes.count == 4 }

    /// Reads an address; nil when the text is none.
    init?(_ text: String) {
        guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
        var buffer = [UInt8](repeating: 0, count: 16)
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard inet_pton(AF_INET6, text, &buffer) == 1 else { return nil }
            bytes = buffer
        } else {
            guard inet_pton(AF_INET, text, &buffer) == 1 else { return nil }
            bytes = Array(buffer.prefix(4))
        }
    }

    /// The value below the IPv4-mapped prefix `::ffff:0:0/96`, or the address itself.
    private var unmapped: [UInt8] {
        let isMapped =
            bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 255
            && bytes[11] == 255
        return isMapped ? Array(bytes.suffix(4)) : bytes
    }

    var isUnspecified: Bool { unmapped.allSatisfy { $0 == 0 } }

    var isLoopback: Bool {
        let bytes = unmapped
        return bytes.count == 4 ? bytes[0] == 127 : bytes.last == 1 && bytes.dropLast().allSatisfy { $0 == 0 }
    }

    var isLinkLocal: Bool {
        let bytes = unmapped
        return bytes.count == 4
            ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
    }

    var isLinkLocalMulticast: Bool {
        let bytes = unmapped
        return bytes.count == 4
            ? bytes[0] == 224 && bytes[1] == 0 && bytes[2] == 0
            : bytes[0] == 0xFF && bytes[1] & 0x0F == 0x02
    }
}

extension AddressValue: CustomStringConvertible {
    /// The address in the form that RFC 5952 recommends.
    var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Whether this is an IPv4 address in IPv6's clothes.
    var isMapped: Bool { !isIPv4 && unmapped.count == 4 }

    /// The IPv4 address below the mapped prefix, or this address itself.
    var unmappedValue: AddressValue {
        var result = self
        result.bytes = unmapped
        return result
    }

    /// This address with all bits behind a prefix cleared.
    func masked(_ length: Int) -> AddressValue {
        var result = self
        for index in result.bytes.indices {
            let kept = min(max(length - index * 8, 0), 8)
            result.bytes[index] &= kept == 0 ? 0 : UInt8.max << UInt8(8 - kept)
        }
        return result
    }
}

/// A range such as `10.9.8.0/24`; the address may have bits behind the prefix.
struct AddressRange {
    var base: AddressValue
    var prefixLength: Int

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let base = AddressValue(String(parts[0])), !parts[1].isEmpty,
            parts[1].utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
            let length = Int(parts[1]), length <= base.bytes.count * 8
        else { return nil }
        self.base = base
        prefixLength = length
    }

    func contains(_ address: AddressValue) -> Bool {
        address.bytes.count == base.bytes.count
            && address.masked(prefixLength) == base.masked(prefixLength)
    }
}

/// What addresses and ranges may look like.
enum AddressRules {
    private static let notAnAddress = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    private static let notARange = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

    /// An address of either family.
    static func address(_ path: RulePath, _ text: String) -> [FieldError] {
        AddressValue(text) == nil ? [.invalid(path.text, .string(text), notAnAddress)] : []
    }

    /// An address that endpoints can have: not unspecified, loopback or link-local.
    static func endpoint(_ path: RulePath, _ text: String) -> [FieldError] {
        var errors: [FieldError] = []
        guard let address = AddressValue(text) else {
            errors.invalid(path, text, "must be a valid IP address")
            return errors
        }
        if address.isUnspecified { errors.invalid(path, text, "may not be unspecified (\(text))") }
        if address.isLoopback {
            errors.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
        }
        if address.isLinkLocal {
            errors.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
        }
        if address.isLinkLocalMulticast {
            errors.invalid(
                path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
        }
        return errors
    }

    /// A range such as `10.9.8.0/24`.
    static func range(_ path: RulePath, _ text: String) -> [FieldError] {
        AddressRange(text) == nil ? [.invalid(path.text, .string(text), notARange)] : []
    }

    /// A range in the one form that all programs read alike.
    static func canonicalRange(_ path: RulePath, _ text: String) -> [FieldError] {
        var errors = range(path, text)
        guard let range = AddressRange(text) else { return errors }
        let canonical = "\(range.base.masked(range.prefixLength))/\(range.prefixLength)"
        let length = text.split(separator: "/").last ?? ""
        if length.utf8.count > 1, length.hasPrefix("0") {
            errors.invalid(path, text, "must not have leading 0s in IP or prefix length")
        } else if range.base.isMapped {
            errors.invalid(path, text, "must not have an IPv4-mapped IPv6 address")
        } else if range.base.masked(range.prefixLength) != range.base {
            errors.invalid(path, text, "must not have bits set beyond the prefix length")
        } else if text != canonical {
            errors.invalid(path, text, "must be in canonical form (\(GoText.quoted(canonical)))")
        }
        return errors
    }

    /// An address as a name: in the one form that all programs read alike.
    static let addressName: NameRules.Rule = { text in
        guard let address = AddressValue(text) else { return [notAnAddress] }
        if address.isMapped { return ["must not be an IPv4-mapped IPv6 address"] }
        if "\(address)" != text { return ["must be in canonical form (\(GoText.quoted("\(address)")))"] }
        return []
    }
}
