import NIOCore
import NIOPosix

/// Queries to other servers, each over a socket of its own.
struct NetworkTransport: UpstreamTransport {
    let group: any EventLoopGroup

    func exchange(_ query: Query, with server: ListenAddress) async throws -> Response {
        let address = try server.socketAddress()
        let response = try await overDatagram(query, address)
        return response.isTruncated ? try await overStream(query, address) : response
    }

    /// From a port of its own, which the kernel picks at random: an answer is hard to forge (RFC 5452).
    private func overDatagram(_ query: Query, _ server: SocketAddress) async throws -> Response {
        let waiting = group.next().makePromise(of: Response.self)
        do {
            let channel = try await DatagramBootstrap(group: waiting.futureResult.eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            DatagramExchange(query: query, waiting: waiting))
                    }
                }
                .connect(to: server).get()
            let message = channel.allocator.buffer(bytes: query.message())
            return try await exchange(
                channel, AddressedEnvelope(remoteAddress: server, data: message), waiting.futureResult)
        } catch {
            waiting.fail(error)
            throw error
        }
    }

    private func overStream(_ query: Query, _ server: SocketAddress) async throws -> Response {
        let waiting = group.next().makePromise(of: Response.self)
        do {
            let channel = try await ClientBootstrap(group: waiting.futureResult.eventLoop)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            StreamExchange(query: query, waiting: waiting))
                    }
                }
                .connect(to: server).get()
            let message = query.message()
            var framed = channel.allocator.buffer(capacity: message.count + 2)
            framed.writeInteger(UInt16(message.count))
            framed.writeBytes(message)
            return try await exchange(channel, framed, waiting.futureResult)
        } catch {
            waiting.fail(error)
            throw error
        }
    }

    private func exchange(
        _ channel: any Channel, _ message: some Sendable, _ answer: EventLoopFuture<Response>
    ) async throws -> Response {
        defer { channel.close(promise: nil) }
        return try await withTaskCancellationHandler {
            try await channel.writeAndFlush(message)
            return try await answer.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }
}

private struct Disconnected: Error {}

/// Waits for the datagram that answers the query; others are not for us.
private final class DatagramExchange: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let query: Query
    private let waiting: EventLoopPromise<Response>

    init(query: Query, waiting: EventLoopPromise<Response>) {
        self.query = query
        self.waiting = waiting
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Array(unwrapInboundIn(data).data.readableBytesView)
        if let response = try? Response(reading: bytes), response.answers(query) {
            waiting.succeed(response)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        waiting.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        waiting.fail(Disconnected())
    }
}

/// Waits for the message, preceded by its length, that answers the query.
private final class StreamExchange: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let query: Query
    private let waiting: EventLoopPromise<Response>
    private var frames = FrameSplitter()

    init(query: Query, waiting: EventLoopPromise<Response>) {
        self.query = query
        self.waiting = waiting
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        frames.append(unwrapInboundIn(data))
        while let frame = frames.next() {
            if let response = try? Response(reading: frame), response.answers(query) {
                waiting.succeed(response)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        waiting.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        waiting.fail(Disconnected())
    }
}
