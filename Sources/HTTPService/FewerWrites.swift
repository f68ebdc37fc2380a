import NIOCore
import NIOHTTP2

/// Lets the end of an HTTP/2 stream travel with its last data: a frame less to make, to encrypt and to take apart
/// for each response.
final class EndOfStreamMerger: ChannelOutboundHandler {
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private var held: (data: HTTP2Frame.FramePayload.Data, promise: EventLoopPromise<Void>?)?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let frame = unwrapOutboundIn(data)
        if case .data(let end) = frame, end.endStream, end.data.readableBytes == 0, var last = held {
            held = nil
            last.data.endStream = true
            let both = promise ?? last.promise
            if let own = last.promise, promise != nil { both?.futureResult.cascade(to: own) }
            context.write(wrapOutboundOut(.data(last.data)), promise: both)
            return
        }
        release(context)
        if case .data(let data) = frame, !data.endStream {
            held = (data, promise)
        } else {
            context.write(wrapOutboundOut(frame), promise: promise)
        }
    }

    func flush(context: ChannelHandlerContext) {
        release(context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        release(context)
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        held?.promise?.fail(ChannelError.ioOnClosedChannel)
        held = nil
    }

    private func release(_ context: ChannelHandlerContext) {
        guard let last = held else { return }
        held = nil
        context.write(wrapOutboundOut(.data(last.data)), promise: last.promise)
    }
}

/// Puts small writes between two flushes into one: HTTP/2 writes a frame in up to two pieces, and below it each
/// piece would become a TLS record of its own.
final class WriteCoalescer: ChannelOutboundHandler {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// As much as a TLS record holds; larger pieces are not worth copying.
    private static let limit = 16 * 1024

    private var pending: (buffer: ByteBuffer, promise: EventLoopPromise<Void>?)?

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .byteBuffer(var buffer) = unwrapOutboundIn(data), buffer.readableBytes < Self.limit else {
            release(context)
            context.write(data, promise: promise)
            return
        }
        guard var before = pending, before.buffer.readableBytes + buffer.readableBytes <= Self.limit else {
            release(context)
            pending = (buffer, promise)
            return
        }
        // Dropped first, or appending would copy.
        pending = nil
        before.buffer.writeBuffer(&buffer)
        if let promise {
            if let own = before.promise { promise.futureResult.cascade(to: own) }
            before.promise = promise
        }
        pending = before
    }

    func flush(context: ChannelHandlerContext) {
        release(context)
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        // A connection that is shut down closes with its last stream, before that stream's end was flushed.
        if pending != nil {
            release(context)
            context.flush()
        }
        context.close(mode: mode, promise: promise)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        pending?.promise?.fail(ChannelError.ioOnClosedChannel)
        pending = nil
    }

    private func release(_ context: ChannelHandlerContext) {
        guard let last = pending else { return }
        pending = nil
        context.write(wrapOutboundOut(.byteBuffer(last.buffer)), promise: last.promise)
    }
}
