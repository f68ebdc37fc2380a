import HTTPService
import Testing

@Suite("Requests and their parts")
struct ValueTests {
    @Test("A target is taken apart and put together again")
    func target() {
        let request = HTTPRequest(
            target: "/api/v1/namespaces/a%2Fb/pods?labelSelector=app%3Dweb%2Ctier+in%28x%29&watch=true&flag")
        #expect(request.pathSegments == ["api", "v1", "namespaces", "a/b", "pods"])
        #expect(request.query.first("labelSelector") == "app=web,tier in(x)")
        #expect(request.query.first("flag") == "")
        #expect(request.query.first("missing") == nil)
        #expect(
            request.target
                == "/api/v1/namespaces/a%2Fb/pods?labelSelector=app%3Dweb%2Ctier%20in%28x%29&watch=true&flag="
        )
    }

    @Test("Items of one name keep their order")
    func repeated() {
        var query = QueryItems(parsing: "command=sh&command=-c&command=echo%20hi&stdin=true")
        #expect(query.all("command") == ["sh", "-c", "echo hi"])
        query.set("stdin", nil)
        query.set("command", "ls")
        #expect(query.description == "command=ls")
    }

    @Test("What is not percent-encoding is left as it is", arguments: ["%", "%4", "%zz", "a%2", "%ff"])
    func notEncoding(_ text: String) {
        #expect(PercentEncoding.decode(text) == nil)
        #expect(QueryItems(parsing: "a=\(text)").first("a") == text)
    }

    @Test("An upgrade is asked for in two header fields")
    func upgrade() {
        var request = HTTPRequest(path: "/exec", headers: ["Connection": "keep-alive, Upgrade"])
        #expect(request.upgradeProtocols == nil)
        request.headers.add(name: "Upgrade", value: "SPDY/3.1")
        #expect(request.upgradeProtocols == ["SPDY/3.1"])
        request.headers.remove(name: "connection")
        #expect(request.upgradeProtocols == nil)
    }

    @Test(
        "Dates are those of RFC 9110",
        arguments: [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ])
    func dates(_ seconds: Int, _ text: String) {
        #expect(HTTPDate.text(seconds) == text)
    }
}

@Suite("Pipes")
struct PipeTests {
    @Test("A writer is held at the high mark and released at the low one")
    func marks() {
        var state = PipeState(high: 10, low: 4)
        let mayGoOn = [1, 2].map { state.push([UInt8](repeating: $0, count: 6)) }
        #expect(mayGoOn == [true, false])
        guard case .bytes(let first, release: false) = state.take() else {
            Issue.record("6 bytes are above the low mark")
            return
        }
        #expect(first.count == 6)
        guard case .bytes(_, release: true) = state.take() else {
            Issue.record("an empty pipe releases its writer")
            return
        }
        guard case .nothing = state.take() else {
            Issue.record("nothing is left")
            return
        }
    }

    @Test("What was written before the end is read before the end")
    func end() async throws {
        let pipe = BytePipe()
        pipe.push([1, 2])
        pipe.finish()
        #expect(try await pipe.next() == [1, 2])
        #expect(try await pipe.next() == nil)
    }

    @Test("A waiting writer goes on when the reader takes, and fails when the reader leaves")
    func backPressure() async throws {
        let pipe = BytePipe(high: 8, low: 2)
        let writer = Task {
            for number in 0..<100 { try await pipe.write([UInt8](repeating: UInt8(number), count: 8)) }
        }
        for number in 0..<10 { #expect(try await pipe.next()?.first == UInt8(number)) }
        pipe.abandon(HTTPError(.closed, "enough"))
        await #expect(throws: HTTPError.self) { try await writer.value }
    }

    @Test("Dropping a stream ends its writer")
    func dropped() async throws {
        let left = Event()
        func makeAndDrop() -> ByteStreamWriter {
            let (stream, writer) = ByteStream.makePipe()
            writer.onAbandon { left.happen() }
            _ = stream
            return writer
        }
        let writer = makeAndDrop()
        await left.wait()
        await #expect(throws: HTTPError.self) { try await writer.write([1]) }
    }

    @Test("Cancelling a reader ends its writer")
    func cancelled() async {
        let (stream, writer) = ByteStream.makePipe()
        let left = Event()
        writer.onAbandon { left.happen() }
        let reader = Task { try await stream.collect(upTo: 10) }
        reader.cancel()
        await left.wait()
        await #expect(throws: CancellationError.self) { try await reader.value }
    }

    @Test("A body over its limit is refused")
    func limit() async throws {
        let (stream, writer) = ByteStream.makePipe()
        try await writer.write([1, 2, 3])
        try await writer.write([4, 5, 6])
        let error = await #expect(throws: HTTPError.self) { try await stream.collect(upTo: 5) }
        #expect(error?.code == .bodyTooLarge)
    }

    @Test("Joined tunnels pass bytes and ends both ways")
    func join() async throws {
        let (client, outer) = Tunnel.pair()
        let (inner, service) = Tunnel.pair()
        let joined = Task { await Tunnel.join(outer, inner) }
        try await client.write([1, 2, 3])
        await client.finish()
        #expect(try await service.inbound.collect(upTo: 10) == [1, 2, 3])
        // The other direction is still open.
        try await service.write([4, 5])
        await service.finish()
        #expect(try await client.inbound.collect(upTo: 10) == [4, 5])
        await joined.value
    }
}

@Suite("What is in a pipe") struct PipeStateTests {
    @Test("A writer that was told to wait is released, though it wrote again between the marks")
    func release() {
        var state = PipeState(high: 10, low: 4)
        let first = state.push(Array(repeating: 1, count: 6))
        let second = state.push(Array(repeating: 2, count: 6))
        #expect(first && !second)
        guard case .bytes(_, release: false) = state.take() else {
            Issue.record("six bytes are left: more than the low mark")
            return
        }
        let between = state.push([3])
        #expect(!between)
        guard case .bytes(_, release: true) = state.take() else {
            Issue.record("one byte is left: the writer goes on")
            return
        }
        let after = state.push([4])
        #expect(after)
    }
}
