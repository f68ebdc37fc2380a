import Glibc
import HTTPService
import HostileInput
import Logging
import NIOCore
import NIOHTTP2
import NIOPosix
import NIOSSL
import Synchronization
import Testing

/// Clients that mean no good: the server goes on, and others do not notice.
@Suite(.serialized) struct HostileTests {
    private static let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

    private static let ok: @Sendable (HTTPRequest) async -> HTTPResponse = { _ in HTTPResponse(text: "ok") }

    private static let largeOrSmall: @Sendable (HTTPRequest) async -> HTTPResponse = { request in
        request.path == "/large"
            ? HTTPResponse(text: String(repeating: "x", count: 32 << 20)) : HTTPResponse(text: "ok")
    }

    private func isServed(_ port: Int) async throws -> Bool {
        try await plainClient(port).send(HTTPRequest(path: "/")).text() == "ok"
    }

    /// Waits until a condition holds that nothing tells of.
    private func eventually(_ condition: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while !condition(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        #expect(condition())
    }

    @Test("A header that never ends is refused before it fills the memory")
    func endlessHeader() async throws {
        try await withServer(Self.ok) { server, port in
            let answer = try? await withRawConnection(port) { connection in
                try await connection.send("GET / HTTP/1.1\r\nHost: x\r\n")
                let line = "X-Y: " + String(repeating: "y", count: 4000) + "\r\n"
                for _ in 0..<400 { try await connection.send(line) }
                return try await connection.receiveAll()
            }
            // The rest that is still coming may reset the connection before the answer is read.
            #expect(answer == nil || answer == "" || answer?.hasPrefix("HTTP/1.1 431 ") == true)
            let isStillServed = try await isServed(port)
            #expect(isStillServed)
        }
    }

    @Test("Who takes no answer loses the connection, and with it the answer's memory")
    func slowReader() async throws {
        var configuration = loopback()
        configuration.idleTimeout = .milliseconds(200)
        try await withServer(configuration, Self.largeOrSmall) { server, port in
            let socket = try RawSocket(port: port)
            defer { socket.close() }
            socket.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            try await eventually { server.connectionCount == 1 }
            #expect(try await isServed(port))
            try await eventually { server.connectionCount == 0 }
        }
    }

    @Test("Bytes that are no TLS, and handshakes that stop half-way")
    func badTLS() async throws {
        let pki = try TestPKI.shared.get()
        var configuration = loopback(tls: pki.server)
        configuration.headerTimeout = .milliseconds(300)
        try await withServer(configuration, Self.ok) { server, port in
            let hello: [UInt8] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03]
            for bytes in [Array(Self.request.utf8), hello, [UInt8](repeating: 0xFF, count: 5000), []] {
                let socket = try RawSocket(port: port)
                socket.send(bytes)
                #expect(try await pki.client(port, http2: true).send(HTTPRequest(path: "/")).text() == "ok")
                // The server ends it, at once or when its patience does.
                await socket.exchange()
                socket.close()
            }
        }
    }

    @Test("A client of HTTP/2 that floods the server with pings loses the connection")
    func pingFlood() async throws {
        let pki = try TestPKI.shared.get()
        try await withServer(loopback(tls: pki.server), Self.ok) { server, port in
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.certificateVerification = .none
            tls.applicationProtocols = ["h2"]
            let context = try NIOSSLContext(configuration: tls)
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
                        var limits = NIOHTTP2Handler.ConnectionConfiguration()
                        limits.maximumBufferedControlFrames = 1_000_000
                        limits.controlFrameRateLimit.maximumCount = 1_000_000
                        try pipeline.addHandler(
                            NIOHTTP2Handler(
                                mode: .client, connectionConfiguration: limits,
                                streamConfiguration: NIOHTTP2Handler.StreamConfiguration()))
                    }
                }
                .connect(host: "127.0.0.1", port: port).get()
            for number in 0..<20_000 where channel.isActive {
                let data = HTTP2PingData(withInteger: UInt64(number))
                let frame = HTTP2Frame(streamID: .rootStream, payload: .ping(data, ack: false))
                try? await channel.writeAndFlush(frame)
            }
            try? await channel.closeFuture.get()
            try await eventually { server.connectionCount == 0 }
            #expect(try await pki.client(port, http2: true).send(HTTPRequest(path: "/")).text() == "ok")
        }
    }

    @Test("One connection carries any number of large answers")
    func manyLargeAnswers() async throws {
        let pki = try TestPKI.shared.get()
        try await withServer(tls: pki.server, Self.largeOrSmall) { server, port in
            let client = try pki.client(port, http2: true)
            for _ in 0..<16 {
                let response = try await client.send(HTTPRequest(path: "/large"))
                #expect(try await response.body.collect(upTo: 1 << 30).count == 32 << 20)
            }
            #expect(server.connectionCount == 1)
            await client.close()
        }
    }

    @Test("A client that is let go leaves no connection behind")
    func droppedClient() async throws {
        let pki = try TestPKI.shared.get()
        for tls in [nil, pki.server] {
            try await withServer(tls: tls, Self.ok) { server, port in
                for _ in 0..<3 {
                    let client = try tls == nil ? plainClient(port) : pki.client(port, http2: true)
                    #expect(try await client.send(HTTPRequest(path: "/")).text() == "ok")
                }
                try await eventually { server.connectionCount == 0 }
            }
        }
    }

    @Test("Ten thousand idle connections, twice")
    func idleConnections() async throws {
        var configuration = loopback()
        configuration.headerTimeout = .seconds(120)
        try await withServer(configuration, Self.ok) { server, port in
            #expect(try await isServed(port))
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            limit.rlim_cur = limit.rlim_max
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let count = min(10_000, Int(limit.rlim_max) - 1000)
            let before = ResidentMemory.bytes
            var peaks: [Int] = []
            for _ in 0..<2 {
                // The other ends are in another process: one cannot have twice as many.
                let script =
                    "ulimit -n \(count + 100) && for ((i = 0; i < \(count); i++)); do "
                    + "exec {fd}<>/dev/tcp/127.0.0.1/\(port); done; read"
                let others = try #require(popen("bash -c '\(script)'", "w"))
                try await eventually { server.connectionCount >= count }
                peaks.append(ResidentMemory.bytes)
                let start = ContinuousClock.now
                #expect(try await isServed(port))
                #expect(ContinuousClock.now - start < .seconds(5))
                pclose(others)
                try await eventually { server.connectionCount == 0 }
            }
            let each = (peaks[0] - before) / count
            print("figure: idle_connection_bytes \(each) B")
            #expect(each < 32 * 1024)
            // What the first ten thousand took is there for the second.
            #expect(peaks[1] - peaks[0] < max(16 << 20, (peaks[0] - before) / 2))
        }
    }

    @Test("Connections that come and go leave nothing behind")
    func churn() async throws {
        try await withServer(Self.ok) { server, port in
            #expect(try await isServed(port))
            var before = 0
            for round in 0..<4000 {
                let socket = try RawSocket(port: port)
                switch round % 4 {
                case 0: socket.send("GET / HTTP/1.1\r\nHo")
                case 1: socket.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
                case 2: socket.send(Self.request)
                default: break
                }
                socket.close(reset: round % 8 < 4)
                if round == 1000 {
                    try await eventually { server.connectionCount == 0 }
                    before = ResidentMemory.bytes
                }
            }
            try await eventually { server.connectionCount == 0 }
            #expect(ResidentMemory.bytes - before < 16 << 20)
            #expect(try await isServed(port))
        }
    }
}
