import NIOCore

/// Joins a channel of bytes to a `Tunnel`. Lives on the channel's event loop.
final class TunnelHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Small writes travel together up to this size.
    private static let flushSize = 64 * 1024

    private let arriving = BytePipe()
    private let leaving = BytePipe()
    private var context: ChannelHandlerContext?
    private var isHeld = false
    private var readIsWithheld = false
    private var inputHasEnded = false
    private var outputHasEnded = false
    private var isPumping = false
    private let outputEnd: EventLoopPromise<Void>
    private let onClose: @Sendable () -> Void

    /// - Parameter onClose: called when the channel is closed.
    init(eventLoop: any EventLoop, onClose: @escaping @Sendable () -> Void = {}) {
        outputEnd = eventLoop.makePromise()
        self.onClose = onClose
    }

    /// The tunnel. To be asked for once, on the event loop.
    func makeTunnel(on channel: any Channel) -> Tunnel {
        let loop = channel.eventLoop
        let handler = NIOLoopBound(self, eventLoop: loop)
        arriving.onRelease { loop.execute { handler.value.release() } }
        leaving.onBytes { loop.execute { handler.value.pump() } }
        return Tunnel(
            inbound: ByteStream(arriving),
            write: { [leaving] in try await leaving.write($0) },
            finish: { [leaving, outputEnd] in
                leaving.finish()
                // Only ever succeeds.
                try? await outputEnd.futureResult.get()
            },
            close: { channel.close(promise: nil) })
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        ended()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        if !arriving.push(Array(buffer.readableBytesView)) { isHeld = true }
    }

    func read(context: ChannelHandlerContext) {
        if isHeld { readIsWithheld = true } else { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            inputHasEnded = true
            arriving.finish()
            closeIfDone()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        pump()
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A peer that ends TLS without saying so has ended its direction; everything else is the end.
        if TLSContexts.isUncleanShutdown(error) { return }
        arriving.finish(throwing: HTTPError(.connectionClosed, "the connection failed", cause: error))
        context.close(promise: nil)
    }

    private func release() {
        isHeld = false
        guard readIsWithheld else { return }
        readIsWithheld = false
        context?.read()
    }

    private func pump() {
        // Flushing may call back here through channelWritabilityChanged.
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        // Everything is flushed before looking whether the channel is writable: only what is flushed counts when TLS
        // is below.
        while let context, !outputHasEnded, context.channel.isWritable {
            var merged = ByteBuffer()
            let taken = leaving.takeAll(upTo: Self.flushSize, into: &merged)
            if merged.readableBytes > 0 { context.writeAndFlush(wrapOutboundOut(merged), promise: nil) }
            switch taken {
            case .bytes:
                continue
            case .nothing:
                return
            case .end:
                return endOutput(context)
            case .failure:
                return context.close(promise: nil)
            }
        }
    }

    private func endOutput(_ context: ChannelHandlerContext) {
        outputHasEnded = true
        // Closing the output of a channel whose input has ended closes it at once, with whatever is not written yet:
        // so first let everything be written.
        let channel = context.channel
        let handler = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()))
            .flatMap { channel.close(mode: .output) }
            .whenComplete { _ in handler.value.outputClosed() }
    }

    private func outputClosed() {
        outputEnd.succeed()
        closeIfDone()
    }

    private func closeIfDone() {
        if inputHasEnded && outputHasEnded { context?.close(promise: nil) }
    }

    private func ended() {
        guard context != nil else { return }
        context = nil
        if inputHasEnded || outputHasEnded {
            arriving.finish()
        } else {
            arriving.finish(throwing: HTTPError(.connectionClosed, "the other side closed the connection"))
        }
        leaving.abandon(HTTPError(.connectionClosed, "the other side closed the connection"))
        outputEnd.succeed()
        onClose()
    }
}
