/// Reads the parts of a DNS message (RFC 1035, 4). Every read checks that the bytes are there: messages come
/// from anybody.
package struct MessageReader {
    package enum Failure: Error, Equatable { case truncated, badName, badLength }

    package let bytes: [UInt8]
    package private(set) var offset: Int

    package init(_ bytes: [UInt8], offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    package mutating func uint8() throws(Failure) -> UInt8 {
        guard offset < bytes.count else { throw .truncated }
        defer { offset += 1 }
        return bytes[offset]
    }

    package mutating func uint16() throws(Failure) -> UInt16 {
        guard bytes.count - offset >= 2 else { throw .truncated }
        defer { offset += 2 }
        return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
    }

    package mutating func uint32() throws(Failure) -> UInt32 {
        let high = try uint16()
        return UInt32(high) << 16 | UInt32(try uint16())
    }

    package mutating func take(_ count: Int) throws(Failure) -> [UInt8] {
        guard count >= 0, bytes.count - offset >= count else { throw .truncated }
        defer { offset += count }
        return Array(bytes[offset..<(offset + count)])
    }

    /// A name, its compression pointers followed. Pointers must point backwards, so that no loop is possible.
    package mutating func name() throws(Failure) -> DNSName {
        var wire: [UInt8] = []
        var position = offset
        var end: Int?
        var lowest = offset
        while true {
            guard position < bytes.count else { throw .truncated }
            let length = Int(bytes[position])
            switch length & 0xc0 {
            case 0x00:
                if length == 0 {
                    offset = end ?? position + 1
                    return DNSName(wire: wire)
                }
                guard position + length < bytes.count else { throw .truncated }
                wire += bytes[position...(position + length)]
                guard wire.count < DNSName.maximumLength else { throw .badName }
                position += length + 1
            case 0xc0:
                guard position + 1 < bytes.count else { throw .truncated }
                let target = (length & 0x3f) << 8 | Int(bytes[position + 1])
                guard target < lowest else { throw .badName }
                end = end ?? position + 2
                lowest = target
                position = target
            default:
                throw .badName
            }
        }
    }

    /// A record of the answer, authority or additional section. OPT records appear with their fields in place
    /// of class and time to live, and other classes than IN as `.other`.
    package mutating func record() throws(Failure) -> (record: ResourceRecord, class: UInt16) {
        let name = try name()
        let type = RecordType(rawValue: try uint16())
        let classNumber = try uint16()
        let timeToLive = try uint32()
        let length = Int(try uint16())
        guard bytes.count - offset >= length else { throw .truncated }
        let end = offset + length
        let data = try recordData(type, length: length)
        guard offset == end else { throw .badLength }
        return (ResourceRecord(name: name, timeToLive: timeToLive, data: data), classNumber)
    }

    /// The types whose content may be compressed (RFC 3597, 4) have to be understood, since an answer is
    /// written anew for each client.
    private mutating func recordData(_ type: RecordType, length: Int) throws(Failure) -> RecordData {
        switch type {
        case .a:
            guard length == 4 else { throw .badLength }
            return .address(HostAddress(bytes: try take(4)))
        case .aaaa:
            guard length == 16 else { throw .badLength }
            return .address(HostAddress(bytes: try take(16)))
        case .cname: return .cname(try name())
        case .ns: return .ns(try name())
        case .ptr: return .ptr(try name())
        case .mx: return .mx(preference: try uint16(), exchange: try name())
        case .srv:
            return .srv(
                priority: try uint16(), weight: try uint16(), port: try uint16(), target: try name())
        case .soa:
            return .soa(
                primary: try name(), mailbox: try name(), serial: try uint32(), refresh: try uint32(),
                retry: try uint32(), expire: try uint32(), minimum: try uint32())
        case .txt:
            let end = offset + length
            var strings: [[UInt8]] = []
            while offset < end {
                strings.append(try take(Int(try uint8())))
            }
            return .txt(strings)
        default:
            return .other(type, try take(length))
        }
    }
}
