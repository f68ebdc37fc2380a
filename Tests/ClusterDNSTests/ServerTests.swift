import ClusterDNS
import Glibc
import HostileInput
import Logging
import Telemetry
import Testing

/// Real sockets, on loopback.
@Suite struct ServerTests {
    @Test func answersByDatagramAndStream() async throws {
        try await withServer { server, port in
            let query = try query("web.default.svc.cluster.local", id: 77)
            for socket in try [LoopbackSocket(datagram: port), LoopbackSocket(stream: port)] {
                let response = try Response(reading: await socket.ask(query.message()))
                #expect(response.answers(query))
                #expect(
                    response.answer.answers.map(\.text) == ["web.default.svc.cluster.local. A 10.96.12.34"])
            }
        }
    }

    @Test func changesAreThereForTheNextQuery() async throws {
        try await withServer { server, port in
            let socket = try LoopbackSocket(datagram: port)
            let query = try query("new.default.svc.cluster.local")
            for round in 0..<100 {
                let address = HostAddress.v4(0x0a60_0100 + UInt32(round))
                server.update {
                    $0.setService(
                        ServiceDescription(kind: .addressed([address])), namespace: "default", name: "new")
                }
                let response = try Response(reading: await socket.ask(query.message()))
                #expect(response.answer.answers.map(\.data) == [.address(address)])
                server.update { $0.setService(nil, namespace: "default", name: "new") }
                let gone = try Response(reading: await socket.ask(query.message()))
                #expect(gone.answer.code == .nameError)
            }
        }
    }

    @Test func severalQueriesOnOneConnection() async throws {
        try await withServer { _, port in
            let socket = try LoopbackSocket(stream: port)
            let queries = try (0..<50).map { try query("web.default.svc.cluster.local", id: UInt16($0)) }
            var stream: [UInt8] = []
            for query in queries {
                let message = query.message()
                stream += [UInt8(message.count >> 8), UInt8(message.count & 0xff)] + message
            }
            // In pieces that end anywhere.
            for start in Swift.stride(from: 0, to: stream.count, by: 13) {
                try socket.send(Array(stream[start..<min(start + 13, stream.count)]))
            }
            for query in queries {
                #expect(try Response(reading: await socket.receiveFrame()).answers(query))
            }
        }
    }

    /// RFC 1035, 4.2.2: a client that has said all still waits for its answers.
    @Test func aClientThatHasSaidAllGetsItsAnswers() async throws {
        try await withServer(loopback(domain: "example.com")) { outside, outsidePort in
            outside.update {
                $0.setService(
                    ServiceDescription(kind: .addressed([.v4(0xc000_0201)])), namespace: "a", name: "b")
            }
            let upstream = ListenAddress(address: .v4(0x7f00_0001), port: outsidePort)
            try await withServer(loopback(upstreams: [upstream])) { _, port in
                let socket = try LoopbackSocket(stream: port)
                let queries = try [
                    query("b.a.svc.example.com", id: 1), query("web.default.svc.cluster.local", id: 2),
                ]
                for message in queries.map({ $0.message() }) {
                    try socket.send([UInt8(message.count >> 8), UInt8(message.count & 0xff)] + message)
                }
                socket.endSending()
                var ids: Set<UInt16> = []
                for _ in queries { ids.insert(try await Response(reading: socket.receiveFrame()).id) }
                #expect(ids == [1, 2])
                await #expect(throws: LoopbackSocket.Failure.self) { try await socket.receiveFrame() }
            }
        }
    }

    /// A headless Service of a thousand endpoints: more than a datagram holds.
    private static func addBigService(_ zone: inout ClusterZone) {
        zone.setService(
            ServiceDescription(kind: .headless(publishNotReady: false)), namespace: "default", name: "big")
        let endpoints = (0..<1000).map { SliceDescription.Endpoint(address: .v4(0x0af4_0000 + $0)) }
        zone.setSlice(
            SliceDescription(endpoints: endpoints, ports: []), named: "big-1", service: "big",
            namespace: "default")
    }

    @Test func longAnswersComeByStream() async throws {
        try await withServer { server, port in
            server.update(Self.addBigService)
            let query = try query("big.default.svc.cluster.local")
            let short = try Response(reading: await LoopbackSocket(datagram: port).ask(query.message()))
            #expect(short.isTruncated)
            let whole = try Response(reading: await LoopbackSocket(stream: port).ask(query.message()))
            #expect(!whole.isTruncated)
            #expect(whole.answer.answers.count == 1000)
        }
    }

    /// The second server plays the part of the world outside.
    @Test func otherNamesComeFromOtherServers() async throws {
        try await withServer(loopback(domain: "example.com")) { outside, outsidePort in
            outside.update {
                $0.setService(
                    ServiceDescription(kind: .addressed([.v4(0xc000_0201)])), namespace: "a", name: "b")
                $0.setService(
                    ServiceDescription(kind: .headless(publishNotReady: false)), namespace: "a", name: "big")
                let endpoints = (0..<200).map { SliceDescription.Endpoint(address: .v4(0xc000_0200 + $0)) }
                $0.setSlice(
                    SliceDescription(endpoints: endpoints, ports: []), named: "x", service: "big",
                    namespace: "a")
            }
            let upstream = ListenAddress(address: .v4(0x7f00_0001), port: outsidePort)
            try await withServer(loopback(upstreams: [upstream])) { server, port in
                server.update { [domain = try name("b.a.svc.example.com")] in
                    $0.setService(
                        ServiceDescription(kind: .external(domain)), namespace: "default", name: "out")
                }
                for socket in try [LoopbackSocket(datagram: port), LoopbackSocket(stream: port)] {
                    let direct = try Response(
                        reading: await socket.ask(query("b.a.svc.example.com").message()))
                    #expect(direct.answer.answers.map(\.text) == ["b.a.svc.example.com. A 192.0.2.1"])
                    let alias = try Response(
                        reading: await socket.ask(query("out.default.svc.cluster.local").message()))
                    #expect(
                        alias.answer.answers.map(\.text) == [
                            "out.default.svc.cluster.local. CNAME b.a.svc.example.com.",
                            "b.a.svc.example.com. A 192.0.2.1",
                        ])
                    let missing = try Response(
                        reading: await socket.ask(query("x.a.svc.example.com").message()))
                    #expect(missing.answer.code == .nameError)
                }
                // Too long for a datagram between the servers.
                let big = try Response(
                    reading: await LoopbackSocket(stream: port).ask(query("big.a.svc.example.com").message()))
                #expect(big.answer.answers.count == 200)
            }
        }
    }

    /// A firewall lets DNS by UDP through and nothing else: the answer that was cut is passed on.
    @Test func aServerThatIsMuteOverTCPHasAnsweredNevertheless() async throws {
        let (upstream, mute) = try serverThatIsMuteOverTCP()
        defer { withExtendedLifetime(mute) {} }
        // It is asked whether it forwards to us, too.
        async let answering: Void = upstream.answer(2) { query in
            var answer = query
            answer[2] |= 0x82
            return answer
        }
        let address = ListenAddress(address: .v4(0x7f00_0001), port: upstream.port)
        try await withServer(loopback(upstreams: [address])) { _, port in
            let query = try query("example.com")
            let response = try Response(reading: await LoopbackSocket(datagram: port).ask(query.message()))
            #expect(response.answers(query) && response.isTruncated && response.answer.code == .noError)
        }
        try await answering
    }

    private func serverThatIsMuteOverTCP() throws -> (LoopbackSocket, LoopbackSocket) {
        while true {
            let datagrams = try LoopbackSocket(listener: ())
            do {
                return (datagrams, try LoopbackSocket(mute: datagrams.port))
            } catch let failure as LoopbackSocket.Failure where failure.number == EADDRINUSE {
                continue
            }
        }
    }

    @Test func withoutOtherServersTheAnswerIsAFailure() async throws {
        try await withServer { _, port in
            let response = try Response(
                reading: await LoopbackSocket(datagram: port).ask(query("example.com").message()))
            #expect(response.answer.code == .serverFailure)
        }
    }

    @Test func nonsenseIsSurvived() async throws {
        try await withServer { _, port in
            var generator = SeededGenerator(seed: 8)
            let socket = try LoopbackSocket(datagram: port)
            for _ in 0..<500 {
                let count = Int.random(in: 0...1400, using: &generator)
                // The response bit is set, so that nothing comes back.
                var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
                if count > 2 { bytes[2] |= 0x80 }
                try socket.send(bytes)
            }
            let stream = try LoopbackSocket(stream: port)
            try stream.send([0, 3, 1, 2, 3])
            let query = try query("web.default.svc.cluster.local")
            #expect(try Response(reading: await socket.ask(query.message())).answers(query))
        }
    }

    @Test func anAddressInUseIsSaid() async throws {
        let taken = try LoopbackSocket(listener: ())
        let server = try DNSServer(
            configuration: DNSConfiguration(listen: [
                ListenAddress(address: .v4(0x7f00_0001), port: taken.port)
            ]),
            clock: ContinuousClock(), logger: Logger(label: "test"))
        await #expect(throws: DNSError.self) { try await server.bind() }
    }

    @Test(.enabled(if: access("/usr/bin/dig", X_OK) == 0))
    func digUnderstandsUs() async throws {
        try await withServer { _, port in
            @Sendable func dig(_ arguments: String) async throws -> String {
                try await offThePool {
                    try output(of: "/usr/bin/dig @127.0.0.1 -p \(port) +tries=1 \(arguments) 2>&1")
                }
            }
            #expect(try await dig("+short web.default.svc.cluster.local") == "10.96.12.34\n")
            #expect(try await dig("+short +tcp web.default.svc.cluster.local") == "10.96.12.34\n")
            #expect(try await dig("+short -x 10.96.12.34") == "web.default.svc.cluster.local.\n")
            #expect(
                try await dig("+short +search +domain=default.svc.cluster.local +ndots=5 web")
                    == "10.96.12.34\n")
            #expect(
                try await dig("+short SRV _http._tcp.web.default.svc.cluster.local")
                    == "0 100 80 web.default.svc.cluster.local.\n")
            let missing = try await dig("missing.default.svc.cluster.local")
            #expect(missing.contains("status: NXDOMAIN"))
            #expect(missing.contains("flags: qr aa rd ra;"))
            #expect(missing.contains("cluster.local.\t\t0\tIN\tSOA"))
            #expect(!missing.contains("malformed"))
            #expect(try await dig("+opcode=notify web.default.svc.cluster.local").contains("status: NOTIMP"))
            #expect(try await dig("CH TXT version.bind").contains("status: REFUSED"))
            #expect(
                try await dig("+edns=1 +noednsnegotiation web.default.svc.cluster.local").contains(
                    "status: BADVERS"))
            #expect(try await dig("AXFR cluster.local").contains("Transfer failed"))
        }
    }

    /// A search path of one round instead of three: the client is a pod.
    @Test func searchPathsAreCompleted() async throws {
        try await withServer { server, port in
            let domain = try name("default")
            let pod = PodDescription(
                uid: "1", addresses: [.v4(0x7f00_0001)], search: .standard(namespace: domain))
            server.updatePods { $0.replace(nil, with: pod) }
            for socket in try [LoopbackSocket(datagram: port), LoopbackSocket(stream: port)] {
                let response = try Response(
                    reading: await socket.ask(query("web.default.default.svc.cluster.local").message()))
                #expect(
                    response.answer.answers.map(\.text) == [
                        "web.default.default.svc.cluster.local. CNAME web.default.svc.cluster.local.",
                        "web.default.svc.cluster.local. A 10.96.12.34",
                    ])
            }
        }
        var without = try loopback()
        without.completesSearchPaths = false
        try await withServer(without) { server, port in
            let domain = try name("default")
            let pod = PodDescription(
                uid: "1", addresses: [.v4(0x7f00_0001)], search: .standard(namespace: domain))
            server.updatePods { $0.replace(nil, with: pod) }
            let response = try Response(
                reading: await LoopbackSocket(datagram: port).ask(
                    query("web.default.default.svc.cluster.local").message()))
            #expect(response.answer.code == .nameError)
        }
    }

    /// Two servers that forward to each other: each query would go round for ever. Whichever finds it out first
    /// leaves the other one out, and that ends it for both.
    @Test func loopsAreFoundAndLeftOut() async throws {
        let log = LogStream()
        try await withServer(logger: log.logger) { other, otherPort in
            await log.wait(for: "asking other servers")
            let otherAddress = ListenAddress(address: .v4(0x7f00_0001), port: otherPort)
            try await withServer(logger: log.logger) { server, port in
                await log.wait(for: "asking other servers")
                other.useServers([ListenAddress(address: .v4(0x7f00_0001), port: port)])
                server.useServers([otherAddress])
                await log.wait(for: "forwards to us what we forward to it")
                let response = try Response(
                    reading: await LoopbackSocket(datagram: port).ask(query("example.com").message()))
                #expect(response.answer.code == .serverFailure)
            }
        }
    }

    @Test func theResolverFileIsFollowed() async throws {
        let folder = try temporaryFolder()
        defer { removeFolder(folder) }
        let path = "\(folder)/resolv.conf"
        try write("nameserver 192.0.2.1\nsearch one.example\n", to: path)
        let log = LogStream()
        var configuration = try loopback()
        configuration.resolverFile = path
        try await withServer(configuration, logger: log.logger) { server, _ in
            func expect(_ servers: [String]) async throws {
                let wanted = try servers.map { ListenAddress(address: try address($0)) }
                while server.upstreamServers != wanted { await log.wait(for: "asking other servers") }
            }
            try await expect(["192.0.2.1"])
            // Written to, replaced, gone, and there again behind a link.
            try write("nameserver 192.0.2.2\n", to: path)
            try await expect(["192.0.2.2"])
            try write("nameserver 192.0.2.3\nnameserver 127.0.0.1\n", to: "\(folder)/new")
            #expect(rename("\(folder)/new", path) == 0)
            try await expect(["192.0.2.3", "127.0.0.1"])
            #expect(unlink(path) == 0)
            mkdir("\(folder)/elsewhere", 0o755)
            try write("nameserver 192.0.2.4\n", to: "\(folder)/elsewhere/real")
            #expect(symlink("\(folder)/elsewhere/real", path) == 0)
            try await expect(["192.0.2.4"])
            try write("nameserver 192.0.2.5\n", to: "\(folder)/elsewhere/real")
            try await expect(["192.0.2.5"])
        }
    }

    @Test func queriesAreCountedAndLogged() async throws {
        let log = LogStream()
        let registry = MetricRegistry()
        var configuration = try loopback()
        configuration.logsQueries = true
        try await withServer(configuration, logger: log.logger, metrics: registry) { _, port in
            let query = try query("web.default.svc.cluster.local", id: 4711)
            _ = try await LoopbackSocket(datagram: port).ask(query.message())
            let line = await log.wait(for: "web.default.svc")
            let pattern =
                #/127\.0\.0\.1:\d+ - 4711 "A IN web\.default\.svc\.cluster\.local\. udp 47 false 512" NOERROR qr,aa,rd,ra 63 0\.\d{6}s/#
            #expect(line.wholeMatch(of: pattern) != nil, "\(line)")
            _ = try await LoopbackSocket(stream: port).ask(query.message())
            await log.wait(for: "web.default.svc")
            let text = registry.text()
            let server = #"server="dns://127.0.0.1:0",zone="cluster.local.",view="""#
            for line in [
                #"coredns_dns_requests_total{\#(server),proto="udp",family="1",type="A"} 1"#,
                #"coredns_dns_requests_total{\#(server),proto="tcp",family="1",type="A"} 1"#,
                #"coredns_dns_responses_total{\#(server),rcode="NOERROR",plugin="cluster"} 2"#,
                #"coredns_dns_request_duration_seconds_count{\#(server)} 2"#,
            ] {
                #expect(text.contains(line), "\(line) in \(text)")
            }
        }
    }

    /// Who does not take its answers is not read from any more; others are answered meanwhile.
    @Test func aClientThatOnlyAsksCostsLittle() async throws {
        try await withServer { server, port in
            server.update(Self.addBigService)
            let greedy = try LoopbackSocket(stream: port)
            let message = try query("big.default.svc.cluster.local").message()
            let frame = [UInt8(message.count >> 8), UInt8(message.count & 0xff)] + message
            // 16 kB of answer for each; until the server takes no more.
            let accepted = try greedy.sendUntilFull(frame, atMost: 1_000_000)
            #expect(accepted < 1_000_000)
            let query = try query("web.default.svc.cluster.local")
            let other = try LoopbackSocket(stream: port)
            #expect(try Response(reading: await other.ask(query.message())).answers(query))
            // And once it takes them, it gets them all.
            for _ in 0..<50 {
                #expect(try Response(reading: await greedy.receiveFrame()).answer.answers.count == 1000)
            }
        }
    }

    private func loopback(
        domain: String = "cluster.local", upstreams: [ListenAddress] = []
    ) throws -> DNSConfiguration {
        var configuration = DNSConfiguration(
            listen: [ListenAddress(address: .v4(0x7f00_0001), port: 0)], domain: domain,
            ranges: [try #require(AddressRange("10.96.0.0/16"))], resolverFile: "/nonexistent",
            upstreams: upstreams, threads: 2)
        configuration.timing = .unhurried
        configuration.idleLimit = .seconds(3600)
        return configuration
    }

    private func withServer(
        _ configuration: DNSConfiguration? = nil, logger: Logger = Logger(label: "test"),
        metrics: MetricRegistry = MetricRegistry(), _ body: (DNSServer, UInt16) async throws -> Void
    ) async throws {
        let configuration = try configuration ?? loopback()
        let server = try DNSServer(
            configuration: configuration, clock: ContinuousClock(), logger: logger, metrics: metrics)
        server.update {
            $0.missing = []
            $0.setService(
                ServiceDescription(
                    kind: .addressed([.v4(0x0a60_0c22)]),
                    ports: [ServiceDescription.Port(name: "http", transport: "TCP", number: 80)]),
                namespace: "default", name: "web")
        }
        try await server.bind()
        let port = try #require(server.addresses.first?.port)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            defer { tasks.cancelAll() }
            try await body(server, port)
        }
    }
}
