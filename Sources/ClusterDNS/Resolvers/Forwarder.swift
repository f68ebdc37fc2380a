import Logging
import NIOCore
import NIOPosix

/// Asks other servers, one after the other until one answers.
struct Forwarder: Sendable {
    /// The servers to ask at this moment.
    let servers: @Sendable () -> [SocketAddress]
    let group: any EventLoopGroup
    let clock: any Clock<Duration>
    let logger: Logger
    /// How long one server has for its answer.
    var patience = Duration.seconds(2)
    /// How often the list of servers is gone through.
    var rounds = 2

    /// SERVFAIL if nobody answers.
    func resolve(_ question: Question) async -> Answer {
        let servers = servers()
        if servers.isEmpty {
            logger.debug(
                "no server to forward to: the resolver file names none",
                metadata: ["name": "\(question.name)", "type": "\(question.type)"])
        }
        for _ in 0..<rounds {
            for server in servers {
                if Task.isCancelled { break }
                do {
                    let response = try await ask(question, server)
                    // A server that fails may have a neighbour that does not.
                    if response.answer.code == .serverFailure || response.answer.code == .refused { continue }
                    return response.answer
                } catch {
                    logger.debug(
                        "a server did not answer",
                        metadata: [
                            "server": "\(server)", "name": "\(question.name)", "error": "\(error)",
                        ])
                }
            }
        }
        return Answer(code: .serverFailure)
    }

    private func ask(_ question: Question, _ server: SocketAddress) async throws -> Response {
        let query = Query(
            id: .random(in: 0...UInt16.max), question: question,
            extensions: Query.Extensions(payloadSize: Query.largestDatagram, wantsDNSSEC: false))
        return try await withDeadline {
            let response = try await overDatagram(query, server)
            return response.isTruncated ? try await overStream(query, server) : response
        }
    }

    private struct TimedOut: Error {}

    private func withDeadline(_ body: @escaping @Sendable () async throws -> Response) async throws
        -> Response
    {
        try await withThrowingTaskGroup(of: Response.self) { group in
            group.addTask(operation: body)
            group.addTask {
                try await clock.sleep(for: patience)
                throw TimedOut()
            }
            defer { group.cancelAll() }
            guard let response = try await group.next() else { throw TimedOut() }
            return response
        }
    }

    /// From a port of its own, which the kernel picks at random: an answer is hard to forge.
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
