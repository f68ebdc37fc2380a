/// Why bytes could not be read as protobuf.
public struct ProtobufError: Error, Sendable, Hashable {
    /// The class of the failure.
    public enum Code: Sendable, Hashable {
        /// The bytes end inside a field.
        case truncated
        /// A varint has more than ten bytes, or a tag is no field number of 1 and above.
        case malformed
        /// The field has another wire type than the schema says.
        case wireType
        /// A string is not UTF-8.
        case invalidUTF8
        /// Messages are nested deeper than allowed.
        case tooDeep
        /// A value is not what the schema requires.
        case invalidValue
    }

    /// The class of the failure.
    public var code: Code
    /// What was expected and what was found.
    public var message: String
    /// Where, in bytes from the beginning of the outermost message.
    public var offset: Int

    /// Makes an error from its parts.
    public init(code: Code, message: String, offset: Int) {
        self.code = code
        self.message = message
        self.offset = offset
    }
}

/// How the bytes of a field are laid out (protobuf encoding, "message structure").
public enum ProtobufWireType: UInt8, Sendable, Hashable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5
}

/// Reads the fields of one protobuf message. Every access is checked against the bounds of the message.
public struct ProtobufReader: Sendable {
    private let bytes: [UInt8]
    /// The offset of the next byte to read.
    public private(set) var offset: Int
    private let end: Int

    /// A field's number and layout.
    public struct Field: Sendable, Hashable {
        /// The number of the field, from 1.
        public var number: Int
        /// How its bytes are laid out.
        public var wireType: ProtobufWireType

        /// Makes a tag of its parts.
        public init(number: Int, wireType: ProtobufWireType) {
            self.number = number
            self.wireType = wireType
        }
    }

    /// Reads a message that fills the bytes.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        self.offset = 0
        self.end = bytes.count
    }

    private init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        self.offset = range.lowerBound
        self.end = range.upperBound
    }

    /// Whether all fields were read.
    public var isAtEnd: Bool { offset >= end }

    /// Reads the tag of the next field.
    /// - Returns: Nil at the end of the message.
    public mutating func nextField() throws(ProtobufError) -> Field? {
        guard offset < end else { return nil }
        let start = offset
        let tag = try varint()
        let number = tag >> 3
        guard number > 0, number <= 0x1FFF_FFFF, let type = ProtobufWireType(rawValue: UInt8(tag & 7)) else {
            throw ProtobufError(code: .malformed, message: "illegal tag \(tag)", offset: start)
        }
        return Field(number: Int(number), wireType: type)
    }

    /// Reads a varint.
    public mutating func varint() throws(ProtobufError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 64 {
            guard offset < end else { throw truncated() }
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw ProtobufError(code: .malformed, message: "varint longer than ten bytes", offset: offset)
    }

    /// Reads eight bytes, the lowest first.
    public mutating func fixed64() throws(ProtobufError) -> UInt64 {
        guard end - offset >= 8 else { throw truncated() }
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
        offset += 8
        return value
    }

    /// Reads four bytes, the lowest first.
    public mutating func fixed32() throws(ProtobufError) -> UInt32 {
        guard end - offset >= 4 else { throw truncated() }
        var value: UInt32 = 0
        for index in 0..<4 { value |= UInt32(bytes[offset + index]) << UInt32(8 * index) }
        offset += 4
        return value
    }

    private mutating func lengthDelimited() throws(ProtobufError) -> Range<Int> {
        let length = try varint()
        guard length <= UInt64(end - offset) else { throw truncated() }
        let start = offset
        offset += Int(length)
        return start..<offset
    }

    /// Reads bytes.
    public mutating func data() throws(ProtobufError) -> [UInt8] {
        let range = try lengthDelimited()
        return Array(bytes[range])
    }

    /// Reads text.
    public mutating func string() throws(ProtobufError) -> String {
        let range = try lengthDelimited()
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw ProtobufError(
                code: .invalidUTF8, message: "string is not UTF-8", offset: range.lowerBound)
        }
        return text
    }

    /// Reads a nested message, as a reader of its own.
    public mutating func message() throws(ProtobufError) -> ProtobufReader {
        let range = try lengthDelimited()
        return ProtobufReader(bytes, range)
    }

    /// Passes over a field. Groups, which the Kubernetes API never uses, are refused.
    public mutating func skip(_ type: ProtobufWireType) throws(ProtobufError) {
        switch type {
        case .varint: _ = try varint()
        case .fixed64: _ = try fixed64()
        case .fixed32: _ = try fixed32()
        case .lengthDelimited: _ = try lengthDelimited()
        case .startGroup, .endGroup:
            throw ProtobufError(code: .wireType, message: "groups are not supported", offset: offset)
        }
    }

    private func truncated() -> ProtobufError {
        ProtobufError(code: .truncated, message: "the message ends inside a field", offset: offset)
    }
}
