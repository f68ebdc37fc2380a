import NIOCore
import NIOPosix

/// Queries to other servers, each over a socket of its own.
struct NetworkTransport: UpstreamTransport {
    let group: any EventLoopGroup

    /// There are servers that send more than they were told that we take.
    private static let largestDatagram = 8192
    /// What an exchange over TCP may take: less than a server has in all (`ForwardTiming.server`).
    private static let streamLimit = TimeAmount.seconds(1)

    func exchange(_ query: Query, with server: ListenAddress) async throws -> Response {
        let address = try server.socketAddress()
        let response = try await overDatagram(query, address)
        guard response.isTruncated else { return response }
        do {
            return try await overStream(query, address)
        } catch {
            try Task.checkCancellation()
            // Better than nothing: the client is told that something is missing.
            var partial = response
            partial.answer.isTruncated = true
            return partial
        }
    }

    /// From a port of its own, which the kernel picks at random: an answer is hard to forge (RFC 5452).
    private func overDatagram(_ query: Query, _ server: SocketAddress) async throws -> Response {
        let waiting = group.next().makePromise(of: Response.self)
        do {
            let channel = try await DatagramBootstrap(group: waiting.futureResult.eventLoop)
                .channelOption(
                    .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.largestDatagram)
                )
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            ResponseWaiter<AddressedEnvelope<ByteBuffer>>(
                                query: query, waiting: waiting
                            ) { [Array($0.data.readableBytesView)] })
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
            // A way that somebody has blocked says nothing: the answer that was cut is better than none.
            let timer = waiting.futureResult.eventLoop.scheduleTask(in: Self.streamLimit) {
                waiting.fail(TooSlow())
            }
            defer { timer.cancel() }
            let connecting = ClientBootstrap(group: waiting.futureResult.eventLoop)
                .connectTimeout(Self.streamLimit)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        // Each message is preceded by its length.
                        var frames = FrameSplitter()
                        try channel.pipeline.syncOperations.addHandler(
                            ResponseWaiter<ByteBuffer>(query: query, waiting: waiting) {
                                frames.append($0)
                                var complete: [[UInt8]] = []
                                while let frame = frames.next() { complete.append(frame) }
                                return complete
                            })
                    }
                }
                .connect(to: server)
            let channel = try await opened(connecting)
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

    /// The connection, unless the task is cancelled first: NIO would go on trying.
    private func opened(_ connecting: EventLoopFuture<any Channel>) async throws -> any Channel {
        let outcome = connecting.eventLoop.makePromise(of: (any Channel).self)
        connecting.cascade(to: outcome)
        do {
            return try await withTaskCancellationHandler {
                try await outcome.futureResult.get()
            } onCancel: {
                outcome.fail(CancellationError())
            }
        } catch {
            connecting.whenSuccess { $0.close(promise: nil) }
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
private struct TooSlow: Error {}

/// Waits for the message that answers the query; others are not for us.
private final class ResponseWaiter<InboundIn>: ChannelInboundHandler {
    private let query: Query
    private let waiting: EventLoopPromise<Response>
    /// The messages that are complete with what has come.
    private let messages: (InboundIn) -> [[UInt8]]

    init(
        query: Query, waiting: EventLoopPromise<Response>, messages: @escaping (InboundIn) -> [[UInt8]]
    ) {
        self.query = query
        self.waiting = waiting
        self.messages = messages
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        for message in messages(unwrapInboundIn(data)) {
            if let response = try? Response(reading: message), response.answers(query) {
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
