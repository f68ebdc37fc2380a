import Glibc

/// An address range such as `10.96.0.0/16`, as far as it takes to tell what is within it.
struct AddressPrefix: Hashable {
    private var bytes: [UInt8]
    private var length: Int

    /// A range; nil for anything else.
    init?(range text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let bytes = Self.bytes(of: String(parts[0])), let length = Int(parts[1]),
            (0...bytes.count * 8).contains(length)
        else { return nil }
        self.bytes = bytes
        self.length = length
    }

    /// The range of one address; nil for anything else.
    init?(address text: String) {
        guard let bytes = Self.bytes(of: text) else { return nil }
        self.bytes = bytes
        length = bytes.count * 8
    }

    private static func bytes(of text: String) -> [UInt8]? {
        let isIPv6 = text.utf8.contains(UInt8(ascii: ":"))
        var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
        guard !text.utf8.contains(0), inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, &bytes) == 1 else {
            return nil
        }
        return bytes
    }

    /// Whether all of the other range lies in this one.
    func contains(_ other: AddressPrefix) -> Bool {
        guard bytes.count == other.bytes.count, length <= other.length else { return false }
        let whole = length / 8
        guard bytes.prefix(whole) == other.bytes.prefix(whole) else { return false }
        guard length % 8 > 0 else { return true }
        let mask = UInt8.max << UInt8(8 - length % 8)
        return bytes[whole] & mask == other.bytes[whole] & mask
    }
}
