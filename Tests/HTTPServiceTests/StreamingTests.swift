import HTTPService
import Synchronization
import Testing

/// Over which connections a test runs.
enum Wire: String, CaseIterable, CustomTestStringConvertible {
    case plain, tls, http2

    var testDescription: String { rawValue }

    var tls: ServerConfiguration.TLS? {
        get throws { self == .plain ? nil : try TestPKI.shared.get().server }
    }

    func client(_ port: Int) throws -> HTTPClient {
        switch self {
        case .plain: try plainClient(port)
        case .tls: try TestPKI.shared.get().client(port, http2: false)
        case .http2: try TestPKI.shared.get().client(port, http2: true)
        }
    }
}

@Suite("Streams")
struct StreamingTests {
    @Test("Each event of a watch arrives before the next one is written", arguments: Wire.allCases)
    func watch(_ wire: Wire) async throws {
        let (orders, order) = AsyncStream<Int>.makeStream()
        let stream = orders
        try await withServer(tls: wire.tls) { _ in
            HTTPResponse(
                body: .stream { writer in
                    for await number in stream { try await writer.write(Array("event \(number)\n".utf8)) }
                })
        } _: { _, port in
            let response = try await wire.client(port).send(HTTPRequest(path: "/watch"))
            #expect(response.status == .ok)
            var iterator = response.body.makeAsyncIterator()
            for number in 0..<100 {
                order.yield(number)
                let bytes = try await iterator.next()
                #expect(bytes == Array("event \(number)\n".utf8))
            }
            order.finish()
            let chunk1 = try await iterator.next()
            #expect(chunk1 == nil)
        }
    }

    @Test("The responder's stream is cancelled when the client leaves", arguments: Wire.allCases)
    func leaving(_ wire: Wire) async throws {
        let cancelled = Event()
        try await withServer(tls: wire.tls) { _ in
            HTTPResponse(
                body: .stream { writer in
                    try await writer.write([1])
                    for await _ in AsyncStream<Never>.makeStream().stream {}
                    cancelled.happen()
                })
        } _: { _, port in
            let client = try wire.client(port)
            let reader = Task {
                let response = try await client.send(HTTPRequest(path: "/watch"))
                for try await _ in response.body { withUnsafeCurrentTask { $0?.cancel() } }
            }
            await cancelled.wait()
            await #expect(throws: CancellationError.self) { try await reader.value }
        }
    }

    @Test("The responder is cancelled when the client gives up before the answer", arguments: Wire.allCases)
    func givingUp(_ wire: Wire) async throws {
        let asked = Event()
        let cancelled = Event()
        try await withServer(tls: wire.tls) { _ in
            asked.happen()
            for await _ in AsyncStream<Never>.makeStream().stream {}
            cancelled.happen()
            return HTTPResponse(text: "too late")
        } _: { _, port in
            let client = try wire.client(port)
            let asking = Task { try await client.send(HTTPRequest(path: "/slow")) }
            await asked.wait()
            asking.cancel()
            await cancelled.wait()
            await #expect(throws: CancellationError.self) { try await asking.value }
        }
    }

    @Test("A writer waits for a client that does not read", arguments: Wire.allCases)
    func backPressure(_ wire: Wire) async throws {
        let written = Mutex(0)
        let total = 64 << 20
        try await withServer(tls: wire.tls) { _ in
            HTTPResponse(
                body: .stream { writer in
                    let chunk = [UInt8](repeating: 7, count: 64 << 10)
                    for _ in 0..<(total / chunk.count) {
                        try await writer.write(chunk)
                        written.withLock { $0 += chunk.count }
                    }
                })
        } _: { _, port in
            let response = try await wire.client(port).send(HTTPRequest(path: "/large"))
            var iterator = response.body.makeAsyncIterator()
            var received = 0
            while let bytes = try await iterator.next() {
                received += bytes.count
                // What is under way is bounded: socket buffers, windows, and the pipes at both ends.
                let ahead = written.withLock { $0 } - received
                #expect(ahead < 24 << 20)
            }
            #expect(received == total)
        }
    }

    @Test("Large bodies arrive whole, in both directions", arguments: Wire.allCases)
    func large(_ wire: Wire) async throws {
        try await withServer(tls: wire.tls) { request in
            do {
                return HTTPResponse(contentType: "x/y", try await request.body.collect(upTo: 32 << 20))
            } catch {
                return HTTPResponse(status: .badRequest, text: "\(error)")
            }
        } _: { _, port in
            var generator = SeededGenerator(seed: 3)
            let body = (0..<(1 << 20)).flatMap { _ -> [UInt8] in
                let number = generator.next()
                return [UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8), 1, 2]
            }
            let client = try wire.client(port)
            let whole = try await client.send(HTTPRequest(method: .POST, path: "/", body: .bytes(body)))
            #expect(try await whole.body.collect(upTo: 32 << 20) == body)
            // In pieces, without a length.
            let (stream, writer) = ByteStream.makePipe()
            async let sent: Void = {
                for start in Swift.stride(from: 0, to: body.count, by: 100_000) {
                    try await writer.write(Array(body[start..<min(start + 100_000, body.count)]))
                }
                writer.finish()
            }()
            let pieces = try await client.send(HTTPRequest(method: .PUT, path: "/", body: .stream(stream)))
            #expect(try await pieces.body.collect(upTo: 32 << 20) == body)
            try await sent
        }
    }

    @Test("An answer may come before the end of the request", arguments: Wire.allCases)
    func earlyAnswer(_ wire: Wire) async throws {
        try await withServer(tls: wire.tls) { _ in
            HTTPResponse(status: .payloadTooLarge, text: "too much")
        } _: { _, port in
            let client = try wire.client(port)
            let (stream, writer) = ByteStream.makePipe()
            let upload = Task {
                while true { try await writer.write([UInt8](repeating: 1, count: 50_000)) }
            }
            let response = try await client.send(HTTPRequest(method: .POST, path: "/", body: .stream(stream)))
            #expect(response.status == .payloadTooLarge)
            #expect(try await response.text() == "too much")
            // Nobody takes the rest.
            await #expect(throws: HTTPError.self) { try await upload.value }
            #expect(try await client.send(HTTPRequest(path: "/")).status == .payloadTooLarge)
        }
    }

    @Test("A stream that fails is cut off, so that the client can tell", arguments: Wire.allCases)
    func failing(_ wire: Wire) async throws {
        try await withServer(tls: wire.tls) { _ in
            HTTPResponse(
                body: .stream { writer in
                    try await writer.write(Array("half".utf8))
                    throw HTTPError(.invalid, "no more")
                })
        } _: { _, port in
            let response = try await wire.client(port).send(HTTPRequest(path: "/"))
            await #expect(throws: HTTPError.self) { try await response.body.collect(upTo: 100) }
        }
    }

    @Test("A server that stops ends its streams and finishes what is under way", arguments: Wire.allCases)
    func stopping(_ wire: Wire) async throws {
        let asked = Event()
        let goOn = Event()
        try await withServer(tls: wire.tls) { request in
            if request.path == "/watch" {
                return HTTPResponse(
                    body: .stream { writer in
                        try await writer.write([1])
                        for await _ in AsyncStream<Never>.makeStream().stream {}
                        try Task.checkCancellation()
                    })
            }
            asked.happen()
            await goOn.wait()
            return HTTPResponse(text: "done")
        } _: { server, port in
            let watcher = try wire.client(port)
            let client = try wire.client(port)
            let watch = try await watcher.send(HTTPRequest(path: "/watch"))
            var events = watch.body.makeAsyncIterator()
            let chunk2 = try await events.next()
            #expect(chunk2 == [1])
            let answer = Task { try await client.send(HTTPRequest(path: "/slow")).text() }
            await asked.wait()
            let stopped = Task { await server.stop() }
            // The stream ends as if the responder had ended it.
            let chunk3 = try await events.next()
            #expect(chunk3 == nil)
            goOn.happen()
            #expect(try await answer.value == "done")
            await stopped.value
            #expect(server.connectionCount == 0)
            await #expect(throws: HTTPError.self) {
                _ = try await wire.client(port).send(HTTPRequest(path: "/late"))
            }
        }
    }
}
