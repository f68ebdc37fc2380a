/// A domain name, in the form it has in a message (RFC 1035, 3.1) without the root's closing zero: each label
/// preceded by its length. The bytes keep their case; names that differ only in case are *not* equal, compare
/// `lowercased` ones.
public struct DNSName: Sendable, Hashable {
    /// Length-prefixed labels.
    public let wire: [UInt8]

    /// The most bytes of a name in a message, its closing zero included (RFC 1035, 2.3.4).
    package static let maximumLength = 255
    package static let maximumLabelLength = 63

    /// The root of all names.
    public static let root = DNSName(wire: [])

    /// `wire` must be well formed; names from outside come from `MessageReader` or the parsing initializer.
    init(wire: [UInt8]) {
        self.wire = wire
    }

    /// Reads the usual notation, with or without a final dot: `web.default.svc.cluster.local`. Nil if a label
    /// is empty or longer than 63 bytes, or the name longer than 255.
    public init?(_ text: some StringProtocol) {
        var wire: [UInt8] = []
        var label: [UInt8] = []
        let bytes = Array(text.utf8)
        if bytes.isEmpty || bytes == [UInt8(ascii: ".")] {
            self.wire = []
            return
        }
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: ".") {
                guard !label.isEmpty, label.count <= Self.maximumLabelLength else { return nil }
                wire.append(UInt8(label.count))
                wire += label
                label = []
                if index == bytes.count - 1 { break }
            } else {
                label.append(byte)
            }
        }
        if !label.isEmpty {
            guard label.count <= Self.maximumLabelLength else { return nil }
            wire.append(UInt8(label.count))
            wire += label
        }
        guard wire.count < Self.maximumLength else { return nil }
        self.wire = wire
    }

    /// A name of these labels; nil where `init(_:)` would be.
    package init?(labels: [String], under parent: DNSName = .root) {
        var wire: [UInt8] = []
        for label in labels {
            let bytes = Array(label.utf8)
            guard !bytes.isEmpty, bytes.count <= Self.maximumLabelLength else { return nil }
            wire.append(UInt8(bytes.count))
            wire += bytes
        }
        wire += parent.wire
        guard wire.count < Self.maximumLength else { return nil }
        self.wire = wire
    }

    /// The same name in lower case, for comparisons (RFC 4343: only the letters of ASCII).
    public var lowercased: DNSName {
        guard wire.contains(where: { $0 >= 0x41 && $0 <= 0x5a }) else { return self }
        // A label's length is at most 63 and so never one of the letters (65 to 90).
        return DNSName(wire: wire.map { $0 >= 0x41 && $0 <= 0x5a ? $0 | 0x20 : $0 })
    }

    /// Where each label starts in `wire` (at its length byte).
    package var labelStarts: [Int] {
        var starts: [Int] = []
        var index = 0
        while index < wire.count {
            starts.append(index)
            index += Int(wire[index]) + 1
        }
        return starts
    }

    /// The labels' bytes, leftmost first.
    package var labels: [ArraySlice<UInt8>] {
        labelStarts.map { wire[($0 + 1)..<($0 + 1 + Int(wire[$0]))] }
    }

    /// What is left of `suffix`, or nil if the name does not end with it. Compares bytes: give lower case.
    package func relative(to suffix: DNSName) -> DNSName? {
        let rest = wire.count - suffix.wire.count
        guard rest >= 0, wire[rest...].elementsEqual(suffix.wire) else { return nil }
        // The end of the rest must be a boundary of labels, not an accident inside of one.
        var index = 0
        while index < rest {
            index += Int(wire[index]) + 1
        }
        return index == rest ? DNSName(wire: Array(wire[..<rest])) : nil
    }

    /// This name followed by `suffix`; nil if that is too long.
    package func appending(_ suffix: DNSName) -> DNSName? {
        let joined = wire + suffix.wire
        return joined.count < Self.maximumLength ? DNSName(wire: joined) : nil
    }
}

extension DNSName: CustomStringConvertible {
    /// With a final dot; dots and unprintable bytes inside of labels escaped (RFC 1035, 5.1).
    public var description: String {
        guard !wire.isEmpty else { return "." }
        var text: [UInt8] = []
        for label in labels {
            for byte in label {
                switch byte {
                case UInt8(ascii: "."), UInt8(ascii: "\\"):
                    text += [UInt8(ascii: "\\"), byte]
                case 0x21...0x7e:
                    text.append(byte)
                default:
                    text.append(UInt8(ascii: "\\"))
                    text += [byte / 100, byte / 10 % 10, byte % 10].map { $0 + UInt8(ascii: "0") }
                }
            }
            text.append(UInt8(ascii: "."))
        }
        return String(decoding: text, as: UTF8.self)
    }
}
