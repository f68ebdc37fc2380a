import ClusterDNS
import Glibc
import HostileInput
import Logging
import Synchronization
import Testing

/// Other servers, as the test says that they are.
private final class ScriptedServers: UpstreamTransport {
    struct Down: Error {}

    private struct State {
        var answers: [ListenAddress: ResponseCode?] = [:]
        var asked: [(server: ListenAddress, query: Query)] = []
        /// Resumed for each query that comes.
        var held: [CheckedContinuation<Void, Never>] = []
        var holds = false
        /// Servers that answer checks only.
        var deaf: Set<ListenAddress> = []
        var checks = 0
        var checkWaiters: [(count: Int, CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())
    /// Queries that came, also those that are held.
    let arrivals: AsyncStream<ListenAddress>
    private let report: AsyncStream<ListenAddress>.Continuation

    init() { (arrivals, report) = AsyncStream.makeStream() }

    /// Nil: it does not answer.
    func set(_ server: ListenAddress, _ code: ResponseCode?) {
        state.withLock { $0.answers[server] = .some(code) }
    }

    /// From now on this one answers nothing but checks.
    func failQuestions(of server: ListenAddress) { _ = state.withLock { $0.deaf.insert(server) } }

    /// Returns when so many checks were answered.
    func waitForChecks(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isDone = state.withLock { state in
                if state.checks < count { state.checkWaiters.append((count, continuation)) }
                return state.checks >= count
            }
            if isDone { continuation.resume() }
        }
    }

    private func countCheck() {
        let done = state.withLock { state in
            state.checks += 1
            let done = state.checkWaiters.filter { $0.count <= state.checks }
            state.checkWaiters.removeAll { $0.count <= state.checks }
            return done
        }
        for waiter in done { waiter.1.resume() }
    }

    /// Queries wait until `release`.
    func hold() { state.withLock { $0.holds = true } }

    func release() {
        let held = state.withLock { state in
            state.holds = false
            defer { state.held = [] }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }

    /// Questions for names, without checks of servers.
    var asked: [ListenAddress] {
        state.withLock { state in
            state.asked.filter { $0.query.question.name != .root && $0.query.question.type == .a }.map(
                \.server)
        }
    }

    /// Everything that came, in order.
    var queries: [Query] { state.withLock { $0.asked.map(\.query) } }

    func exchange(_ query: Query, with server: ListenAddress) async throws -> Response {
        if query.question.type == .a { report.yield(server) }
        await withCheckedContinuation { continuation in
            let waits = state.withLock { state in
                state.asked.append((server, query))
                guard state.holds else { return false }
                state.held.append(continuation)
                return true
            }
            if !waits { continuation.resume() }
        }
        let isCheck = query.question.name == .root
        if !isCheck, state.withLock({ $0.deaf.contains(server) }) { throw Down() }
        guard let code = state.withLock({ $0.answers[server] ?? .noError }) else { throw Down() }
        defer { if isCheck { countCheck() } }
        let record = ResourceRecord(
            name: query.question.name, timeToLive: 60, data: .address(.v4(UInt32(server.port))))
        let answer = Answer(code: code, answers: code == .noError ? [record] : [])
        return try Response(reading: query.response(answer, limit: 1232))
    }
}

/// A server that forwards everything back, but for the first queries, which are lost.
private final class LossyMirror: UpstreamTransport {
    let loops = LoopDetector()
    private let lost: Mutex<Int>

    init(losing lost: Int) { self.lost = Mutex(lost) }

    func exchange(_ query: Query, with server: ListenAddress) async throws -> Response {
        let isLost = lost.withLock { lost in
            lost -= 1
            return lost >= 0
        }
        if isLost { throw ScriptedServers.Down() }
        guard case .answer(let answer) = loops.resolve(query.question) else { throw ScriptedServers.Down() }
        return try Response(reading: query.response(answer, limit: 1232))
    }
}

@Suite struct ForwardingTests {
    private let first = ListenAddress(address: .v4(0xc000_0201), port: 1)
    private let second = ListenAddress(address: .v4(0xc000_0201), port: 2)

    private func question(_ text: String = "example.com") throws -> Question {
        Question(name: try name(text), type: .a)
    }

    private func upstreams(
        _ servers: ScriptedServers, _ addresses: [ListenAddress], logger: Logger = Logger(label: "test")
    ) -> Upstreams {
        let upstreams = Upstreams(
            transport: servers, loops: LoopDetector(), timing: .unhurried, clock: ContinuousClock(),
            logger: logger)
        upstreams.setServers(addresses)
        return upstreams
    }

    private func server(of answer: Answer) -> UInt32? {
        for case .address(.v4(let number)) in answer.answers.map(\.data) { return number }
        return nil
    }

    @Test func theLoadSpreads() async throws {
        let servers = ScriptedServers()
        let upstreams = upstreams(servers, [first, second])
        for _ in 0..<200 {
            #expect(await upstreams.resolve(try question(), within: .seconds(600)).code == .noError)
        }
        #expect(servers.asked.count { $0 == first } > 50)
        #expect(servers.asked.count { $0 == second } > 50)
    }

    @Test func oneThatFailsHasANeighbour() async throws {
        let servers = ScriptedServers()
        let upstreams = upstreams(servers, [first, second])
        for code in [ResponseCode.serverFailure, .refused, nil] {
            servers.set(first, code)
            for _ in 0..<20 {
                let answer = await upstreams.resolve(try question(), within: .seconds(600))
                #expect(server(of: answer) == 2, "\(code as Any)")
            }
        }
        servers.set(first, .nameError)
        servers.set(second, .nameError)
        #expect(await upstreams.resolve(try question(), within: .seconds(600)).code == .nameError)
    }

    @Test func oneThatIsDownIsLeftAloneUntilItIsBack() async throws {
        let servers = ScriptedServers()
        let log = LogStream()
        let upstreams = upstreams(servers, [first, second], logger: log.logger)
        let asked = try question()
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await upstreams.run() }
            servers.set(first, nil)
            // Enough for one failure; then checks decide.
            for _ in 0..<40 { _ = await upstreams.resolve(asked, within: .seconds(600)) }
            await log.wait(for: "a DNS server does not answer")
            let before = servers.asked.count { $0 == first }
            #expect(before >= 1)
            for _ in 0..<20 { _ = await upstreams.resolve(asked, within: .seconds(600)) }
            #expect(servers.asked.count { $0 == first } == before)
            #expect(!upstreams.isDown)
            servers.set(second, nil)
            _ = await upstreams.resolve(asked, within: .seconds(600))
            await log.wait(for: "a DNS server does not answer")
            #expect(upstreams.isDown)
            // The checks find them back.
            servers.set(first, .noError)
            servers.set(second, .refused)
            await log.wait(for: "a DNS server answers again")
            #expect(!upstreams.isDown)
            tasks.cancelAll()
        }
    }

    /// A domain for which it has to wait for others says nothing about the server.
    @Test func aServerThatAnswersChecksIsNotDown() async throws {
        let servers = ScriptedServers()
        let upstreams = upstreams(servers, [first])
        let asked = try question()
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await upstreams.run() }
            servers.failQuestions(of: first)
            for _ in 0..<5 {
                #expect(await upstreams.resolve(asked, within: .seconds(600)).code == .serverFailure)
                #expect(!upstreams.isDown)
            }
            // The failures led to a check, which is answered.
            await servers.waitForChecks(1)
            #expect(!upstreams.isDown)
            tasks.cancelAll()
        }
    }

    /// One domain's silence keeps nobody else waiting.
    @Test func aDomainHasOnlySoManyQuestionsUnderWay() async throws {
        let (slow, quick) = (ScriptedServers(), ScriptedServers())
        let (forwarder, _) = forwarder(
            upstreams(quick, [first]), stubs: [try name("dead.example"): upstreams(slow, [second])],
            now: { .zero })
        slow.hold()
        await withTaskGroup(of: Void.self) { tasks in
            for number in 0..<Forwarder.mostOfOneDomain {
                tasks.addTask {
                    guard let name = DNSName("n\(number).dead.example") else { return }
                    _ = await forwarder.answer(Question(name: name, type: .a))
                }
            }
            var waiting = 0
            for await _ in slow.arrivals {
                waiting += 1
                if waiting == Forwarder.mostOfOneDomain { break }
            }
            if let more = DNSName("more.dead.example"), let well = DNSName("well.example") {
                #expect(await forwarder.answer(Question(name: more, type: .a)).code == .refused)
                #expect(await forwarder.answer(Question(name: well, type: .a)).code == .noError)
            }
            slow.release()
        }
    }

    @Test func withoutServersTheAnswerIsAFailure() async throws {
        let answer = await upstreams(ScriptedServers(), []).resolve(try question(), within: .seconds(600))
        #expect(answer.code == .serverFailure)
    }

    /// A loop is found even when the first questions that could tell of it are lost.
    @Test func lostChecksForLoopsAreRepeated() async throws {
        let mirror = LossyMirror(losing: 2)
        let log = LogStream()
        let upstreams = Upstreams(
            transport: mirror, loops: mirror.loops, timing: .unhurried, clock: ContinuousClock(),
            logger: log.logger)
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await upstreams.run() }
            upstreams.setServers([first])
            await log.wait(for: "forwards to us what we forward to it")
            tasks.cancelAll()
        }
        #expect(upstreams.isDown)
    }

    // MARK: The forwarder

    private func forwarder(
        _ upstreams: Upstreams, stubs: [DNSName: Upstreams] = [:], now: @escaping @Sendable () -> Duration
    ) -> (Forwarder, CacheResolver) {
        let cache = CacheResolver(now: now)
        return (Forwarder(cache: cache, upstreams: upstreams, stubDomains: stubs, timing: .unhurried), cache)
    }

    @Test func whoAsksAtTheSameTimeGetsTheSameAnswer() async throws {
        let servers = ScriptedServers()
        let (forwarder, cache) = forwarder(upstreams(servers, [first]), now: { .zero })
        servers.hold()
        let (a, b) = try (question("Example.com"), question("EXAMPLE.com"))
        async let one = forwarder.answer(a)
        async let two = forwarder.answer(b)
        for await _ in servers.arrivals { break }
        servers.release()
        let names = await [one, two].map { $0.answers.first?.name }
        #expect(names == [a.name, b.name])
        #expect(servers.asked.count <= 2)
        // And is kept.
        #expect(cache.resolve(a) != .pass)
    }

    @Test func stubDomainsHaveServersOfTheirOwn() async throws {
        let servers = ScriptedServers()
        let stub = upstreams(servers, [second])
        let domain = try name("Corp.example")
        let (forwarder, _) = forwarder(upstreams(servers, [first]), stubs: [domain: stub], now: { .zero })
        #expect(server(of: await forwarder.answer(try question("wiki.corp.EXAMPLE"))) == 2)
        #expect(server(of: await forwarder.answer(try question("corp.example"))) == 2)
        #expect(server(of: await forwarder.answer(try question("notcorp.example"))) == 1)
        #expect(server(of: await forwarder.answer(try question("example"))) == 1)
    }

    @Test func whileNobodyAnswersStaleAnswersDo() async throws {
        let servers = ScriptedServers()
        let time = Mutex(Duration.zero)
        let upstreams = upstreams(servers, [first])
        let (forwarder, cache) = forwarder(upstreams, now: { time.withLock { $0 } })
        let asked = try question()
        #expect(await forwarder.answer(asked).code == .noError)
        time.withLock { $0 = .seconds(61) }
        #expect(cache.resolve(asked) == .pass)
        servers.set(first, nil)
        for _ in 0..<4 {
            let answer = await forwarder.answer(asked)
            #expect(answer.answers.map(\.timeToLive) == [30])
        }
        #expect(await forwarder.answer(try question("other.example.com")).code == .serverFailure)
        time.withLock { $0 = .seconds(3600 + 60) }
        #expect(await forwarder.answer(asked).code == .serverFailure)
    }

    // MARK: The resolver file

    /// Seen halfway, a file that is written anew says nothing; names must not fail for that.
    @Test func aResolverFileThatIsBeingWrittenSaysNothing() throws {
        let folder = try temporaryFolder()
        defer { removeFolder(folder) }
        let path = "\(folder)/resolv.conf"
        #expect(ResolverFile.written(path) == nil)
        try write("", to: path)
        #expect(ResolverFile.written(path) == nil)
        try write("\n", to: path)
        #expect(ResolverFile.written(path) == nil)
        try write("# no servers\n", to: path)
        #expect(ResolverFile.written(path) == ResolverFile())
    }

    /// DO and CD go along, in the cache as well; that signatures were checked comes back to those who ask.
    @Test func wishesAboutSignaturesReachOtherServers() async throws {
        let servers = ScriptedServers()
        let cache = CacheResolver(now: { .zero })
        let forwarder = Forwarder(
            cache: cache, upstreams: upstreams(servers, [first]), timing: .unhurried)
        var plain = try query("signed.example")
        plain.extensions = Query.Extensions(payloadSize: 1232, wantsDNSSEC: false)
        var signed = plain
        signed.extensions?.wantsDNSSEC = true
        var unchecked = signed
        unchecked.checkingDisabled = true
        for query in [plain, signed, unchecked] {
            #expect(cache.resolve(query.forwardedQuestion) == .pass)
            var answer = await forwarder.answer(query.forwardedQuestion)
            guard case .answer = cache.resolve(query.forwardedQuestion) else {
                Issue.record("\(query) is not kept")
                continue
            }
            let sent = try #require(servers.queries.last)
            #expect(sent.extensions?.wantsDNSSEC == query.extensions?.wantsDNSSEC)
            #expect(sent.checkingDisabled == query.checkingDisabled)
            answer.isAuthenticated = true
            let reply = try Response(reading: query.response(answer, limit: 1232))
            #expect(reply.answer.isAuthenticated == query.extensions?.wantsDNSSEC)
        }
        // Behind an alias of ours the whole is not checked.
        var checked = Answer()
        checked.isAuthenticated = true
        #expect(!Answer(isAuthoritative: true).followed(by: checked).isAuthenticated)
    }

    /// RFC 4007, 11: routers announce themselves as DNS servers with such addresses.
    @Test func linkLocalServersHaveAScope() throws {
        let loopback = if_nametoindex("lo")
        try #require(loopback != 0)
        let file = ResolverFile(
            parsing: "nameserver fe80::1%lo\nnameserver fe80::2%7\nnameserver fe80::3%absent0")
        #expect(file.servers.map(\.description) == ["[fe80::1%\(loopback)]:53", "[fe80::2%7]:53"])
        #expect(
            try ListenAddress("[fe80::1%lo]:5353")
                == ListenAddress(address: address("fe80::1"), port: 5353, scope: loopback))
        #expect(ListenAddress("192.0.2.1%lo") == nil)
    }

    @Test func resolverFiles() throws {
        let text = """
            # nameserver 192.0.2.9
            search example.com
            nameserver 192.0.2.1
            nameserver\t2001:db8::1  # second
            nameserver 192.0.2.1
            nameserver
            nameserver nonsense
            options ndots:5
            search Corp.example . lab.example
            """
        let file = ResolverFile(parsing: text)
        #expect(try file.servers.map(\.address) == [address("192.0.2.1"), address("2001:db8::1")])
        #expect(try file.searches == [name("corp.example"), name("lab.example")])
        #expect(ResolverFile(parsing: "") == ResolverFile())
        #expect(ResolverFile(path: "/nonexistent/resolv.conf") == ResolverFile())
    }
}
