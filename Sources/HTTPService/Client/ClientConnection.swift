import NIOCore
internal import NIOHTTP1
import NIOHTTP2
import NIOPosix
import NIOSSL
import NIOTLS

/// An open connection of a client.
struct ClientConnection: Sendable {
    enum Kind: Sendable {
        case http1(NIOLoopBound<ClientHandler>)
        case http2(NIOHTTP2Handler.StreamMultiplexer)
    }

    let channel: any Channel
    let kind: Kind

    var isHTTP2: Bool {
        if case .http2 = kind { return true }
        return false
    }

    /// Sends a request.
    func start(_ exchange: ClientExchange) {
        switch kind {
        case .http1(let handler):
            channel.eventLoop.execute { handler.value.start(exchange) }
        case .http2(let multiplexer):
            channel.eventLoop.execute {
                let opened = channel.eventLoop.makePromise(of: (any Channel).self)
                multiplexer.createStreamChannel(promise: opened) { stream in
                    stream.eventLoop.makeCompletedFuture {
                        try stream.pipeline.syncOperations.addHandlers([
                            HTTP2FramePayloadToHTTP1ClientCodec(httpProtocol: .https),
                            ClientHandler(inputEnd: nil, onIdle: {}, onClose: {}),
                        ])
                    }
                }
                opened.futureResult.whenComplete { result in
                    do {
                        let pipeline = try result.get().pipeline.syncOperations
                        try pipeline.handler(type: ClientHandler.self).start(exchange)
                    } catch {
                        exchange.outcome.resolve(
                            .failure(HTTPError(.connectionClosed, "no stream could be opened", cause: error)))
                    }
                }
            }
        }
    }
}

/// Opens connections.
struct Connector: Sendable {
    let configuration: ClientConfiguration
    /// With HTTP/2 offered as the configuration says, and without, for upgrades.
    let tls: (any: NIOSSLContext, http1: NIOSSLContext)?
    let group: any EventLoopGroup

    init(_ configuration: ClientConfiguration, group: any EventLoopGroup) throws(HTTPError) {
        self.configuration = configuration
        self.group = group
        if let settings = configuration.tls {
            let http1 = try TLSContexts.client(settings, offersHTTP2: false)
            let any = configuration.offersHTTP2 ? try TLSContexts.client(settings, offersHTTP2: true) : http1
            tls = (any, http1)
        } else {
            tls = nil
        }
    }

    /// Opens a connection; `onIdle` and `onClose` are told about it from then on.
    func connect(
        forUpgrade: Bool,
        onIdle: @escaping @Sendable (ClientConnection) -> Void = { $0.channel.close(promise: nil) },
        onClose: @escaping @Sendable (any Channel) -> Void = { _ in }
    ) async throws -> ClientConnection {
        let opened = OneShot<ClientConnection>()
        let endpoint = configuration.endpoint
        let loop = group.next()
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try prepare(
                        channel, opened: opened, forUpgrade: forUpgrade, onIdle: onIdle, onClose: onClose)
                }
            }
        let connecting: EventLoopFuture<any Channel>
        switch endpoint {
        case .tcp(let host, let port):
            connecting =
                bootstrap
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelOption(.socketOption(.so_keepalive), value: 1)
                .connect(host: host, port: port)
        case .unix(let path):
            connecting = bootstrap.connect(unixDomainSocketPath: path)
        }
        let timeout = configuration.connectTimeout
        connecting.whenComplete { result in
            switch result {
            case .failure(let error):
                opened.resolve(
                    .failure(HTTPError(.connectFailed, "cannot connect to \(endpoint)", cause: error)))
            case .success(let channel):
                // Whoever waited may have left, and a handshake may never end.
                if opened.isResolved { return }
                channel.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
                    let error = HTTPError(.timeout, "no connection to \(endpoint) within \(timeout)")
                    if opened.resolve(.failure(error)) { channel.close(promise: nil) }
                }
            }
        }
        do {
            return try await opened.value()
        } catch let error as CancellationError {
            connecting.whenSuccess { $0.close(promise: nil) }
            throw error
        }
    }

    private func prepare(
        _ channel: any Channel, opened: OneShot<ClientConnection>, forUpgrade: Bool,
        onIdle: @escaping @Sendable (ClientConnection) -> Void,
        onClose: @escaping @Sendable (any Channel) -> Void
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        guard let tls else {
            try pipeline.addHandler(
                ConnectionOpening(endpoint: configuration.endpoint, opened: opened) { channel in
                    try serveHTTP1(on: channel, mayUpgrade: forUpgrade, onIdle: onIdle, onClose: onClose)
                })
            return
        }
        // HTTP/2 knows no upgrades.
        let context = forUpgrade ? tls.http1 : tls.any
        try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: serverName))
        try pipeline.addHandler(WriteCoalescer())
        let opening = ConnectionOpening(endpoint: configuration.endpoint, opened: opened, whenActive: nil)
        try pipeline.addHandler(
            ApplicationProtocolNegotiationHandler { result, channel in
                channel.eventLoop.makeCompletedFuture {
                    let sync = channel.pipeline.syncOperations
                    try sync.handler(type: ConnectionOpening.self).isDone = true
                    sync.removeHandler(
                        context: try sync.context(handlerType: ConnectionOpening.self), promise: nil)
                    let connection =
                        if case .negotiated("h2") = result {
                            try serveHTTP2(on: channel, onClose: onClose)
                        } else {
                            try serveHTTP1(
                                on: channel, mayUpgrade: forUpgrade, onIdle: onIdle, onClose: onClose)
                        }
                    if !opened.resolve(.success(connection)) { channel.close(promise: nil) }
                }
            })
        try pipeline.addHandler(opening)
    }

    /// The name for SNI and verification; addresses are verified as addresses, without SNI.
    private var serverName: String? {
        if let name = configuration.tls?.serverName { return name }
        guard case .tcp(let host, _) = configuration.endpoint else { return nil }
        return (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
    }

    private func serveHTTP1(
        on channel: any Channel, mayUpgrade: Bool,
        onIdle: @escaping @Sendable (ClientConnection) -> Void,
        onClose: @escaping @Sendable (any Channel) -> Void
    ) throws -> ClientConnection {
        var framing = HTTPRequestEncoder.Configuration()
        framing.automaticallySetFramingHeaders = false
        let loop = channel.eventLoop
        let inputEnd = InputEndGate()
        // A tunnel goes on when one side ends its direction.
        try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: mayUpgrade)
        let handler = ClientHandler(
            inputEnd: inputEnd,
            onIdle: {
                guard let handler = try? channel.pipeline.syncOperations.handler(type: ClientHandler.self)
                else { return }
                let bound = NIOLoopBound(handler, eventLoop: loop)
                onIdle(ClientConnection(channel: channel, kind: .http1(bound)))
            },
            onClose: { onClose(channel) })
        try channel.pipeline.syncOperations.addHandlers([
            inputEnd,
            HTTPRequestEncoder(configuration: framing),
            ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes)),
            handler,
        ])
        return ClientConnection(channel: channel, kind: .http1(NIOLoopBound(handler, eventLoop: loop)))
    }

    private func serveHTTP2(
        on channel: any Channel, onClose: @escaping @Sendable (any Channel) -> Void
    ) throws -> ClientConnection {
        let pipeline = channel.pipeline.syncOperations
        let multiplexer = try pipeline.configureHTTP2Pipeline(
            mode: .client, connectionConfiguration: HTTP2Limits.clientConnection,
            streamConfiguration: HTTP2Limits.stream
        ) { stream in
            // Servers push nothing: it was disabled in the settings.
            stream.close()
        }
        try pipeline.addHandler(ClientConnectionHandler(onClose: { onClose(channel) }))
        return ClientConnection(channel: channel, kind: .http2(multiplexer))
    }
}

/// Sees a connection until it is open, and tells whoever waits if it fails before.
private final class ConnectionOpening: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    private let endpoint: ClientConfiguration.Endpoint
    private let opened: OneShot<ClientConnection>
    private let whenActive: ((any Channel) throws -> ClientConnection)?
    private var failure: (any Error)?
    var isDone = false

    init(
        endpoint: ClientConfiguration.Endpoint, opened: OneShot<ClientConnection>,
        whenActive: ((any Channel) throws -> ClientConnection)?
    ) {
        self.endpoint = endpoint
        self.opened = opened
        self.whenActive = whenActive
    }

    func channelActive(context: ChannelHandlerContext) {
        guard let whenActive else { return context.fireChannelActive() }
        let channel = context.channel
        isDone = true
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        do {
            let connection = try whenActive(channel)
            if !opened.resolve(.success(connection)) { channel.close(promise: nil) }
        } catch {
            opened.resolve(.failure(error))
            channel.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if failure == nil { failure = error }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isDone {
            let code: HTTPError.Code =
                failure is NIOSSLError || failure is NIOSSLExtraError ? .tls : .connectFailed
            let message =
                code == .tls ? "TLS handshake with \(endpoint) failed" : "cannot connect to \(endpoint)"
            opened.resolve(.failure(HTTPError(code, message, cause: failure)))
        }
        context.fireChannelInactive()
    }
}

/// Watches over a connection of HTTP/2: takes it out of use when the server says farewell, and finds out when the
/// server vanished without a word.
private final class ClientConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// As client-go's ReadIdleTimeout.
    private static let pingInterval = TimeAmount.seconds(30)

    private let onClose: @Sendable () -> Void
    private var heard = true
    private var asked = false
    private var timer: RepeatedTask?

    init(onClose: @escaping @Sendable () -> Void) {
        self.onClose = onClose
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let handler = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleRepeatedTask(
            initialDelay: Self.pingInterval, delay: Self.pingInterval
        ) { _ in
            handler.value.0.tick(handler.value.1)
        }
    }

    private func tick(_ context: ChannelHandlerContext) {
        defer { heard = false }
        if heard {
            asked = false
        } else if asked {
            context.close(promise: nil)
        } else {
            asked = true
            let ping = HTTP2Frame(
                streamID: .rootStream, payload: .ping(HTTP2PingData(withInteger: 1), ack: false))
            context.writeAndFlush(wrapOutboundOut(ping), promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        heard = true
        if case .goAway = unwrapInboundIn(data).payload { onClose() }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        heard = true
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        onClose()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if TLSContexts.isUncleanShutdown(error) || error is NIOHTTP2Errors.StreamError { return }
        context.close(promise: nil)
    }
}
