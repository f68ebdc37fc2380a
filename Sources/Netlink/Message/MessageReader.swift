import CLinux

/// A netlink message as it came from the kernel.
public struct Message: Sendable, Hashable {
    /// The message type.
    public let type: UInt16
    /// The header's flags.
    public let flags: UInt16
    /// The sequence number of the request that this answers.
    public let sequence: UInt32
    /// The number of the socket whose request led to this message; 0 for the kernel's own.
    public let port: UInt32
    /// What follows the header.
    public let payload: ArraySlice<UInt8>

    /// The attributes that follow a family header of `size` bytes.
    public func attributes(afterHeaderOf size: Int) -> Attributes {
        Attributes(payload.dropFirst((size + 3) & ~3))
    }

    /// An integer in the machine's byte order at `offset` of the payload, or nil beyond its end.
    public func integer<Value: FixedWidthInteger>(at offset: Int, as: Value.Type = Value.self) -> Value? {
        payload.dropFirst(offset).integer()
    }
}

/// The messages in a received datagram, in order. Reading ends at the first message whose length is wrong.
public struct Messages: Sequence, Sendable {
    private let bytes: ArraySlice<UInt8>

    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
    }

    public func makeIterator() -> Iterator { Iterator(rest: bytes) }

    public struct Iterator: IteratorProtocol {
        var rest: ArraySlice<UInt8>

        public mutating func next() -> Message? {
            guard let length: UInt32 = rest.integer(), length >= 16, Int(length) <= rest.count,
                let type: UInt16 = rest.dropFirst(4).integer(),
                let flags: UInt16 = rest.dropFirst(6).integer(),
                let sequence: UInt32 = rest.dropFirst(8).integer(),
                let port: UInt32 = rest.dropFirst(12).integer()
            else { return nil }
            let payload = rest.dropFirst(16).prefix(Int(length) - 16)
            rest = rest.dropFirst((Int(length) + 3) & ~3)
            return Message(type: type, flags: flags, sequence: sequence, port: port, payload: payload)
        }
    }
}

/// One attribute of a message.
public struct Attribute: Sendable, Hashable {
    /// The number, without the flags that say how the value is laid out.
    public let type: UInt16
    /// The value.
    public let payload: ArraySlice<UInt8>

    /// The value as an integer in the machine's byte order; nil when it is too short.
    public func integer<Value: FixedWidthInteger>(as: Value.Type = Value.self) -> Value? {
        payload.integer()
    }

    /// The value as an integer in network byte order; nil when it is too short.
    public func bigEndian<Value: FixedWidthInteger>(as: Value.Type = Value.self) -> Value? {
        payload.integer().map { Value(bigEndian: $0) }
    }

    /// The value as text, up to the first zero.
    public var string: String {
        String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The value as an address; nil unless it has 4 or 16 bytes.
    public var address: IPAddress? { IPAddress(bytes: payload) }

    /// The attributes inside.
    public var attributes: Attributes { Attributes(payload) }
}

/// A list of attributes. Reading ends at the first attribute whose length is wrong.
public struct Attributes: Sequence, Sendable {
    let bytes: ArraySlice<UInt8>

    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
    }

    /// The first attribute of this type.
    public subscript(_ type: some KernelConstant) -> Attribute? {
        let wanted = type.attributeType
        return first { $0.type == wanted }
    }

    public func makeIterator() -> Iterator { Iterator(rest: bytes) }

    public struct Iterator: IteratorProtocol {
        var rest: ArraySlice<UInt8>

        public mutating func next() -> Attribute? {
            guard let length: UInt16 = rest.integer(), length >= 4, Int(length) <= rest.count,
                let type: UInt16 = rest.dropFirst(2).integer()
            else { return nil }
            let payload = rest.dropFirst(4).prefix(Int(length) - 4)
            rest = rest.dropFirst((Int(length) + 3) & ~3)
            return Attribute(type: type & 0x3fff, payload: payload)
        }
    }
}

extension ArraySlice where Element == UInt8 {
    /// The integer in the machine's byte order with which the slice begins; nil when it is too short.
    func integer<Value: FixedWidthInteger>(as: Value.Type = Value.self) -> Value? {
        let size = Value.bitWidth / 8
        guard count >= size else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
    }
}
