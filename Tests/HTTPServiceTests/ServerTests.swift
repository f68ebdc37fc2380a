import HTTPService
import Logging
import Synchronization
import Testing

/// Answers with what it was asked.
@Sendable private func echo(_ request: HTTPRequest) async -> HTTPResponse {
    do {
        let body = try await request.body.collect(upTo: 1000)
        let text = "\(request.method) \(request.target) \(String(decoding: body, as: UTF8.self))\n"
        return HTTPResponse(text: text)
    } catch let error as HTTPError where error.code == .bodyTooLarge {
        return HTTPResponse(status: .payloadTooLarge, text: error.message)
    } catch {
        return HTTPResponse(status: .badRequest, text: "\(error)")
    }
}

@Suite("The server, spoken to in raw HTTP/1.1")
struct ServerTests {
    @Test("A response is framed by its length and dated")
    func framing() async throws {
        try await withServer(echo) { _, port in
            let text = try await withRawConnection(port) { connection in
                try await connection.send("GET /a?b=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return try await connection.receiveAll()
            }
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(text.contains("content-length: 12\r\n"))
            #expect(text.contains("\r\ndate: "))
            #expect(text.contains("connection: close\r\n"))
            #expect(text.hasSuffix("\r\n\r\nGET /a?b=c \n"))
        }
    }

    @Test("Pipelined requests are answered in order, though later ones are quicker")
    func pipelining() async throws {
        let second = Event()
        try await withServer { request in
            if request.path == "/1" { await Task.yield() }
            if request.path == "/2" { second.happen() }
            return HTTPResponse(text: request.path)
        } _: { _, port in
            let text = try await withRawConnection(port) { connection in
                try await connection.send(
                    "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                        + "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return try await connection.receiveAll()
            }
            let answers = text.split(separator: "\r\n\r\n").dropFirst().map { $0.prefix(2) }
            #expect(answers == ["/1", "/2", "/3"])
            #expect(second.hasHappened)
        }
    }

    @Test("Bodies in chunks arrive whole, and slowly as well")
    func chunked() async throws {
        try await withServer(echo) { _, port in
            let found = try await withRawConnection(port) { connection in
                try await connection.send(
                    "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                try await connection.send("4\r\ndefg\r\n")
                try await connection.send("0\r\n\r\n")
                return try await connection.receive { $0.hasSuffix("POST /p abcdefg\n") }
            }
            #expect(found)
        }
    }

    @Test("A body over the limit gets 413, also when it is never sent completely")
    func tooLarge() async throws {
        try await withServer(echo) { _, port in
            let large = String(repeating: "x", count: 5000)
            let found = try await withRawConnection(port) { connection in
                try await connection.send(
                    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + large)
                return try await connection.receive { $0.contains("413 Payload Too Large") }
            }
            #expect(found)
        }
    }

    @Test("After a body that was refused but small the connection goes on")
    func refusedSmall() async throws {
        try await withServer(echo) { _, port in
            let large = String(repeating: "x", count: 5000)
            let found = try await withRawConnection(port) { connection in
                try await connection.send(
                    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + large)
                try await connection.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
                return try await connection.receive { $0.contains("413 ") && $0.contains("GET /next") }
            }
            #expect(found)
        }
    }

    @Test("A client that expects 100 (Continue) is told when its body is wanted")
    func expectContinue() async throws {
        try await withServer(echo) { _, port in
            let found = try await withRawConnection(port) { connection in
                try await connection.send(
                    "PUT /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
                guard try await connection.receive(until: { $0.hasSuffix("HTTP/1.1 100 Continue\r\n\r\n") })
                else { return false }
                try await connection.send("abc")
                return try await connection.receive { $0.hasSuffix("PUT /e abc\n") }
            }
            #expect(found)
        }
    }

    @Test("A client that expects 100 (Continue) is not told when its body is not wanted")
    func expectNothing() async throws {
        try await withServer { _ in
            HTTPResponse(status: .forbidden, text: "no")
        } _: { _, port in
            let text = try await withRawConnection(port) { connection in
                try await connection.send(
                    "PUT /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
                return try await connection.receiveAll()
            }
            #expect(text.hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
            #expect(!text.contains("100 Continue"))
        }
    }

    @Test("HEAD gets the head only", arguments: [false, true])
    func head(_ streams: Bool) async throws {
        try await withServer { _ in
            streams
                ? HTTPResponse(body: .stream { try await $0.write(Array("never".utf8)) })
                : HTTPResponse(text: "never")
        } _: { _, port in
            let text = try await withRawConnection(port) { connection in
                try await connection.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return try await connection.receiveAll()
            }
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(text.hasSuffix("\r\n\r\n"))
            #expect(!text.contains("never"))
            #expect(text.contains("content-length: 5\r\n") == !streams)
        }
    }

    @Test("HTTP/1.0 gets a body that ends with the connection")
    func oldVersion() async throws {
        try await withServer { _ in
            HTTPResponse(
                body: .stream { writer in
                    try await writer.write(Array("one ".utf8))
                    try await writer.write(Array("two".utf8))
                })
        } _: { _, port in
            let text = try await withRawConnection(port) { connection in
                try await connection.send("GET / HTTP/1.0\r\n\r\n")
                return try await connection.receiveAll()
            }
            #expect(text.hasSuffix("\r\n\r\none two"))
            #expect(!text.contains("chunked"))
        }
    }

    @Test(
        "What is not HTTP gets 400, or nothing",
        arguments: [
            "GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET noslash HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/3.7\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ])
    func malformed(_ request: String) async throws {
        try await withServer(echo) { _, port in
            let text = try await withRawConnection(port) { connection in
                try await connection.send(request)
                return try await connection.receiveAll()
            }
            #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
        }
    }

    @Test("A client that ends its direction after the request gets the whole answer")
    func halfClosed() async throws {
        let text = String(repeating: "0123456789", count: 300_000)
        try await withServer { _ in
            HTTPResponse(text: text)
        } _: { _, port in
            let received = try await withRawConnection(port) { connection in
                try await connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                connection.finish()
                return try await connection.receiveAll()
            }
            #expect(received.hasSuffix(text))
        }
    }

    @Test("A connection that sends no request is closed")
    func silence() async throws {
        var configuration = loopback()
        configuration.headerTimeout = .milliseconds(50)
        try await withServer(configuration, echo) { _, port in
            // The connection may as well be reset, if the bytes come when it is closed already.
            let text = try? await withRawConnection(port) { connection in
                try await connection.send("GET / HTTP/1.1\r\nHost:")
                return try await connection.receiveAll()
            }
            #expect(text ?? "" == "")
        }
    }

    @Test("Cancelling run() stops the server")
    func run() async throws {
        let server = try HTTPServer(
            loopback(), responder: ClosureResponder(echo), logger: Logger(label: "swiftlet.test"))
        guard case .tcp(_, let port)? = try await server.bind().first else { return }
        let running = Task { try await server.run() }
        let client = try plainClient(port)
        #expect(try await client.send(HTTPRequest(path: "/")).text() == "GET / \n")
        running.cancel()
        try await running.value
        await #expect(throws: HTTPError.self) { try await plainClient(port).send(HTTPRequest(path: "/")) }
    }

    @Test("Mutated requests never bring the server down")
    func fuzz() async throws {
        let request =
            "POST /api/v1/x?a=b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: upgrade\r\n"
            + "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        var generator = SeededGenerator(seed: 7)
        try await withServer(echo) { _, port in
            for _ in 0..<300 {
                var bytes = Array(request.utf8)
                for _ in 0..<Int.random(in: 1...6, using: &generator) {
                    let index = bytes.indices.randomElement(using: &generator) ?? 0
                    switch Int.random(in: 0..<3, using: &generator) {
                    case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
                    case 1: bytes.remove(at: index)
                    default: bytes.insert(contentsOf: bytes[index...].prefix(20), at: index)
                    }
                }
                let text = String(decoding: bytes, as: UTF8.self)
                _ = try? await withRawConnection(port) { connection in
                    try await connection.send(text)
                    connection.finish()
                    return try await connection.receiveAll()
                }
            }
            let response = try await plainClient(port).send(HTTPRequest(path: "/alive"))
            #expect(try await response.text() == "GET /alive \n")
        }
    }
}
