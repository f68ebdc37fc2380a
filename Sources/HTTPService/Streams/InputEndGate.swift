import NIOCore

/// Stands before the decoder of a connection that may become a tunnel, and keeps two things from going wrong when the
/// other side ends its direction.
///
/// The news of that is held back while it is not settled whether the connection becomes a tunnel: the decoder would
/// throw away the bytes that came behind the request or response. And before the connection is closed it is taken out
/// of half-closure mode, in which NIOSSL does not take the other side's farewell for an answer to its own, but waits
/// for its time-out.
final class InputEndGate: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    /// Whether the news is held back.
    var isHeld = false
    private var hasEnded = false
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event, isHeld {
            hasEnded = true
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .all {
            // Fails only for a channel that is closed already.
            try? context.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
        }
        context.close(mode: mode, promise: promise)
    }

    /// Lets the news pass, now or when it comes.
    func release() {
        isHeld = false
        guard hasEnded else { return }
        hasEnded = false
        context?.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    /// Takes an HTTP decoder out, which hands the bytes that it did not read to the next handler, and then lets pass
    /// what was held back and reads on.
    func release(afterRemoving decoder: ChannelHandlerContext) {
        let removed = decoder.eventLoop.makePromise(of: Void.self)
        decoder.pipeline.syncOperations.removeHandler(context: decoder, promise: removed)
        let gate = NIOLoopBound(self, eventLoop: decoder.eventLoop)
        let channel = decoder.channel
        removed.futureResult.whenComplete { _ in
            gate.value.release()
            channel.read()
        }
    }
}
