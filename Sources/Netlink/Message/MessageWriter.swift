import CLinux

/// An attribute or message number of the kernel's, as its headers declare it: in an anonymous enumeration
/// (imported as `Int`) or in a named one (imported as a structure).
public protocol KernelConstant: Sendable {
    /// The number, as it is put into an attribute's type field.
    var attributeType: UInt16 { get }
}

extension KernelConstant where Self: RawRepresentable, RawValue == UInt32 {
    public var attributeType: UInt16 { UInt16(truncatingIfNeeded: rawValue) }
}

extension Int: KernelConstant {
    public var attributeType: UInt16 { UInt16(truncatingIfNeeded: self) }
}

/// Builds netlink messages in one growing buffer. Lengths and padding are filled in when a message or a
/// nested attribute ends.
///
/// An attribute's length has 16 bits. When an attribute becomes longer, `isOversized` is set, and the socket
/// refuses to send the buffer.
public struct MessageWriter: Sendable {
    /// The messages written so far.
    public private(set) var bytes: [UInt8] = []
    /// Whether an attribute has become longer than netlink can express.
    public private(set) var isOversized = false

    public init(reservingCapacity capacity: Int = 512) {
        bytes.reserveCapacity(capacity)
    }

    /// Writes one message: its header, then what `body` writes.
    public mutating func message(
        type: UInt16, flags: UInt16, sequence: UInt32, _ body: (inout MessageWriter) -> Void
    ) {
        let start = bytes.count
        raw(UInt32(0))
        raw(type)
        raw(flags)
        raw(sequence)
        raw(UInt32(0))  // port: the kernel knows the sender
        body(&self)
        patch(UInt32(truncatingIfNeeded: bytes.count - start), at: start)
        align()
    }

    /// Sets flags in the header of the message that starts at `offset`.
    mutating func setFlags(_ flags: UInt16, ofMessageAt offset: Int) {
        guard offset + 8 <= bytes.count else { return }
        bytes[offset + 6] |= UInt8(truncatingIfNeeded: flags)
        bytes[offset + 7] |= UInt8(truncatingIfNeeded: flags >> 8)
    }

    /// Writes an integer in the machine's byte order.
    public mutating func raw(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    /// Writes bytes as they are.
    public mutating func raw(_ value: some Collection<UInt8>) {
        bytes.append(contentsOf: value)
    }

    /// Writes an attribute that holds `value`.
    public mutating func attribute(_ type: some KernelConstant, _ value: some Collection<UInt8>) {
        header(type, length: value.count)
        bytes.append(contentsOf: value)
        align()
    }

    /// Writes an attribute that holds an integer in the machine's byte order.
    public mutating func attribute(_ type: some KernelConstant, _ value: some FixedWidthInteger) {
        header(type, length: value.bitWidth / 8)
        raw(value)
        align()
    }

    /// Writes an attribute that holds an integer in network byte order, as nfnetlink wants it.
    public mutating func attribute(_ type: some KernelConstant, bigEndian value: some FixedWidthInteger) {
        attribute(type, value.bigEndian)
    }

    /// Writes an attribute that holds a string and its terminating zero.
    public mutating func attribute(_ type: some KernelConstant, _ value: String) {
        let text = value.utf8
        header(type, length: text.count + 1)
        bytes.append(contentsOf: text)
        bytes.append(0)
        align()
    }

    /// Writes an attribute that holds the attributes which `body` writes.
    public mutating func nest(
        _ type: some KernelConstant, _ body: (inout MessageWriter) -> Void
    ) {
        let start = bytes.count
        raw(UInt16(0))
        raw(type.attributeType | UInt16(NLA_F_NESTED))
        body(&self)
        let length = bytes.count - start
        if length > Int(UInt16.max) { isOversized = true }
        patch(UInt16(truncatingIfNeeded: length), at: start)
        align()
    }

    private mutating func header(_ type: some KernelConstant, length: Int) {
        if length + 4 > Int(UInt16.max) { isOversized = true }
        raw(UInt16(truncatingIfNeeded: length + 4))
        raw(type.attributeType)
    }

    private mutating func patch(_ value: some FixedWidthInteger, at offset: Int) {
        withUnsafeBytes(of: value) { source in
            for (index, byte) in source.enumerated() { bytes[offset + index] = byte }
        }
    }

    private mutating func align() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }
}
