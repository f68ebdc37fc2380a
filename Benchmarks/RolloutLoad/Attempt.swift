import Glibc
import Synchronization

/// One request on its way.
struct Attempt {
    enum Outcome: Equatable {
        case goesOn, answered
        case failed(String)
    }

    let descriptor: Int32
    let isReused: Bool
    let begin: UInt64
    private let mode: Mode
    private var sent = 0
    private(set) var isSent = false
    private var answer: [UInt8] = []

    init(_ descriptor: Int32, isReused: Bool, mode: Mode, begin: UInt64) {
        self.descriptor = descriptor
        self.isReused = isReused
        self.mode = mode
        self.begin = begin
    }

    /// How far it has come, for people.
    var stage: String { isSent ? answer.isEmpty ? "sent" : "in the answer" : "not sent" }

    /// The port at this end, to find the connection elsewhere.
    var port: UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        return result == 0 ? UInt16(bigEndian: address.sin_port) : 0
    }

    static func text(_ number: Int32) -> String { String(cString: strerror(number)) }

    /// Does what can be done without waiting.
    mutating func step(_ request: [UInt8]) -> Outcome { isSent ? receive() : send(request) }

    private mutating func send(_ request: [UInt8]) -> Outcome {
        var number: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &number, &size)
        if number != 0 { return .failed("connect: \(Self.text(number))") }
        while sent < request.count {
            let count = request[sent...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                return errno == EAGAIN || errno == EINTR ? .goesOn : .failed("send: \(Self.text(errno))")
            }
            sent += count
        }
        isSent = true
        return .goesOn
    }

    private mutating func receive() -> Outcome {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 {
                return errno == EAGAIN || errno == EINTR ? .goesOn : .failed("receive: \(Self.text(errno))")
            }
            if mode == .udp { return count > 0 ? .answered : .failed("an empty answer") }
            if count == 0 {
                // With a connection for each request the server has the last word; wait for it, so that the
                // port is free again at this end.
                if isComplete { return verdict }
                return .failed(
                    "the server ended the connection \(answer.isEmpty ? "without" : "in the") answer")
            }
            answer += buffer[..<count]
            if mode == .keepAlive, isComplete { return verdict }
        }
    }

    private var verdict: Outcome {
        answer.starts(with: Array("HTTP/1.1 200 ".utf8))
            ? .answered
            : .failed("an answer other than 200: \(String(decoding: answer.prefix(12), as: UTF8.self))")
    }

    /// Whether head and body are there: the body is as long as `content-length` says.
    private var isComplete: Bool {
        let end = Array("\r\n\r\n".utf8)
        guard answer.count >= end.count,
            let split = (0...(answer.count - end.count)).first(where: { answer[$0...].starts(with: end) })
        else { return false }
        let head = String(decoding: answer[..<split], as: UTF8.self).lowercased()
        let field = "content-length: "
        guard
            let line = head.split(whereSeparator: \.isNewline).first(where: { $0.hasPrefix(field) }),
            let length = Int(line.dropFirst(field.count))
        else { return false }
        return answer.count >= split + end.count + length
    }
}

/// SIGTERM or SIGINT: begin nothing new.
enum StopSignal {
    private static let flag = Atomic(false)

    static var isRaised: Bool { flag.load(ordering: .relaxed) }

    static func install() {
        for number in [SIGTERM, SIGINT] {
            signal(number) { _ in StopSignal.flag.store(true, ordering: .relaxed) }
        }
    }
}
