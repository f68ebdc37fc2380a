import Glibc

/// How requests use connections.
enum Mode: String {
    case new
    case keepAlive = "keep-alive"
    case udp
}

/// Whom to ask.
struct Target {
    private var address = sockaddr_in()

    init?(_ text: String, _ port: UInt16) {
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard inet_pton(AF_INET, text, &address.sin_addr) == 1 else { return nil }
    }

    /// Starts connecting; 0 or an error number.
    func connect(_ descriptor: Int32) -> Int32 {
        var address = address
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        return result == 0 || errno == EINPROGRESS ? 0 : errno
    }
}

/// Nanoseconds that only ever go up.
func monotonic() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// What became of the requests.
struct Tally {
    private(set) var requests = 0
    private(set) var failed = 0
    /// How many took so many tenths of a millisecond; the last one holds all that took longer.
    private var histogram = [Int](repeating: 0, count: 100_001)

    mutating func begin() { requests += 1 }

    mutating func succeed(after nanoseconds: UInt64) {
        histogram[min(Int(nanoseconds / 100_000), histogram.count - 1)] += 1
    }

    /// Tells when the attempt began: what happened then is the cause, however long it was waited for.
    mutating func fail(_ reason: String, port: UInt16 = 0, after nanoseconds: UInt64 = 0) {
        failed += 1
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = time.tv_sec * 1000 + time.tv_nsec / 1_000_000
        print("failure \(now - Int(nanoseconds / 1_000_000)) \(port) \(reason)")
    }

    /// The latency below which a part of the successes lies, in milliseconds.
    func latencies(_ part: Double) -> Double {
        let total = histogram.reduce(0, +)
        var left = max(1, Int((Double(total) * part).rounded(.up)))
        for (tenths, count) in histogram.enumerated() {
            left -= count
            if left <= 0 { return Double(tenths + 1) / 10 }
        }
        return .nan
    }
}

/// Begins attempts at their times and follows each to its end; one thread, nothing waits for anything else.
struct Load {
    private(set) var tally = Tally()
    private let target: Target
    private let mode: Mode
    private let request: [UInt8]
    private let interval: Double
    private let count: Int
    private var attempts: [Attempt] = []
    private var polls: [pollfd] = []
    /// Kept connections that wait for their next request; the one used last is used first.
    private var idle: [Int32] = []

    /// After so many nanoseconds an attempt has failed.
    private let patience: UInt64

    init(target: Target, mode: Mode, path: String, interval: Double, count: Int, patience: Double) {
        self.target = target
        self.mode = mode
        self.interval = interval
        self.count = count
        self.patience = UInt64(patience * 1e9)
        let connection = mode == .new ? "Connection: close\r\n" : ""
        request = Array("GET \(path) HTTP/1.1\r\nHost: web\r\n\(connection)\r\n".utf8)
    }

    mutating func run() {
        let begin = monotonic()
        while true {
            let now = monotonic()
            while tally.requests < count, !StopSignal.isRaised, due(begin) <= now { start(now) }
            if attempts.isEmpty, tally.requests >= count || StopSignal.isRaised { break }
            expire(now)
            wait(until: tally.requests < count && !StopSignal.isRaised ? due(begin) : now + 100_000_000)
        }
        for descriptor in idle { close(descriptor) }
    }

    private func due(_ begin: UInt64) -> UInt64 { begin + UInt64(Double(tally.requests) * interval) }

    private mutating func start(_ now: UInt64) {
        tally.begin()
        if let kept = takeIdle() {
            add(Attempt(kept, isReused: true, mode: mode, begin: now))
            return
        }
        let kind = (mode == .udp ? SOCK_DGRAM : SOCK_STREAM).rawValue
        let descriptor = socket(
            AF_INET, Int32(kind | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            tally.fail("no socket: \(Attempt.text(errno))")
            return
        }
        if mode != .udp {
            var one: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        }
        let error = target.connect(descriptor)
        guard error == 0 else {
            tally.fail("connect: \(Attempt.text(error))")
            close(descriptor)
            return
        }
        add(Attempt(descriptor, isReused: false, mode: mode, begin: now))
    }

    /// A kept connection that the server has not ended, as far as one can know.
    private mutating func takeIdle() -> Int32? {
        while mode == .keepAlive, let kept = idle.popLast() {
            var look = pollfd(fd: kept, events: Int16(POLLIN), revents: 0)
            if poll(&look, 1, 0) == 0 { return kept }
            close(kept)
        }
        return nil
    }

    private mutating func add(_ attempt: Attempt) {
        attempts.append(attempt)
        polls.append(pollfd(fd: attempt.descriptor, events: Int16(POLLOUT), revents: 0))
    }

    private mutating func expire(_ now: UInt64) {
        for index in attempts.indices.reversed() where now > attempts[index].begin + patience {
            finish(index, .failed("no answer in time, \(attempts[index].stage)"), now)
        }
    }

    private mutating func wait(until time: UInt64) {
        let now = monotonic()
        let pause = time > now ? Int32(min((time - now + 999_999) / 1_000_000, 100)) : 0
        guard poll(&polls, nfds_t(polls.count), pause) > 0 else { return }
        let after = monotonic()
        for index in attempts.indices.reversed() where polls[index].revents != 0 {
            let outcome = attempts[index].step(request)
            if outcome == .goesOn {
                polls[index].events = Int16(attempts[index].isSent ? POLLIN : POLLOUT)
            } else {
                finish(index, outcome, after)
            }
        }
    }

    private mutating func finish(_ index: Int, _ outcome: Attempt.Outcome, _ now: UInt64) {
        let attempt = attempts[index]
        let last = attempts.count - 1
        attempts.swapAt(index, last)
        polls.swapAt(index, last)
        attempts.removeLast()
        polls.removeLast()
        switch outcome {
        case .answered where mode == .keepAlive:
            idle.append(attempt.descriptor)
            tally.succeed(after: now - attempt.begin)
        case .answered, .goesOn:
            close(attempt.descriptor)
            tally.succeed(after: now - attempt.begin)
        case .failed(let reason):
            let port = attempt.port
            close(attempt.descriptor)
            tally.fail(
                attempt.isReused ? "\(reason), on a kept connection" : reason, port: port,
                after: now - attempt.begin)
        }
    }
}
