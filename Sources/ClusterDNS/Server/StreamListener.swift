import NIOCore
import NIOPosix

/// Answers queries over TCP (RFC 7766): several may be under way on a connection, and one that says nothing
/// for a while is closed.
struct StreamListener: Sendable {
    let channel: any Channel

    private static let idleLimit = TimeAmount.seconds(10)
    /// IP_FREEBIND: the address need not be assigned to an interface yet.
    private static let freeBind = ChannelOptions.Types.SocketOption(
        level: .ip, name: NIOBSDSocket.Option(rawValue: 15))

    /// Connections wait in the kernel until `start`.
    static func bind(
        _ address: ListenAddress, group: any EventLoopGroup,
        respond: @escaping @Sendable ([UInt8]) -> StreamReply
    ) async throws(DNSError) -> StreamListener {
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.autoRead, value: false)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(freeBind, value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers([
                            IdleStateHandler(allTimeout: idleLimit), StreamConversation(respond: respond),
                        ])
                    }
                }
                .bind(to: address.socketAddress()).get()
            return StreamListener(channel: channel)
        } catch {
            throw DNSError(
                .cannotListen, "cannot listen for DNS queries on \(address) (TCP)", cause: error)
        }
    }

    func start() async throws {
        try await channel.setOption(.autoRead, value: true).get()
    }

    func run() async throws {
        try await start()
        try await withTaskCancellationHandler {
            try await channel.closeFuture.get()
        } onCancel: {
            channel.close(promise: nil)
        }
    }
}

/// The answer to a query that came over TCP.
enum StreamReply: Sendable {
    case now([UInt8])
    case later(@Sendable () async -> [UInt8])
    /// Not a query: the connection is closed.
    case none
}

/// One connection.
private final class StreamConversation: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let respond: @Sendable ([UInt8]) -> StreamReply
    private var frames = FrameSplitter()
    /// Queries that wait for other servers.
    private var waiting = 0
    private var isClosing = false

    /// A client that has more queries under way is not read from until some are answered.
    private static let mostWaiting = 64

    init(respond: @escaping @Sendable ([UInt8]) -> StreamReply) {
        self.respond = respond
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        frames.append(unwrapInboundIn(data))
        answer(context)
    }

    private func answer(_ context: ChannelHandlerContext) {
        while waiting < Self.mostWaiting, let message = frames.next() {
            switch respond(message) {
            case .now(let reply):
                write(reply, context)
            case .later(let resolve):
                wait(for: resolve, context)
            case .none:
                context.close(promise: nil)
                return
            }
        }
        context.flush()
    }

    private func wait(for resolve: @escaping @Sendable () async -> [UInt8], _ context: ChannelHandlerContext)
    {
        waiting += 1
        if waiting == Self.mostWaiting { setReading(false, context) }
        let loopBound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.makeFutureWithTask(resolve).whenSuccess { reply in
            let (conversation, context) = loopBound.value
            conversation.finish(reply, context)
        }
    }

    private func finish(_ reply: [UInt8], _ context: ChannelHandlerContext) {
        waiting -= 1
        guard context.channel.isActive else { return }
        write(reply, context)
        if waiting == Self.mostWaiting - 1 { setReading(true, context) }
        answer(context)
        if isClosing, waiting == 0 { context.close(promise: nil) }
    }

    private func setReading(_ isReading: Bool, _ context: ChannelHandlerContext) {
        context.channel.setOption(.autoRead, value: isReading).whenFailure { _ in }
    }

    private func write(_ reply: [UInt8], _ context: ChannelHandlerContext) {
        var buffer = context.channel.allocator.buffer(capacity: reply.count + 2)
        buffer.writeInteger(UInt16(clamping: reply.count))
        buffer.writeBytes(reply)
        context.write(wrapOutboundOut(buffer), promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            if waiting == 0 { context.close(promise: nil) } else { isClosing = true }
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
