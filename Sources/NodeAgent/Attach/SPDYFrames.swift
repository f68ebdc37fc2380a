/// A frame of SPDY/3.1: eight bytes of header, then the payload. Only what tells frames apart is read; header blocks
/// stay compressed as they are.
package struct SPDYFrame: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case data(stream: UInt32)
        /// The stream is zero where a frame names none.
        case control(type: UInt16, stream: UInt32)
    }

    package static let synStream: UInt16 = 1
    package static let synReply: UInt16 = 2
    package static let rstStream: UInt16 = 3
    package static let ping: UInt16 = 6
    package static let goAway: UInt16 = 7
    /// Says that the sender sends nothing more in this stream.
    package static let fin: UInt8 = 1
    package static let headerSize = 8

    package var kind: Kind
    package var flags: UInt8
    /// The whole frame, header included.
    package var bytes: [UInt8]

    /// What follows the header.
    package var payload: ArraySlice<UInt8> { bytes.dropFirst(Self.headerSize) }

    package var isFinal: Bool { flags & Self.fin != 0 }

    /// A data frame. Of a payload, only what the 24 bits of its length can tell is taken.
    package static func data(_ stream: UInt32, _ payload: some Collection<UInt8>, isFinal: Bool) -> [UInt8] {
        let payload = payload.prefix(0xff_ffff)
        return word(stream & 0x7fff_ffff) + word(UInt32(isFinal ? fin : 0) << 24 | UInt32(payload.count))
            + payload
    }

    /// The answer that accepts a stream, without headers of its own.
    ///
    /// The header block is one zlib stream over all frames of a connection; here it is made of stored blocks: the
    /// number of headers (0), and an empty block, at which readers know that nothing is pending.
    package static func synReply(_ stream: UInt32, isFirst: Bool) -> [UInt8] {
        let block: [UInt8] =
            (isFirst ? [0x78, 0x01] : []) + [0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0] + [0, 0, 0, 0xff, 0xff]
        return word(0x8003_0000 | UInt32(synReply)) + word(UInt32(4 + block.count))
            + word(stream & 0x7fff_ffff) + block
    }

    private static func word(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}

/// Cuts a direction of a connection into frames, however its bytes arrive.
package struct SPDYFrameReader: Sendable {
    private var rest: [UInt8] = []

    package init() {}

    /// The bytes of a frame that is not complete yet.
    package var unread: [UInt8] { rest }

    /// The frames that are complete with these bytes.
    package mutating func read(_ bytes: [UInt8]) -> [SPDYFrame] {
        rest += bytes
        var frames: [SPDYFrame] = []
        var start = 0
        while rest.count - start >= SPDYFrame.headerSize {
            let length = Int(word(start + 4) & 0xff_ffff)
            let end = start + SPDYFrame.headerSize + length
            guard rest.count >= end else { break }
            frames.append(frame(start..<end))
            start = end
        }
        rest.removeSubrange(..<start)
        return frames
    }

    private func frame(_ range: Range<Int>) -> SPDYFrame {
        let first = word(range.lowerBound)
        let kind: SPDYFrame.Kind
        if first & 0x8000_0000 == 0 {
            kind = .data(stream: first)
        } else {
            let type = UInt16(truncatingIfNeeded: first)
            let namesStream =
                [SPDYFrame.synStream, SPDYFrame.synReply, SPDYFrame.rstStream].contains(type)
                && range.count >= SPDYFrame.headerSize + 4
            kind = .control(
                type: type, stream: namesStream ? word(range.lowerBound + 8) & 0x7fff_ffff : 0)
        }
        return SPDYFrame(kind: kind, flags: rest[range.lowerBound + 4], bytes: Array(rest[range]))
    }

    private func word(_ index: Int) -> UInt32 {
        rest[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// Speaks for a runtime that is not asked: accepts every stream that a client opens.
package struct SPDYAccepter: Sendable {
    private var reader = SPDYFrameReader()
    private var isFirst = true

    package init() {}

    /// What to answer to bytes of the client.
    package mutating func answer(_ bytes: [UInt8]) -> [UInt8] {
        var answer: [UInt8] = []
        for frame in reader.read(bytes) {
            switch frame.kind {
            case .control(SPDYFrame.synStream, let stream):
                answer += SPDYFrame.synReply(stream, isFirst: isFirst)
                isFirst = false
            case .control(SPDYFrame.ping, _):
                answer += frame.bytes
            default: break
            }
        }
        return answer
    }
}
