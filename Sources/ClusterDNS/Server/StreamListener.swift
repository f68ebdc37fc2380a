import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Answers queries over TCP (RFC 7766): several may be under way on a connection, and one that says nothing
/// for a while is closed.
struct StreamListener: Sendable {
    let channel: any Channel

    /// Connections at a time, for each address; more are closed at once.
    private static let mostConnections = 1024
    /// IP_FREEBIND: the address need not be assigned to an interface yet.
    private static let freeBind = ChannelOptions.Types.SocketOption(
        level: .ip, name: NIOBSDSocket.Option(rawValue: 15))

    /// Connections wait in the kernel until `start`.
    static func bind(
        _ address: ListenAddress, group: any EventLoopGroup, idleLimit: Duration,
        respond: @escaping @Sendable ([UInt8], ListenAddress?) -> StreamReply
    ) async throws(DNSError) -> StreamListener {
        let connections = Connections()
        do {
            let channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.autoRead, value: false)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(freeBind, value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelInitializer { channel in
                    guard connections.add(upTo: mostConnections) else {
                        return channel.close()
                    }
                    channel.closeFuture.whenComplete { _ in connections.remove() }
                    return channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandlers([
                            IdleStateHandler(allTimeout: TimeAmount(idleLimit)),
                            StreamConversation(idleLimit: TimeAmount(idleLimit), respond: respond),
                        ])
                    }
                }
                .bind(to: address.socketAddress()).get()
            return StreamListener(channel: channel)
        } catch {
            let code = (error as? IOError)?.errnoCode
            throw DNSError(
                .cannotListen,
                "cannot listen for DNS queries on \(address) (TCP)"
                    + (code.map { ": \(errorText($0))" } ?? "")
                    + (code == EADDRINUSE ? "; see what does with: ss -ltnp" : ""),
                cause: code == nil ? error : nil)
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

/// Counts open connections.
private final class Connections: Sendable {
    private let count = Atomic<Int>(0)

    func add(upTo most: Int) -> Bool {
        if count.wrappingAdd(1, ordering: .relaxed).newValue <= most { return true }
        remove()
        return false
    }

    func remove() { count.wrappingSubtract(1, ordering: .relaxed) }
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

    private let idleLimit: TimeAmount
    private let respond: @Sendable ([UInt8], ListenAddress?) -> StreamReply
    private var frames = FrameSplitter()
    private var client: ListenAddress?
    /// Since when a message is incomplete.
    private var incompleteSince: NIODeadline?
    /// Queries that wait for other servers.
    private var waiting = 0
    private var isClosing = false

    /// A client that has more queries under way is not read from until some are answered.
    private static let mostWaiting = 64

    init(idleLimit: TimeAmount, respond: @escaping @Sendable ([UInt8], ListenAddress?) -> StreamReply) {
        self.idleLimit = idleLimit
        self.respond = respond
    }

    func channelActive(context: ChannelHandlerContext) {
        client = context.remoteAddress.flatMap { address in
            guard let text = address.ipAddress, let host = HostAddress(text) else { return nil }
            return ListenAddress(address: host, port: UInt16(clamping: address.port ?? 0))
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        frames.append(unwrapInboundIn(data))
        answer(context)
        // Byte by byte a client could stay for ever without asking anything.
        guard frames.isIncomplete else {
            incompleteSince = nil
            return
        }
        let since = incompleteSince ?? .now()
        incompleteSince = since
        if .now() - since > idleLimit { context.close(promise: nil) }
    }

    /// A client that does not take its answers gets no more of them until it does.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            answer(context)
            updateReading(context)
        } else {
            setReading(false, context)
        }
        context.fireChannelWritabilityChanged()
    }

    private func answer(_ context: ChannelHandlerContext) {
        while waiting < Self.mostWaiting, context.channel.isWritable, let message = frames.next() {
            switch respond(message, client) {
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
        // Nothing is left to be answered here unless the client does not take its answers.
        guard isClosing, waiting == 0, context.channel.isWritable else { return }
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in
            loopBound.value.close(promise: nil)
        }
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
        answer(context)
        updateReading(context)
    }

    private func updateReading(_ context: ChannelHandlerContext) {
        setReading(waiting < Self.mostWaiting && context.channel.isWritable, context)
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
        switch event {
        case is IdleStateHandler.IdleStateEvent:
            if waiting == 0 { context.close(promise: nil) } else { isClosing = true }
        case ChannelEvent.inputClosed:
            // A client that has said all still gets its answers (RFC 1035, 4.2.2).
            isClosing = true
            answer(context)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
