/// Base64 with the alphabet for URLs and without padding (RFC 4648 section 5), as JSON Web Tokens have it.
public enum Base64URL {
    /// The text of the bytes.
    public static func encode(_ bytes: [UInt8]) -> String {
        let text = Base64.encode(bytes).compactMap { byte -> UInt8? in
            switch byte {
            case UInt8(ascii: "+"): UInt8(ascii: "-")
            case UInt8(ascii: "/"): UInt8(ascii: "_")
            case UInt8(ascii: "="): nil
            default: byte
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes, or nil if the text has anything else in it or is not what `encode` writes for them.
    public static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var standard: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "-"): standard.append(UInt8(ascii: "+"))
            case UInt8(ascii: "_"): standard.append(UInt8(ascii: "/"))
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                standard.append(byte)
            default: return nil
            }
        }
        let padding = (4 - standard.count % 4) % 4
        standard += [UInt8](repeating: UInt8(ascii: "="), count: padding)
        guard let bytes = Base64.decode(String(decoding: standard, as: UTF8.self)),
            // Unused bits in the last character must be zero, so that a signature has one form only.
            encode(bytes) == text
        else { return nil }
        return bytes
    }
}
