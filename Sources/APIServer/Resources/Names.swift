/// Names and identities that the server makes up.
package enum RandomName {
    /// Letters and digits without vowels and look-alikes: nothing rude or ambiguous comes out.
    private static let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
    /// The longest base that leaves room for the suffix in a DNS label.
    private static let maximumBase = 58

    /// Five random characters, upstream's form.
    package static func suffix(using generator: inout some RandomNumberGenerator) -> String {
        var text = ""
        for _ in 0..<5 {
            text.append(alphabet[Int.random(in: 0..<alphabet.count, using: &generator)])
        }
        return text
    }

    /// A name for `metadata.generateName`.
    package static func generate(
        from base: String, using generator: inout some RandomNumberGenerator
    ) -> String {
        base.prefix(maximumBase) + suffix(using: &generator)
    }

    /// A random UUID (RFC 9562, version 4) in lower case.
    package static func uuid(using generator: inout some RandomNumberGenerator) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(36)
        let high = generator.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = generator.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        for (half, word) in [high, low].enumerated() {
            for nibble in 0..<16 {
                let index = half * 16 + nibble
                if index == 8 || index == 12 || index == 16 || index == 20 { text.append(UInt8(ascii: "-")) }
                text.append(digits[Int(word >> UInt64(60 - nibble * 4) & 15)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
