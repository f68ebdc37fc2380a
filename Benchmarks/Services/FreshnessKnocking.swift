import BenchmarkSupport
import Dispatch
import Glibc
import Netlink

/// Knocks at an address until the outcome is the one that is waited for.
///
/// On a thread of its own, as the other end is: they block, and the threads that tasks run on are only as many as the
/// machine has cores. There is a pause between knocks, so that what is measured has a core to run on too.
struct Knocking: Sendable {
    enum Outcome: Sendable { case answered, refused }

    /// Between knocks, in nanoseconds.
    private static let pause = 200_000

    private let outcome: AsyncStream<ContinuousClock.Instant>

    init(_ address: String, until outcome: Outcome) {
        let (stream, continuation) = AsyncStream.makeStream(of: ContinuousClock.Instant.self)
        self.outcome = stream
        DispatchQueue(label: "knocking").async {
            var lastAnswer = ContinuousClock.now
            while true {
                let sent = ContinuousClock.now
                let isAnswered = Knock.connects(address, 80)
                switch (outcome, isAnswered) {
                case (.answered, true):
                    continuation.yield(ContinuousClock.now)
                    return continuation.finish()
                case (.refused, false):
                    continuation.yield(lastAnswer)
                    return continuation.finish()
                case (.refused, true): lastAnswer = sent
                case (.answered, false): break
                }
                var pause = timespec(tv_sec: 0, tv_nsec: Self.pause)
                nanosleep(&pause, nil)
            }
        }
    }

    /// When the first connection was there, or when the last one was begun.
    func end() async -> ContinuousClock.Instant {
        for await instant in outcome { return instant }
        return ContinuousClock.now
    }
}

enum Knock {
    /// Accepts connections and closes them.
    struct Listener {
        fileprivate let descriptor: Int32

        func close() {
            shutdown(descriptor, Int32(SHUT_RDWR))
            Glibc.close(descriptor)
        }
    }

    static func listen(_ address: String, _ port: UInt16) throws -> Listener {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        guard let target = IPAddress(address), withAddress(target, port, { bind(descriptor, $0, $1) }) == 0,
            Glibc.listen(descriptor, 4096) == 0
        else { throw Command.Failure(description: "cannot listen at \(address)") }
        // Ends when the socket is closed.
        DispatchQueue(label: "listener").async {
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0 { return }
                close(connection)
            }
        }
        return Listener(descriptor: descriptor)
    }

    static func connects(_ address: String, _ port: UInt16) -> Bool {
        guard let target = IPAddress(address) else { return false }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        // Without TIME_WAIT: thousands of connections a second to one address.
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        return withAddress(target, port) { connect(descriptor, $0, $1) } == 0
    }
}
