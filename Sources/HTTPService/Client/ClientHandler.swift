import NIOCore
internal import NIOHTTP1
import NIOHTTP2

/// The client's end of one connection of HTTP/1.1, which carries one exchange after the other, or of one stream of
/// HTTP/2, which carries one. Lives on the channel's event loop.
final class ClientHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    /// Small writes of a body travel together up to this size.
    private static let sliceSize = 256 * 1024

    private let isStream: Bool
    private let inputEnd: InputEndGate?
    /// Called when the connection can take another exchange.
    private let onIdle: @Sendable () -> Void
    /// Called when the connection is closed.
    private let onClose: @Sendable () -> Void

    private var context: ChannelHandlerContext?
    private var exchange: ClientExchange?
    private var outgoing: BytePipe?
    private var upload: Task<Void, Never>?
    private var isPumping = false
    private var requestIsSent = false
    private var response: BytePipe?
    private var responseIsHeld = false
    private var readIsWithheld = false
    private var keepsAlive = true
    private var switched: HTTPHeaders?
    private var timer: Scheduled<Void>?

    /// - Parameter inputEnd: the gate before the decoder of HTTP/1.1; nil for a stream of HTTP/2.
    init(
        inputEnd: InputEndGate?, onIdle: @escaping @Sendable () -> Void,
        onClose: @escaping @Sendable () -> Void
    ) {
        self.inputEnd = inputEnd
        isStream = inputEnd == nil
        self.onIdle = onIdle
        self.onClose = onClose
    }

    // MARK: Sending

    /// Sends a request; the connection has to be free.
    func start(_ exchange: ClientExchange) {
        guard let context, self.exchange == nil, context.channel.isActive else {
            let error = HTTPError(.connectionClosed, "the connection was closed before the request was sent")
            exchange.outcome.resolve(.failure(error))
            return
        }
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        let isWanted = exchange.attach { handler.eventLoop.execute { handler.value.cancel(exchange) } }
        guard isWanted else {
            exchange.detach()
            if isStream { context.close(promise: nil) } else { onIdle() }
            return
        }
        self.exchange = exchange
        keepsAlive = true
        requestIsSent = false
        if let timeout = exchange.responseTimeout {
            timer = context.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
                handler.value.timedOut(exchange, timeout)
            }
        }
        context.write(wrapOutboundOut(.head(exchange.head)), promise: nil)
        switch exchange.body {
        case .bytes(let bytes):
            if !bytes.isEmpty {
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
            }
            finishRequest()
        case .stream(let stream):
            context.flush()
            let pipe = BytePipe()
            outgoing = pipe
            pipe.onBytes { handler.eventLoop.execute { handler.value.pump() } }
            // Unstructured since the response may be read while the request is still being written; it ends with
            // the exchange.
            upload = Task {
                do {
                    for try await bytes in stream { try await pipe.write(bytes) }
                    pipe.finish()
                } catch {
                    pipe.finish(throwing: error)
                    stream.abandon(HTTPError(.closed, "the request ended before its body was sent"))
                }
            }
        }
    }

    private func pump() {
        // Flushing may call back here through channelWritabilityChanged.
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        while let context, let outgoing, context.channel.isWritable {
            var merged = ByteBuffer()
            let taken = outgoing.takeAll(upTo: Self.sliceSize, into: &merged)
            if merged.readableBytes > 0 {
                context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(merged))), promise: nil)
            }
            switch taken {
            case .bytes:
                continue
            case .nothing:
                return
            case .end:
                self.outgoing = nil
                return finishRequest()
            case .failure(let error):
                return fail(
                    HTTPError(.connectionClosed, "the body of the request could not be read", cause: error))
            }
        }
    }

    private func finishRequest() {
        requestIsSent = true
        context?.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    // MARK: The channel's events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let exchange else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            // 1xx only says that a response will come (RFC 9110 section 15.2).
            guard head.status.code >= 200 || head.status == .switchingProtocols else { return }
            exchange.responded()
            timer?.cancel()
            keepsAlive = head.isKeepAlive
            if head.status == .switchingProtocols {
                switched = head.headers
                keepsAlive = false
                inputEnd?.isHeld = true
            } else {
                startResponse(head, of: exchange)
            }
        case .body(let buffer):
            if response?.push(Array(buffer.readableBytesView)) == false { responseIsHeld = true }
        case .end:
            if let headers = switched { switchProtocols(headers, of: exchange) } else { finishResponse() }
        }
    }

    func read(context: ChannelHandlerContext) {
        if responseIsHeld || switched != nil { readIsWithheld = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        pump()
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Only connections for upgrades stay open when the server ends its direction.
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        gone(nil)
        onClose()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if TLSContexts.isUncleanShutdown(error) { return }
        gone(error)
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    // MARK: The response

    private func startResponse(_ head: HTTPResponseHead, of exchange: ClientExchange) {
        guard let context else { return }
        let pipe = BytePipe()
        response = pipe
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        pipe.onRelease { handler.eventLoop.execute { handler.value.release(exchange) } }
        pipe.onAbandon { handler.eventLoop.execute { handler.value.cancel(exchange) } }
        let body = ByteStream(pipe, abandonsWhenDropped: true)
        exchange.outcome.resolve(
            .success(.response(ClientResponse(status: head.status, headers: head.headers, body: body))))
    }

    private func finishResponse() {
        let body = response
        // The connection is free before anybody can learn that the response is over, so that the next request finds
        // it.
        defer { body?.finish() }
        end()
        if isStream {
            // A response may end before its request does; then nobody wants the rest.
            if !requestIsSent { context?.close(promise: nil) }
        } else if keepsAlive && requestIsSent {
            onIdle()
        } else {
            context?.close(promise: nil)
        }
    }

    private func release(_ exchange: ClientExchange) {
        guard self.exchange === exchange else { return }
        goOnReading()
    }

    private func goOnReading() {
        responseIsHeld = false
        guard readIsWithheld else { return }
        readIsWithheld = false
        context?.read()
    }

    private func switchProtocols(_ headers: HTTPHeaders, of exchange: ClientExchange) {
        guard let context, exchange.allowsUpgrade, requestIsSent, !isStream else {
            fail(HTTPError(.malformed, "the server switched protocols without having been asked to"))
            return
        }
        let channel = context.channel
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        // The decoder is in the middle of its work here, and cannot be taken out before it is done.
        channel.eventLoop.execute { handler.value.becomeTunnel(headers, of: exchange) }
    }

    private func becomeTunnel(_ headers: HTTPHeaders, of exchange: ClientExchange) {
        guard let context, self.exchange === exchange else { return }
        let channel = context.channel
        let pipeline = channel.pipeline.syncOperations
        do {
            let tunnelHandler = TunnelHandler(eventLoop: context.eventLoop, onClose: onClose)
            try pipeline.addHandler(tunnelHandler)
            let tunnel = tunnelHandler.makeTunnel(on: channel)
            let encoder = try pipeline.context(handlerType: HTTPRequestEncoder.self)
            let decoder = try pipeline.context(handlerType: ByteToMessageHandler<HTTPResponseDecoder>.self)
            end()
            pipeline.removeHandler(context: context, promise: nil)
            pipeline.removeHandler(context: encoder, promise: nil)
            inputEnd?.release(afterRemoving: decoder)
            if !exchange.outcome.resolve(.success(.switched(headers, tunnel))) { tunnel.close() }
        } catch {
            fail(HTTPError(.connectionClosed, "the connection closed while it was upgraded", cause: error))
        }
    }

    // MARK: Ends

    private func cancel(_ exchange: ClientExchange) {
        guard self.exchange === exchange else { return }
        fail(CancellationError())
    }

    private func timedOut(_ exchange: ClientExchange, _ timeout: Duration) {
        guard self.exchange === exchange else { return }
        fail(HTTPError(.timeout, "no response within \(timeout)"))
    }

    private func fail(_ error: any Error) {
        exchange?.outcome.resolve(.failure(error))
        response?.finish(throwing: error)
        end()
        context?.close(promise: nil)
    }

    private func gone(_ cause: (any Error)?) {
        guard let exchange else { return }
        let error = HTTPError(
            .connectionClosed, "the server closed the connection before the response was complete",
            cause: cause)
        exchange.outcome.resolve(.failure(error))
        response?.finish(throwing: error)
        end()
    }

    private func end() {
        timer?.cancel()
        timer = nil
        upload?.cancel()
        upload = nil
        outgoing?.abandon(HTTPError(.closed, "the exchange is over"))
        outgoing = nil
        response = nil
        exchange?.detach()
        exchange = nil
        goOnReading()
    }
}
