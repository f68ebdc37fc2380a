/// Writes a DNS message with compressed names, never longer than its limit.
package struct MessageWriter {
    package private(set) var bytes: [UInt8]
    private let limit: Int
    /// Names that later ones may point at, with their offsets.
    private var known: [(wire: [UInt8], offset: Int)] = []

    /// More would make each further name dearer than the bytes it saves.
    private static let mostKnown = 24
    /// What a compression pointer can reach.
    private static let reach = 0x4000

    package init(limit: Int) {
        self.limit = min(limit, 65535)
        bytes = []
        bytes.reserveCapacity(512)
    }

    package mutating func uint16(_ value: UInt16) {
        bytes.append(UInt8(value >> 8))
        bytes.append(UInt8(value & 0xff))
    }

    package mutating func uint32(_ value: UInt32) {
        uint16(UInt16(value >> 16))
        uint16(UInt16(value & 0xffff))
    }

    package mutating func append(_ more: [UInt8]) {
        bytes += more
    }

    package mutating func patch(_ value: UInt16, at offset: Int) {
        guard offset >= 0, offset + 1 < bytes.count else { return }
        bytes[offset] = UInt8(value >> 8)
        bytes[offset + 1] = UInt8(value & 0xff)
    }

    /// Compresses where an earlier name ends alike, in the same case.
    package mutating func name(_ name: DNSName) {
        let wire = name.wire
        var start = 0
        while start < wire.count {
            if let offset = offset(of: wire[start...]) {
                uint16(0xc000 | UInt16(offset))
                return
            }
            if bytes.count < Self.reach, known.count < Self.mostKnown {
                known.append((wire: start == 0 ? wire : Array(wire[start...]), offset: bytes.count))
            }
            let end = start + Int(wire[start]) + 1
            bytes += wire[start..<end]
            start = end
        }
        bytes.append(0)
    }

    private func offset(of suffix: ArraySlice<UInt8>) -> Int? {
        for (wire, offset) in known where wire.count == suffix.count && wire.elementsEqual(suffix) {
            return offset
        }
        return nil
    }

    package mutating func question(_ question: Question) {
        name(question.name)
        uint16(question.type.rawValue)
        uint16(1)
    }

    /// Writes a record whole, or leaves the message as it was and returns false if there is no room.
    /// `reserve` bytes are kept free for what has to follow.
    package mutating func record(_ record: ResourceRecord, reserve: Int) -> Bool {
        let mark = (bytes.count, known.count)
        name(record.name)
        uint16(record.type.rawValue)
        uint16(1)
        uint32(record.timeToLive)
        let lengthOffset = bytes.count
        uint16(0)
        data(record.data)
        let length = bytes.count - lengthOffset - 2
        guard bytes.count + reserve <= limit, length <= 65535 else {
            bytes.removeLast(bytes.count - mark.0)
            known.removeLast(known.count - mark.1)
            return false
        }
        patch(UInt16(length), at: lengthOffset)
        return true
    }

    private mutating func data(_ data: RecordData) {
        switch data {
        case .address(let address): bytes += address.bytes
        case .cname(let target), .ns(let target), .ptr(let target): name(target)
        case .mx(let preference, let exchange):
            uint16(preference)
            name(exchange)
        case .srv(let priority, let weight, let port, let target):
            uint16(priority)
            uint16(weight)
            uint16(port)
            // RFC 2782: the target is not compressed.
            bytes += target.wire
            bytes.append(0)
        case .txt(let strings):
            for string in strings {
                let part = string.prefix(255)
                bytes.append(UInt8(part.count))
                bytes += part
            }
        case .soa(let primary, let mailbox, let serial, let refresh, let retry, let expire, let minimum):
            name(primary)
            name(mailbox)
            for value in [serial, refresh, retry, expire, minimum] { uint32(value) }
        case .other(_, let content):
            bytes += content
        }
    }
}
