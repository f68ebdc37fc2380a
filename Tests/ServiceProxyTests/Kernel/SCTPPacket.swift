import Glibc
import Netlink

/// SCTP packets made by hand (RFC 9260, section 3). Few kernels have the protocol itself; connection tracking and
/// translation know it all the same.
struct SCTPPacket: Sendable, Hashable {
    enum Chunk: UInt8, Sendable {
        case initiation = 1
        case initiationAcknowledgement = 2
    }

    var sourcePort: UInt16
    var destinationPort: UInt16
    /// The verification tag: 0 in the first packet, then the one that the other side named.
    var tag: UInt32
    var chunk: Chunk

    /// The packet with its checksum. The tag that it names for answers is 0x01020304.
    var bytes: [UInt8] {
        var bytes = Self.bytes(sourcePort) + Self.bytes(destinationPort) + Self.bytes(tag) + [0, 0, 0, 0]
        // Type, flags, length; tag, window, streams out and in, first number.
        bytes += [chunk.rawValue, 0, 0, 20, 1, 2, 3, 4, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]
        bytes.replaceSubrange(8..<12, with: Self.checksum(bytes))
        return bytes
    }

    init(from sourcePort: UInt16, to destinationPort: UInt16, tag: UInt32 = 0, _ chunk: Chunk) {
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.tag = tag
        self.chunk = chunk
    }

    /// Reads a packet; nil when its checksum is wrong.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= 16, let chunk = Chunk(rawValue: bytes[12]) else { return nil }
        var blank = bytes
        blank.replaceSubrange(8..<12, with: [0, 0, 0, 0])
        guard Self.checksum(blank) == Array(bytes[8..<12]) else { return nil }
        func number(_ range: Range<Int>) -> UInt32 { bytes[range].reduce(0) { $0 << 8 | UInt32($1) } }
        self.init(
            from: UInt16(number(0..<2)), to: UInt16(number(2..<4)), tag: number(4..<8), chunk)
    }

    private static func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }

    /// CRC32c, lowest byte first.
    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        var rest = UInt32.max
        for byte in bytes {
            rest ^= UInt32(byte)
            for _ in 0..<8 { rest = rest & 1 == 1 ? rest >> 1 ^ 0x82F6_3B78 : rest >> 1 }
        }
        return withUnsafeBytes(of: (~rest).littleEndian) { Array($0) }
    }

    /// A socket that sends and receives whole SCTP packets, in the calling thread's network namespace.
    static func socket() -> Int32 {
        let transport = Int32(132)
        let descriptor = Glibc.socket(
            AF_INET, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), transport)
        var time = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }

    func send(to address: IPAddress, over descriptor: Int32) -> Bool {
        let bytes = bytes
        return withSocketAddress(address, 0) { sendto(descriptor, bytes, bytes.count, 0, $0, $1) }
            == bytes.count
    }

    /// The next packet and who sent it; nil when none comes, or a damaged one.
    static func receive(over descriptor: Int32) -> (packet: SCTPPacket, source: IPAddress)? {
        var buffer = [UInt8](repeating: 0, count: 2048)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        // What comes begins with the IPv4 header.
        guard count > 20, let source = IPAddress(bytes: buffer[12..<16]) else { return nil }
        let header = Int(buffer[0] & 15) * 4
        guard header < count, let packet = SCTPPacket(Array(buffer[header..<count])) else { return nil }
        return (packet, source)
    }
}
