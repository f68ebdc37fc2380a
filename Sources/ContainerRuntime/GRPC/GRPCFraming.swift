/// gRPC's message framing: a flag byte (compressed or not), a length (4 bytes, big-endian), the message.
package struct GRPCDeframer: Sendable {
    /// A message larger than this is refused; lists of a node's containers stay far below.
    package static let maximumMessageSize = 64 << 20

    private var buffer: [UInt8] = []
    private var consumed = 0

    package init() {}

    /// Adds bytes as they came from the stream.
    package mutating func append(_ bytes: some Sequence<UInt8>) {
        if consumed > 0, consumed == buffer.count || consumed > 1 << 16 {
            buffer.removeFirst(consumed)
            consumed = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next complete message, or nil when more bytes are needed.
    package mutating func next() throws(GRPCError) -> [UInt8]? {
        let available = buffer.count - consumed
        guard available >= 5 else { return nil }
        guard buffer[consumed] == 0 else {
            throw GRPCError(.unimplemented, "The peer sent a compressed message, which was not asked for.")
        }
        let length = buffer[(consumed + 1)..<(consumed + 5)].reduce(0) { $0 << 8 | Int($1) }
        guard length <= Self.maximumMessageSize else {
            throw GRPCError(
                .resourceExhausted,
                "A message of \(length) bytes is larger than the \(Self.maximumMessageSize) that are accepted."
            )
        }
        guard available >= 5 + length else { return nil }
        let message = Array(buffer[(consumed + 5)..<(consumed + 5 + length)])
        consumed += 5 + length
        return message
    }

    /// True when a message has begun and not ended.
    package var isInsideMessage: Bool { consumed < buffer.count }

    /// A message with its frame around it.
    package static func frame(_ message: [UInt8]) -> [UInt8] {
        let count = UInt32(clamping: message.count)
        var framed: [UInt8] = [0]
        framed.reserveCapacity(message.count + 5)
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            framed.append(UInt8(truncatingIfNeeded: count >> shift))
        }
        framed.append(contentsOf: message)
        return framed
    }
}
