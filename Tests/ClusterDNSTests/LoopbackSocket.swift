import Glibc
import NIOPosix

/// A client, or a server that never answers, on loopback.
final class LoopbackSocket: Sendable {
    private let descriptor: Int32
    private let isStream: Bool
    let port: UInt16

    struct Failure: Error {
        let call: String
        let number: Int32
    }

    convenience init(datagram port: UInt16) throws {
        try self.init(SOCK_DGRAM, port)
        try connect()
    }

    convenience init(stream port: UInt16) throws {
        try self.init(SOCK_STREAM, port)
        try connect()
    }

    /// Holds a port.
    init(listener: Void) throws {
        isStream = false
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(call: "socket", number: errno) }
        guard Self.withAddress(0, { [descriptor] in bind(descriptor, $0, $1) }) == 0 else {
            throw Failure(call: "bind", number: errno)
        }
        var own = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &own) { [descriptor] own in
            own.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        port = UInt16(bigEndian: own.sin_port)
    }

    /// Takes connections at a port and says nothing.
    convenience init(mute port: UInt16) throws {
        try self.init(SOCK_STREAM, port)
        guard Self.withAddress(port, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 16) == 0 else {
            throw Failure(call: "bind", number: errno)
        }
    }

    /// Answers so many datagrams with what is made of them.
    func answer(_ count: Int, _ make: @escaping @Sendable ([UInt8]) -> [UInt8]) async throws {
        try await offThePool { [self] in
            for _ in 0..<count {
                var buffer = [UInt8](repeating: 0, count: 2048)
                var client = sockaddr()
                var length = socklen_t(MemoryLayout<sockaddr>.size)
                let got = recvfrom(descriptor, &buffer, buffer.count, 0, &client, &length)
                guard got > 0 else { throw Failure(call: "recvfrom", number: errno) }
                let answer = make(Array(buffer[..<got]))
                guard sendto(descriptor, answer, answer.count, 0, &client, length) == answer.count else {
                    throw Failure(call: "sendto", number: errno)
                }
            }
        }
    }

    private init(_ type: __socket_type, _ port: UInt16) throws {
        self.port = port
        isStream = type == SOCK_STREAM
        descriptor = socket(AF_INET, Int32(type.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(call: "socket", number: errno) }
        // A test that waits this long has failed.
        var patience = timeval(tv_sec: 300, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    private static func withAddress(
        _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private func connect() throws {
        guard Self.withAddress(port, { Glibc.connect(descriptor, $0, $1) }) == 0 else {
            throw Failure(call: "connect", number: errno)
        }
    }

    func send(_ bytes: [UInt8]) throws {
        let sent = bytes.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard sent == bytes.count else { throw Failure(call: "send", number: errno) }
    }

    /// The other side reads that nothing more comes.
    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends again and again until the kernel takes no more; how many times it took all. What follows on the
    /// connection may then begin in the middle.
    func sendUntilFull(_ bytes: [UInt8], atMost most: Int) throws -> Int {
        for count in 0..<most {
            let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
            let sent = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, flags) }
            if sent < bytes.count { return count }
        }
        return most
    }

    private func receive(_ count: Int, whole: Bool) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: count)
        let flags = whole ? Int32(MSG_WAITALL) : 0
        let got = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, count, flags) }
        guard got > 0 else { throw Failure(call: "recv", number: errno) }
        return Array(buffer[..<got])
    }

    func receiveFrame() async throws -> [UInt8] {
        try await offThePool { try self.nextFrame() }
    }

    private func nextFrame() throws -> [UInt8] {
        let length = try receive(2, whole: true)
        return try receive(Int(length[0]) << 8 | Int(length[1]), whole: true)
    }

    func receiveDatagram() async throws -> [UInt8] {
        try await offThePool { try self.receive(2048, whole: false) }
    }

    func ask(_ message: [UInt8]) async throws -> [UInt8] {
        try await offThePool { [self] in
            guard isStream else {
                try send(message)
                return try receive(2048, whole: false)
            }
            try send([UInt8(message.count >> 8), UInt8(message.count & 0xff)] + message)
            return try nextFrame()
        }
    }
}

/// Runs what blocks where it does not keep tasks from running.
func offThePool<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await NIOThreadPool.singleton.runIfActive(body)
}

/// What a command of the shell prints.
func output(of command: String) throws -> String {
    guard let pipe = popen(command, "r") else { throw LoopbackSocket.Failure(call: "popen", number: errno) }
    defer { pclose(pipe) }
    var text = ""
    var buffer = [CChar](repeating: 0, count: 4096)
    while fgets(&buffer, Int32(buffer.count), pipe) != nil {
        text += String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    return text
}

func temporaryFolder() throws -> String {
    var template = Array("/tmp/swiftlet-dns-XXXXXX".utf8CString)
    guard let path = mkdtemp(&template) else {
        throw LoopbackSocket.Failure(call: "mkdtemp", number: errno)
    }
    return String(cString: path)
}

func removeFolder(_ path: String) {
    _ = try? output(of: "rm -rf '\(path)'")
}

/// Writes a file in place, as an editor without a copy does.
func write(_ text: String, to path: String) throws {
    guard let file = fopen(path, "w") else { throw LoopbackSocket.Failure(call: "fopen", number: errno) }
    fputs(text, file)
    fclose(file)
}
