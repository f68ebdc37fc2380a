/// Writes the fields of protobuf messages to a growing array of bytes.
public struct ProtobufWriter: Sendable {
    /// What has been written so far.
    public private(set) var bytes: [UInt8] = []

    /// Starts an empty message.
    public init() {}

    private mutating func raw(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    private mutating func tag(_ number: Int, _ type: ProtobufWireType) {
        raw(UInt64(truncatingIfNeeded: number) << 3 | UInt64(type.rawValue))
    }

    /// Writes a varint field.
    public mutating func varint(_ number: Int, _ value: UInt64) {
        tag(number, .varint)
        raw(value)
    }

    /// Writes an int32 or int64 field; negative numbers take ten bytes.
    public mutating func int(_ number: Int, _ value: Int) {
        varint(number, UInt64(bitPattern: Int64(value)))
    }

    /// Writes a bool field.
    public mutating func bool(_ number: Int, _ value: Bool) {
        varint(number, value ? 1 : 0)
    }

    /// Writes a double field.
    public mutating func double(_ number: Int, _ value: Double) {
        tag(number, .fixed64)
        let bits = value.bitPattern
        for index in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(8 * index))) }
    }

    /// Writes a string field.
    public mutating func string(_ number: Int, _ value: String) {
        tag(number, .lengthDelimited)
        raw(UInt64(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    /// Writes a bytes field.
    public mutating func data(_ number: Int, _ value: [UInt8]) {
        tag(number, .lengthDelimited)
        raw(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    /// Writes a nested message.
    public mutating func message(_ number: Int, _ value: ProtobufWriter) {
        data(number, value.bytes)
    }
}
