import HTTPService
import Testing

private let upgradeHeaders: HTTPHeaders = ["connection": "Upgrade", "upgrade": "SPDY/3.1"]

@Suite("Upgrades and tunnels")
struct UpgradeTests {
    /// Sends back what it gets, and the end after the end.
    @Sendable private static func echo(_ request: HTTPRequest) async -> HTTPResponse {
        guard let offered = request.upgradeProtocols else { return HTTPResponse(text: "plain") }
        return HTTPResponse(
            status: .switchingProtocols, headers: ["upgrade": offered.joined(separator: ", ")],
            body: .tunnel { tunnel in
                for try await bytes in tunnel.inbound { try await tunnel.write(bytes) }
                try await tunnel.write(Array("!".utf8))
            })
    }

    @Test("Bytes that the client sends right behind its request are not lost")
    func behind() async throws {
        try await withServer(Self.echo) { _, port in
            let text = try await withRawConnection(port) { connection in
                try await connection.send(
                    "POST /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                        + "Content-Length: 0\r\n\r\nright behind GET / HTTP/1.1\r\n\r\n")
                try await connection.send(" and later")
                connection.finish()
                return try await connection.receiveAll()
            }
            #expect(text.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
            #expect(text.contains("upgrade: SPDY/3.1\r\n"))
            #expect(text.contains("connection: Upgrade\r\n"))
            #expect(!text.contains("transfer-encoding"))
            #expect(text.hasSuffix("\r\n\r\nright behind GET / HTTP/1.1\r\n\r\n and later!"))
        }
    }

    @Test("A tunnel carries bytes both ways and ends one way at a time", arguments: [Wire.plain, .tls])
    func tunnel(_ wire: Wire) async throws {
        try await withServer(tls: wire.tls, Self.echo) { server, port in
            let result = try await wire.client(port).upgrade(
                HTTPRequest(path: "/exec", headers: upgradeHeaders))
            guard case .switched(let headers, let tunnel) = result else {
                Issue.record("expected a tunnel")
                return
            }
            #expect(headers.first(name: "upgrade") == "SPDY/3.1")
            let large = [UInt8](repeating: 5, count: 3 << 20)
            async let sent: Void = {
                try await tunnel.write(Array("hello ".utf8))
                try await tunnel.write(large)
                await tunnel.finish()
            }()
            let received = try await tunnel.inbound.collect(upTo: 8 << 20)
            try await sent
            #expect(received == Array("hello ".utf8) + large + Array("!".utf8))
            tunnel.close()
            while server.connectionCount > 0 { await Task.yield() }
        }
    }

    @Test("An upgrade that is refused is an ordinary response", arguments: [Wire.plain, .tls])
    func refused(_ wire: Wire) async throws {
        try await withServer(tls: wire.tls) { _ in
            HTTPResponse(status: .forbidden, text: "not you")
        } _: { _, port in
            let client = try wire.client(port)
            let result = try await client.upgrade(HTTPRequest(path: "/exec", headers: upgradeHeaders))
            guard case .refused(let response) = result else {
                Issue.record("expected a refusal")
                return
            }
            #expect(response.status == .forbidden)
            #expect(try await response.text() == "not you")
            // The client goes on.
            #expect(try await client.send(HTTPRequest(path: "/")).status == .forbidden)
        }
    }

    @Test(
        "A tunnel for a request that did not ask for one is a fault of the server", arguments: Wire.allCases)
    func unasked(_ wire: Wire) async throws {
        try await withServer(tls: wire.tls) { _ in
            HTTPResponse(status: .switchingProtocols, body: .tunnel { _ in })
        } _: { _, port in
            let response = try await wire.client(port).send(HTTPRequest(path: "/"))
            #expect(response.status == .internalServerError)
        }
    }

    @Test("A tunnel's user is cancelled when the client vanishes")
    func vanished() async throws {
        let ended = Event()
        try await withServer { _ in
            HTTPResponse(
                status: .switchingProtocols, headers: ["upgrade": "x"],
                body: .tunnel { tunnel in
                    // Writes until there is nobody to write to.
                    defer { ended.happen() }
                    while true { try await tunnel.write([UInt8](repeating: 0, count: 1000)) }
                })
        } _: { _, port in
            let result = try await plainClient(port).upgrade(HTTPRequest(path: "/", headers: upgradeHeaders))
            guard case .switched(_, let tunnel) = result else {
                Issue.record("expected a tunnel")
                return
            }
            tunnel.close()
            await ended.wait()
        }
    }

    @Test("A tunnel can be joined to another server's, as exec is to the container runtime's")
    func spliced() async throws {
        try await withServer(Self.echo) { _, innerPort in
            try await withServer { request in
                do {
                    let inner = try plainClient(innerPort)
                    guard case .switched(let headers, let tunnel) = try await inner.upgrade(request) else {
                        return HTTPResponse(status: .badGateway)
                    }
                    return HTTPResponse(
                        status: .switchingProtocols, headers: headers,
                        body: .tunnel { [inner] outer in
                            await Tunnel.join(outer, tunnel)
                            await inner.close()
                        })
                } catch {
                    return HTTPResponse(status: .badGateway, text: "\(error)")
                }
            } _: { _, port in
                let text = try await withRawConnection(port) { connection in
                    try await connection.send(
                        "GET /exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nstdin"
                    )
                    guard try await connection.receive(until: { $0.hasSuffix("stdin") }) else { return "" }
                    connection.finish()
                    return try await connection.receiveAll()
                }
                #expect(text.hasPrefix("HTTP/1.1 101 "))
                #expect(text.hasSuffix("\r\n\r\nstdin!"))
            }
        }
    }
}

@Suite("Unix sockets")
struct UnixSocketTests {
    @Test("Server and client meet at a path that only its owner may use")
    func path() async throws {
        let path = "/tmp/swiftlet-test-\(UInt64.random(in: 0...UInt64.max)).sock"
        var configuration = loopback()
        configuration.addresses = [.unix(path: path)]
        try await withServer(configuration) {
            HTTPResponse(text: "\($0.path) \($0.remoteAddress)")
        } _: { _, _ in
            let client = try HTTPClient(ClientConfiguration(endpoint: .unix(path: path)))
            #expect(try await client.send(HTTPRequest(path: "/u")).text() == "/u ")
        }
        // The socket is gone with the server.
        let client = try HTTPClient(ClientConfiguration(endpoint: .unix(path: path)))
        await #expect(throws: HTTPError.self) { try await client.send(HTTPRequest(path: "/u")) }
    }
}
