import NIOCore

/// Cuts a stream into messages: each is preceded by its length in two bytes (RFC 1035, 4.2.2).
struct FrameSplitter {
    private var pending = ByteBuffer()

    mutating func append(_ buffer: ByteBuffer) {
        var buffer = buffer
        if pending.readableBytes == 0 {
            pending = buffer
        } else {
            pending.writeBuffer(&buffer)
        }
    }

    /// Whether there is the beginning of a message, and not its end.
    var isIncomplete: Bool {
        guard pending.readableBytes > 0 else { return false }
        guard let length = pending.getInteger(at: pending.readerIndex, as: UInt16.self) else { return true }
        return pending.readableBytes < 2 + Int(length)
    }

    /// The next whole message, if it is there.
    mutating func next() -> [UInt8]? {
        guard let length = pending.getInteger(at: pending.readerIndex, as: UInt16.self),
            pending.readableBytes >= 2 + Int(length)
        else { return nil }
        pending.moveReaderIndex(forwardBy: 2)
        defer { pending.discardReadBytes() }
        return pending.readBytes(length: Int(length))
    }
}
