import Logging
import Synchronization

/// Carries one query to another server and its answer back.
package protocol UpstreamTransport: Sendable {
    /// By UDP, and by TCP if the answer does not fit. Fails when there is no answer; may wait for ever, and ends
    /// when the task is cancelled.
    func exchange(_ query: Query, with server: ListenAddress) async throws -> Response
}

/// A group of servers that know the same names: asks one after the other until one answers, and keeps an eye
/// on those that do not.
package final class Upstreams: Sendable {
    private let pool = Mutex(UpstreamPool())
    private let transport: any UpstreamTransport
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let timing: ForwardTiming
    private let loops: LoopDetector
    /// What was sent to find out about loops since the servers last changed.
    private let tokens = Mutex<[Question]>([])
    private let metrics: ForwardMetrics?
    private let chores: AsyncStream<Chore>
    private let add: AsyncStream<Chore>.Continuation

    /// What is done beside answering.
    private enum Chore: Sendable {
        /// Ask a server that did not answer until it does.
        case watch(ListenAddress)
        /// Find out whether a server forwards to us.
        case checkForLoop(ListenAddress)
    }

    /// How often the list of servers is gone through.
    private static let rounds = 2

    package init(
        transport: any UpstreamTransport, loops: LoopDetector, timing: ForwardTiming = ForwardTiming(),
        clock: any Clock<Duration>, logger: Logger, metrics: ForwardMetrics? = nil
    ) {
        self.timing = timing
        self.transport = transport
        self.loops = loops
        self.clock = clock
        self.logger = logger
        self.metrics = metrics
        (chores, add) = AsyncStream.makeStream()
    }

    /// Takes the servers to ask from now on.
    package func setServers(_ servers: [ListenAddress]) {
        for token in tokens.withLock({ tokens in
            defer { tokens = [] }
            return tokens
        }) { loops.end(token) }
        pool.withLock { $0.setServers(servers) }
        for server in servers { add.yield(.checkForLoop(server)) }
    }

    package var servers: [ListenAddress] { pool.withLock { $0.servers } }

    /// Whether no server is expected to answer.
    package var isDown: Bool { pool.withLock { $0.isDown } }

    /// Why nobody has an answer, for people.
    package var trouble: String {
        let servers = servers
        if servers.isEmpty { return "there is no server to ask" }
        return servers.map { "\($0)" }.joined(separator: ", ")
            + (isDown ? " do not answer" : " had no answer")
    }

    /// SERVFAIL if nobody answers in time.
    package func resolve(_ question: Question, within limit: Duration) async -> Answer {
        if servers.isEmpty {
            logger.debug(
                "no server to forward to: the resolver file names none",
                metadata: ["name": "\(question.name)", "type": "\(question.type)"])
            return Answer(code: .serverFailure)
        }
        let answer = try? await withDeadline(limit) { [self] in await askAll(question) }
        return answer ?? Answer(code: .serverFailure)
    }

    private func askAll(_ question: Question) async -> Answer {
        // None is expected to answer: whoever asks is told so soon, and asks again.
        let isDown = isDown
        if isDown { metrics?.broken.increment() }
        for _ in 0..<(isDown ? 1 : Self.rounds) {
            var generator = SystemRandomNumberGenerator()
            for server in pool.withLock({ $0.order(using: &generator) }) {
                if Task.isCancelled { break }
                guard
                    let answer = await ask(question, server, isDown ? timing.serverThatIsDown : timing.server)
                else { continue }
                return answer
            }
        }
        return Answer(code: .serverFailure)
    }

    /// Nil if the server has no answer; a neighbour may have one.
    private func ask(_ question: Question, _ server: ListenAddress, _ limit: Duration) async -> Answer? {
        let start = ContinuousClock.now
        do {
            let response = try await exchange(
                question, server,
                Query.Extensions(
                    payloadSize: Query.largestDatagram,
                    wantsDNSSEC: question.validation.contains(.signatures)), within: limit)
            if pool.withLock({ $0.answered(server) }) {
                logger.notice("a DNS server answers again", metadata: ["server": "\(server)"])
            }
            metrics?.answered(server, response.answer.code, took: ContinuousClock.now - start)
            switch response.answer.code {
            case .noError, .nameError: return response.answer
            case .formatError, .notImplemented:
                // RFC 6891, 7: a server that does not know EDNS.
                let plain = try await exchange(question, server, nil, within: limit).answer
                return plain.code == .noError || plain.code == .nameError ? plain : nil
            default: return nil
            }
        } catch {
            // Whoever waited for us has gone; that says nothing about the server.
            if Task.isCancelled { return nil }
            logger.debug(
                "a server did not answer",
                metadata: ["server": "\(server)", "name": "\(question.name)", "error": "\(error)"])
            if pool.withLock({ $0.failed(server) }) { add.yield(.watch(server)) }
            return nil
        }
    }

    private func exchange(
        _ question: Question, _ server: ListenAddress, _ extensions: Query.Extensions?,
        within limit: Duration
    ) async throws -> Response {
        var query = Query(
            id: .random(in: 0...UInt16.max), question: question,
            checkingDisabled: question.validation.contains(.unchecked), extensions: extensions)
        query.wantsAuthentication = extensions != nil
        return try await withDeadline(limit) { [transport, query] in
            try await transport.exchange(query, with: server)
        }
    }

    private struct TimedOut: Error, CustomStringConvertible {
        var limit: Duration
        var description: String { "no answer within \(limit)" }
    }

    private func withDeadline<Value: Sendable>(
        _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask(operation: body)
            group.addTask { [clock] in
                try await clock.sleep(for: limit)
                throw TimedOut(limit: limit)
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw TimedOut(limit: limit) }
            return value
        }
    }

    // MARK: Beside answering

    /// Looks after the servers until the task is cancelled. To be called once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await chore in chores {
                group.addTask { [self] in
                    switch chore {
                    case .watch(let server): await watch(server)
                    case .checkForLoop(let server): await checkForLoop(server)
                    }
                }
            }
        }
    }

    private func watch(_ server: ListenAddress) async {
        let question = Question(name: .root, type: .ns)
        while pool.withLock({ $0.isBeingChecked(server) }) {
            do {
                // Whatever it says, it is there.
                _ = try await exchange(question, server, nil, within: timing.check)
                if pool.withLock({ $0.answered(server) }) {
                    logger.notice("a DNS server answers again", metadata: ["server": "\(server)"])
                }
                return
            } catch {
                if Task.isCancelled { return }
                metrics?.checkFailed(server)
                if pool.withLock({ $0.failedCheck(server) }) {
                    logger.warning(
                        "a DNS server does not answer; others are asked until it does",
                        metadata: ["server": "\(server)", "error": "\(error)"])
                }
            }
            do {
                try await clock.sleep(for: timing.pauseBetweenChecks)
            } catch {
                return
            }
        }
    }

    private func checkForLoop(_ server: ListenAddress) async {
        let token = loops.begin { [weak self] in self?.isLoop(server) }
        tokens.withLock { $0.append(token) }
        // The question or its answer may be lost, and the server may not be there yet.
        while tokens.withLock({ $0.contains(token) }) {
            do {
                // What it answers does not matter, only whether it asks us in turn.
                _ = try await exchange(token, server, nil, within: timing.server)
                return
            } catch {
                guard (try? await clock.sleep(for: timing.pauseBetweenChecks)) != nil else { return }
            }
        }
    }

    private func isLoop(_ server: ListenAddress) {
        guard pool.withLock({ $0.isLoop(server) }) else { return }
        logger.error(
            """
            a DNS server forwards to us what we forward to it, and is left out. Name another one in the node's \
            resolv.conf, or by --dns-upstream
            """, metadata: ["server": "\(server)"])
    }
}

/// How long things may take.
package struct ForwardTiming: Sendable {
    /// One server has for its answer.
    package var server = Duration.milliseconds(1500)
    /// It has when no server of its group is expected to answer.
    package var serverThatIsDown = Duration.milliseconds(500)
    /// It has to show that it is there.
    package var check = Duration.seconds(1)
    /// All servers together have: a client waits five seconds (resolv.conf(5): `timeout`).
    package var all = Duration.milliseconds(4500)
    /// They have when there is a stale answer to give (RFC 8767, 5).
    package var allWithStaleAnswer = Duration.milliseconds(1800)
    /// Between two checks of a server that is down.
    package var pauseBetweenChecks = Duration.milliseconds(500)

    package init() {}
}
