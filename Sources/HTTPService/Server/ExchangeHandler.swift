import NIOCore
internal import NIOHTTP1
import NIOHTTP2

/// Serves one connection of HTTP/1.1, or one stream of HTTP/2: turns parts into requests, hands each to the
/// responder in a task of its own, and writes what comes back. `ExchangeState` decides, this acts, on the
/// channel's event loop.
final class ExchangeHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// The rest of a response's body.
    private enum Outgoing {
        case bytes([UInt8], sent: Int)
        case pipe(BytePipe)
    }

    /// The request that is being answered.
    private struct Running {
        let number: UInt64
        let head: HTTPRequestHead
        let task: Task<Void, Never>
        let body: BytePipe?
    }

    /// Bodies up to this size are written at once, larger ones as fast as the client takes them.
    private static let sliceSize = 256 * 1024

    private let server: ServerCore
    private let peer: ConnectionPeer
    private let isStream: Bool
    private var state: ExchangeState
    private var context: ChannelHandlerContext?
    private var registration: UInt64?
    private var running: Running?
    private var outgoing: Outgoing?
    private var lastNumber: UInt64 = 0
    private var bodyIsHeld = false
    private var readIsWithheld = false
    private var isLingering = false
    private var isPumping = false
    private let inputEnd: InputEndGate?
    private var deadline: NIODeadline?
    private var timer: Scheduled<Void>?
    private var timerDeadline: NIODeadline?

    /// - Parameter inputEnd: the gate before the decoder of HTTP/1.1; nil for a stream of HTTP/2.
    init(server: ServerCore, peer: ConnectionPeer, inputEnd: InputEndGate?) {
        self.server = server
        self.peer = peer
        self.inputEnd = inputEnd
        isStream = inputEnd == nil
        state = ExchangeState(isStream: isStream)
    }

    // MARK: The channel's events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let channel = context.channel
        registration = server.registry.add(
            ConnectionRegistry.Entry(
                isConnection: !isStream,
                drain: { channel.eventLoop.execute { handler.value.drain() } },
                close: { channel.close(promise: nil) }))
        if !isStream { expectSomething(within: server.configuration.headerTimeout) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        gone()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isLingering else { return }
        perform(state.received(unwrapInboundIn(data)))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !isLingering { perform(state.readCompleted()) }
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if isLingering || (state.wantsToRead && !bodyIsHeld) { context.read() } else { readIsWithheld = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        pump()
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            running?.task.cancel()
            running?.body?.finish(throwing: Self.clientIsGone)
            if isLingering { context.close(promise: nil) }
            if case .pipe = outgoing { context.close(promise: nil) } else { perform(state.inputEnded()) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        gone()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if TLSContexts.isUncleanShutdown(error) { return }
        server.logger.debug("connection failed", metadata: ["error": "\(error)"])
        if let error = error as? HTTPParserError, state.isIdle, !isLingering {
            if case .headerOverflow = error {
                answerDirectly(.requestHeaderFieldsTooLarge, "the request's header is too large")
            } else {
                answerDirectly(.badRequest, "malformed HTTP request")
            }
            linger()
        } else {
            context.close(promise: nil)
        }
    }

    // MARK: Requests

    private func perform(_ action: ExchangeState.Action) {
        switch action {
        case .nothing:
            break
        case .begin(let head, let body):
            begin(head, body: .bytes(body), pipe: nil)
        case .beginStreaming(let head, let first, let awaitsContinue):
            let pipe = BytePipe()
            let body = wire(pipe, awaitsContinue: awaitsContinue)
            if !pipe.push(first) { bodyIsHeld = true }
            begin(head, body: .stream(body), pipe: pipe)
            expectSomething(within: server.configuration.idleTimeout)
        case .chunk(let bytes):
            if running?.body?.push(bytes) == false {
                bodyIsHeld = true
                deadline = nil
            } else {
                expectSomething(within: server.configuration.idleTimeout)
            }
        case .bodyEnd:
            running?.body?.finish()
            deadline = nil
        case .close where state.bodyIsOpen && !isStream:
            linger()
        case .close:
            closeWhenWritten()
        }
        readIfPossible()
    }

    private func wire(_ pipe: BytePipe, awaitsContinue: Bool) -> ByteStream {
        guard let loop = context?.eventLoop else { return ByteStream(pipe) }
        let handler = NIOLoopBound(self, eventLoop: loop)
        let number = lastNumber + 1
        pipe.onRelease { loop.execute { handler.value.released(number) } }
        guard awaitsContinue else { return ByteStream(pipe) }
        return ByteStream {
            // Whoever reads wants the body: now the client is told to send it.
            loop.execute { handler.value.sendContinue(number) }
            return try await pipe.next()
        }
    }

    private func begin(_ head: HTTPRequestHead, body: RequestBody, pipe: BytePipe?) {
        guard let context else { return }
        deadline = nil
        lastNumber += 1
        guard let request = Self.request(head, body: body, peer: peer, isStream: isStream) else {
            answerDirectly(.badRequest, "malformed HTTP request: bad target or missing host")
            linger()
            return
        }
        let link = ExchangeLink(
            handler: NIOLoopBound(self, eventLoop: context.eventLoop), eventLoop: context.eventLoop,
            number: lastNumber)
        // Unstructured since the channel is not part of any task tree. The server waits for its end in
        // ConnectionRegistry.drain, and it is cancelled with the connection.
        let task = Task(executorPreference: peer.executor) { [responder = server.responder] in
            await link.answer(request, responder: responder)
        }
        running = Running(number: lastNumber, head: head, task: task, body: pipe)
        if state.mayUpgrade { inputEnd?.isHeld = true }
    }

    private static func request(
        _ head: HTTPRequestHead, body: RequestBody, peer: ConnectionPeer, isStream: Bool
    ) -> HTTPRequest? {
        var target = Substring(head.uri)
        if !target.hasPrefix("/") {
            // The absolute form is for proxies, but every server has to understand it (RFC 9112 section 3.2.2).
            guard let scheme = target.firstRange(of: "://") else { return nil }
            let rest = target[scheme.upperBound...]
            target = rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
        }
        if head.version == .http1_1, !isStream, head.headers[canonicalForm: "host"].count != 1 { return nil }
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = parts.first, PercentEncoding.decode(path) != nil else { return nil }
        var request = HTTPRequest(
            method: head.method, path: String(path),
            query: parts.count > 1 ? QueryItems(parsing: parts[1]) : [:],
            headers: head.headers, body: body, peer: peer.peer, remoteAddress: peer.remoteAddress)
        request.executor = peer.executor
        return request
    }

    private func released(_ number: UInt64) {
        guard running?.number == number else { return }
        bodyIsHeld = false
        if state.bodyIsOpen { expectSomething(within: server.configuration.idleTimeout) }
        readIfPossible()
    }

    private func sendContinue(_ number: UInt64) {
        guard let context, running?.number == number, state.awaitsContinue else { return }
        state.continued()
        let head = HTTPResponseHead(version: .http1_1, status: .continue)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
    }

    private func readIfPossible() {
        guard readIsWithheld, isLingering || (state.wantsToRead && !bodyIsHeld) else { return }
        readIsWithheld = false
        context?.read()
    }

    // MARK: Responses

    /// Sends a response whose body is known, or is written into `pipe`.
    func respond(_ number: UInt64, _ response: HTTPResponse, pipe: BytePipe? = nil) {
        guard let context, let running, running.number == number, state.awaitsResponse else {
            pipe?.abandon(Self.clientIsGone)
            return
        }
        state.responseStarted()
        inputEnd?.release()
        var bytes: [UInt8] = []
        if case .bytes(let all) = response.body { bytes = all }
        let isHead = running.head.method == .HEAD
        let head = responseHead(
            response, to: running.head, length: pipe == nil && !response.isStream ? bytes.count : nil)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if isHead || !response.status.mayHaveResponseBody {
            pipe?.abandon(Self.clientIsGone)
            finishResponse()
        } else if let pipe {
            outgoing = .pipe(pipe)
            let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
            pipe.onBytes { handler.eventLoop.execute { handler.value.pump() } }
            if state.isDraining { running.task.cancel() }
            context.flush()
            pump()
        } else if bytes.count > Self.sliceSize {
            outgoing = .bytes(bytes, sent: 0)
            pump()
        } else {
            if !bytes.isEmpty {
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
            }
            finishResponse()
        }
    }

    private func responseHead(
        _ response: HTTPResponse, to request: HTTPRequestHead, length: Int?
    ) -> HTTPResponseHead {
        var headers = response.headers
        if !headers.contains(name: "date") { headers.add(name: "date", value: server.date.now) }
        headers.remove(name: "connection")
        let mayHaveBody = response.status.mayHaveResponseBody
        if mayHaveBody, let length, !headers.contains(name: "content-length") {
            headers.add(name: "content-length", value: String(length))
        }
        if !isStream {
            let isFramed = !mayHaveBody || headers.contains(name: "content-length")
            if !isFramed, request.version == .http1_1, request.method != .HEAD {
                headers.add(name: "transfer-encoding", value: "chunked")
            } else if !isFramed {
                state.mustClose()
            }
            if !state.keepsAlive {
                headers.add(name: "connection", value: "close")
            } else if request.version != .http1_1 {
                headers.add(name: "connection", value: "keep-alive")
            }
        }
        return HTTPResponseHead(version: .http1_1, status: response.status, headers: headers)
    }

    /// Writes what there is of the body, as much as the client takes. Everything is flushed before looking whether the
    /// channel is writable: only what is flushed counts when TLS is below.
    private func pump() {
        // Flushing may call back here through channelWritabilityChanged.
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        while let context, let outgoing, context.channel.isWritable {
            switch outgoing {
            case .bytes(let bytes, let sent):
                let end = min(sent + Self.sliceSize, bytes.count)
                let slice = ByteBuffer(bytes: bytes[sent..<end])
                self.outgoing = end < bytes.count ? .bytes(bytes, sent: end) : nil
                context.write(wrapOutboundOut(.body(.byteBuffer(slice))), promise: nil)
                guard end < bytes.count else { return finishResponse() }
                context.flush()
                // A client that takes nothing for long holds the rest of the body in vain.
                expectSomething(within: server.configuration.idleTimeout)
            case .pipe(let pipe):
                var merged = ByteBuffer()
                let taken = pipe.takeAll(upTo: Self.sliceSize, into: &merged)
                if merged.readableBytes > 0 {
                    context.write(wrapOutboundOut(.body(.byteBuffer(merged))), promise: nil)
                }
                switch taken {
                case .bytes:
                    context.flush()
                case .nothing:
                    return context.flush()
                case .end:
                    return finishResponse()
                case .failure(let error) where state.isDraining && error is CancellationError:
                    // The server ends its streams in order to stop; that is no error to the client.
                    return finishResponse()
                case .failure:
                    // Cut off: without its last chunk, or with RST_STREAM, the body cannot be taken for complete.
                    context.flush()
                    return context.close(promise: nil)
                }
            }
        }
    }

    /// The body failed. A client that takes what was written so far reads to the cut; one that takes nothing would
    /// hold connection and memory for ever.
    func cutOff(_ number: UInt64) {
        guard let context, running?.number == number, case .pipe = outgoing, !context.channel.isWritable
        else { return }
        context.close(promise: nil)
    }

    private func finishResponse() {
        guard let context else { return }
        outgoing = nil
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        if state.bodyIsOpen {
            // What the responder left of the body is skipped.
            bodyIsHeld = false
            running?.body?.abandon(HTTPError(.closed, "the response was already sent"))
            if isStream { refuseRest() }
        }
        running = nil
        // On HTTP/2 the connection has a timer for all its streams, but none for a client that takes nothing.
        if !isStream || !context.channel.isWritable {
            expectSomething(within: server.configuration.idleTimeout)
        }
        let next = state.responseEnded()
        if case .close = next { linger() } else { perform(next) }
    }

    /// Closes a connection whose client may still be sending: closing at once would reset it, and the reset could
    /// overtake the response (RFC 9112 section 9.6).
    private func linger() {
        guard let context, !isLingering else { return }
        isLingering = true
        readIfPossible()
        let channel = context.channel
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        whenWritten {
            handler.value.expectSomething(within: .seconds(1))
            channel.close(mode: .output, promise: nil)
        }
    }

    private func closeWhenWritten() {
        guard let channel = context?.channel else { return }
        whenWritten { channel.close(promise: nil) }
    }

    /// Acts once everything written so far is on its way; closing a channel drops what is not.
    private func whenWritten(_ act: @escaping @Sendable () -> Void) {
        let encoder = try? context?.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
        guard !isStream, let encoder else { return act() }
        encoder.writeAndFlush(NIOAny(IOData.byteBuffer(ByteBuffer()))).whenComplete { _ in act() }
    }

    /// Tells a client of HTTP/2 that the rest of its body is not wanted, and that the response is good all the same
    /// (RFC 9113 section 8.1).
    private func refuseRest() {
        let codec = try? context?.pipeline.syncOperations.context(
            handlerType: HTTP2FramePayloadToHTTP1ServerCodec.self)
        codec?.writeAndFlush(NIOAny(HTTP2Frame.FramePayload.rstStream(.noError)), promise: nil)
    }

    /// Answers without asking the responder.
    private func answerDirectly(_ status: HTTPResponseStatus, _ text: String) {
        guard let context else { return }
        let body = ByteBuffer(string: text + "\n")
        var headers: HTTPHeaders = [
            "content-type": "text/plain; charset=utf-8", "content-length": String(body.readableBytes),
            "date": server.date.now,
        ]
        if !isStream { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    // MARK: Upgrades

    /// Sends 101 and makes the connection a tunnel; nil if the client did not ask for that or went away.
    func switchProtocols(_ number: UInt64, _ response: HTTPResponse) -> Tunnel? {
        guard let context, let running, running.number == number, state.mayUpgrade, !isStream else {
            return nil
        }
        state.responseStarted()
        var headers = response.headers
        headers.remove(name: "connection")
        headers.add(name: "connection", value: "Upgrade")
        let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: headers)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)

        let channel = context.channel
        let pipeline = channel.pipeline.syncOperations
        let task = running.task
        let tunnelHandler = TunnelHandler(eventLoop: context.eventLoop) {
            [registration, registry = server.registry] in
            task.cancel()
            if let registration { registry.remove(registration) }
        }
        do {
            try pipeline.addHandler(tunnelHandler)
            let tunnel = tunnelHandler.makeTunnel(on: channel)
            let decoder = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
            let encoder = try pipeline.context(handlerType: HTTPResponseEncoder.self)
            // The decoder goes last: leaving, it hands the bytes that came behind the request to the tunnel.
            self.running = nil
            deadline = nil
            registration = nil
            pipeline.removeHandler(context: context, promise: nil)
            pipeline.removeHandler(context: encoder, promise: nil)
            inputEnd?.release(afterRemoving: decoder)
            return tunnel
        } catch {
            context.close(promise: nil)
            return nil
        }
    }

    // MARK: Ends

    private func drain() {
        perform(state.drain())
        if case .pipe = outgoing { running?.task.cancel() }
    }

    private func gone() {
        guard context != nil else { return }
        context = nil
        timer?.cancel()
        if let registration { server.registry.remove(registration) }
        registration = nil
        running?.task.cancel()
        running?.body?.finish(throwing: Self.clientIsGone)
        if case .pipe(let pipe) = outgoing { pipe.abandon(Self.clientIsGone) }
        running = nil
        outgoing = nil
    }

    private static let clientIsGone = HTTPError(.connectionClosed, "the client closed the connection")

    /// Closes the connection unless something happens in time. The timer is only touched when it would go off too
    /// late: that one looks at the deadline when it goes off costs a request nothing.
    private func expectSomething(within timeout: Duration) {
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        self.deadline = deadline
        if timerDeadline.map({ $0 > deadline }) ?? true { startTimer(deadline) }
    }

    private func startTimer(_ deadline: NIODeadline) {
        guard let context else { return }
        timer?.cancel()
        timerDeadline = deadline
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(deadline: deadline) { handler.value.timerWentOff() }
    }

    private func timerWentOff() {
        timer = nil
        timerDeadline = nil
        guard let deadline else { return }
        if deadline <= .now() { context?.close(promise: nil) } else { startTimer(deadline) }
    }
}
