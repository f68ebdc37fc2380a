import HTTPService
import NIOCore
import NIOHTTP1
import Testing

@Suite("One request after the other")
struct ExchangeStateTests {
    private func head(
        _ uri: String, _ method: HTTPMethod = .GET, _ headers: NIOHTTP1.HTTPHeaders = [:]
    ) -> HTTPServerRequestPart {
        .head(HTTPRequestHead(version: .http1_1, method: method, uri: uri, headers: headers))
    }

    private func body(_ text: String) -> HTTPServerRequestPart { .body(ByteBuffer(string: text)) }

    @Test("A request that is complete in one burst has its body at hand")
    func atHand() {
        var state = ExchangeState()
        #expect(state.received(head("/a", .POST)).isNothing)
        #expect(state.received(body("12")).isNothing)
        #expect(state.received(body("34")).isNothing)
        guard case .begin(let head, let bytes) = state.received(.end(nil)) else {
            Issue.record("expected the request to begin")
            return
        }
        #expect(head.uri == "/a")
        #expect(bytes == Array("1234".utf8))
        #expect(state.readCompleted().isNothing)
    }

    @Test("A body that is still arriving is streamed")
    func streamed() {
        var state = ExchangeState()
        _ = state.received(head("/a", .POST))
        _ = state.received(body("12"))
        guard case .beginStreaming(_, let first, awaitsContinue: false) = state.readCompleted() else {
            Issue.record("expected the request to begin with its body open")
            return
        }
        #expect(first == Array("12".utf8))
        guard case .chunk(let next) = state.received(body("34")) else {
            Issue.record("expected a chunk")
            return
        }
        #expect(next == Array("34".utf8))
        guard case .bodyEnd = state.received(.end(nil)) else {
            Issue.record("expected the end of the body")
            return
        }
    }

    @Test("Pipelined requests wait for their turn, in order")
    func pipelined() {
        var state = ExchangeState()
        for uri in ["/1", "/2", "/3"] {
            _ = state.received(head(uri))
            _ = state.received(.end(nil))
        }
        #expect(!state.wantsToRead)
        for uri in ["/2", "/3"] {
            state.responseStarted()
            guard case .begin(let next, _) = state.responseEnded() else {
                Issue.record("expected \(uri) to begin")
                return
            }
            #expect(next.uri == uri)
        }
        #expect(state.wantsToRead)
        state.responseStarted()
        #expect(state.responseEnded().isNothing)
        #expect(state.isIdle)
    }

    @Test("A body nobody read is skipped, up to a limit")
    func skipped() {
        var state = ExchangeState()
        _ = state.received(head("/1", .POST))
        _ = state.readCompleted()
        state.responseStarted()
        #expect(state.responseEnded().isNothing)
        #expect(state.received(body("rest")).isNothing)
        #expect(state.received(.end(nil)).isNothing)
        _ = state.received(head("/2", .POST))
        _ = state.readCompleted()
        state.responseStarted()
        _ = state.responseEnded()
        let large = String(repeating: "x", count: ExchangeState.discardLimit + 1)
        #expect(state.received(body(large)).isClose)
    }

    @Test("An answer given before 100 (Continue) ends the connection")
    func unexpected() {
        var state = ExchangeState()
        guard
            case .beginStreaming(_, _, awaitsContinue: true) = state.received(
                head("/", .POST, ["expect": "100-continue", "content-length": "4"]))
        else {
            Issue.record("expected the request to begin at once")
            return
        }
        state.responseStarted()
        #expect(!state.keepsAlive)
        #expect(state.responseEnded().isClose)
    }

    @Test("A request to upgrade is the last one, whatever the answer")
    func upgrade() {
        var state = ExchangeState()
        _ = state.received(head("/", .GET, ["connection": "upgrade", "upgrade": "SPDY/3.1"]))
        _ = state.received(.end(nil))
        #expect(state.mayUpgrade)
        #expect(!state.wantsToRead)
        state.responseStarted()
        #expect(!state.mayUpgrade)
        #expect(state.responseEnded().isClose)
    }

    @Test("A server that stops closes idle connections now and busy ones after their answer")
    func drain() {
        var idle = ExchangeState()
        #expect(idle.drain().isClose)
        var busy = ExchangeState()
        _ = busy.received(head("/"))
        _ = busy.received(.end(nil))
        #expect(busy.drain().isNothing)
        busy.responseStarted()
        #expect(!busy.keepsAlive)
        #expect(busy.responseEnded().isClose)
    }

    @Test("A client that ends its direction still gets its answer")
    func halfClosed() {
        var state = ExchangeState()
        _ = state.received(head("/"))
        _ = state.received(.end(nil))
        #expect(state.inputEnded().isNothing)
        state.responseStarted()
        #expect(state.responseEnded().isClose)
        var idle = ExchangeState()
        #expect(idle.inputEnded().isClose)
    }
}

extension ExchangeState.Action {
    fileprivate var isNothing: Bool {
        if case .nothing = self { return true }
        return false
    }

    fileprivate var isClose: Bool {
        if case .close = self { return true }
        return false
    }
}
