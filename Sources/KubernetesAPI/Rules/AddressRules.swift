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

/// What addresses and ranges may look like.
enum AddressRules {
    private static let notAnAddress = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"

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
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count == 2, let address = AddressValue(String(parts[0])),
            parts[1].utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
            let length = Int(parts[1]), length <= address.bytes.count * 8
        {
            return []
        }
        return [
            .invalid(
                path.text, .string(text), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
        ]
    }
}
