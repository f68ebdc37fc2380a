internal import Logging
import NIOCore
internal import NIOHTTP1
import NIOHTTP2
import NIOSSL
import NIOTLS
import Synchronization

/// What all connections of one server share.
final class ServerCore: Sendable {
    let configuration: ServerConfiguration
    let responder: any HTTPResponder
    let logger: Logger
    let registry = ConnectionRegistry()
    let date = HTTPDate()
    private let tls: Mutex<NIOSSLContext?>

    init(_ configuration: ServerConfiguration, responder: any HTTPResponder, logger: Logger) throws(HTTPError)
    {
        self.configuration = configuration
        self.responder = responder
        self.logger = logger
        var context: NIOSSLContext?
        if let tls = configuration.tls { context = try TLSContexts.server(tls) }
        tls = Mutex(context)
    }

    /// Uses another certificate for connections from now on.
    func replace(_ context: NIOSSLContext) {
        tls.withLock { $0 = context }
    }

    /// Prepares a connection that was just accepted.
    func prepare(_ channel: any Channel, usesTLS: Bool) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            let peer = ConnectionPeer(
                remoteAddress: channel.remoteAddress?.ipAddress ?? "", eventLoop: channel.eventLoop)
            guard usesTLS, let context = tls.withLock({ $0 }) else {
                return try serveHTTP1(on: channel, peer: peer)
            }
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(
                NIOSSLServerHandler(context: context) { chain, verified in
                    // TLS itself proved that the client owns the key of the first certificate. Whether the chain
                    // is any good is for the responder to say, with a proper answer.
                    peer.presented(chain)
                    verified.succeed(.certificateVerified)
                })
            try pipeline.addHandler(WriteCoalescer())
            let opening = OpeningDeadline(timeout: TimeAmount(configuration.headerTimeout))
            try pipeline.addHandler(opening)
            try pipeline.addHandler(
                ApplicationProtocolNegotiationHandler { result, channel in
                    channel.eventLoop.makeCompletedFuture {
                        channel.pipeline.syncOperations.removeHandler(opening, promise: nil)
                        peer.resumed(channel)
                        if case .negotiated("h2") = result {
                            try self.serveHTTP2(on: channel, peer: peer)
                        } else {
                            try self.serveHTTP1(on: channel, peer: peer)
                        }
                    }
                })
        }
    }

    private func serveHTTP1(on channel: any Channel, peer: ConnectionPeer) throws {
        // The end of the client's direction is not the end of the connection: tunnels go on, and a response that is
        // under way is still sent.
        try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        var framing = HTTPResponseEncoder.Configuration()
        framing.automaticallySetFramingHeaders = false
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderListSize = Self.maximumHeaderSize
        let decoder = HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits)
        let inputEnd = InputEndGate()
        try channel.pipeline.syncOperations.addHandlers([
            inputEnd,
            HTTPResponseEncoder(configuration: framing),
            ByteToMessageHandler(decoder),
            ExchangeHandler(server: self, peer: peer, inputEnd: inputEnd),
        ])
    }

    private func serveHTTP2(on channel: any Channel, peer: ConnectionPeer) throws {
        let pipeline = channel.pipeline.syncOperations
        var management = NIOHTTP2ServerConnectionManagementHandler.Configuration.defaults
        management.maxIdleTime = TimeAmount(configuration.idleTimeout)
        management.maxGraceTime = nil
        // Finds clients that vanished without a word while they watch.
        management.keepalive = .init(pingInterval: .seconds(60), ackTimeout: .seconds(30))
        let manager = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop, configuration: management)
        _ = try pipeline.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: HTTP2Limits.serverConnection,
            streamConfiguration: HTTP2Limits.serverStream, streamDelegate: manager.http2StreamDelegate
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandlers([
                    EndOfStreamMerger(),
                    HTTP2FramePayloadToHTTP1ServerCodec(),
                    ExchangeHandler(server: self, peer: peer, inputEnd: nil),
                ])
            }
        }
        try pipeline.addHandlers([manager, ConnectionGuard(registry: registry, logger: logger)])
    }

    /// Size of all header fields of a request, as in Go's net/http.
    static let maximumHeaderSize = 1 << 20
}

/// Limits of HTTP/2. NIOHTTP2's own (200 of everything in 30 s) are too small for Kubernetes clients, which open
/// hundreds of watches on one connection and cancel them as they please. A server's are made so that a stranger who
/// floods it with pings or with requests that it takes back at once loses the connection; a client trusts its server.
enum HTTP2Limits {
    static var serverConnection: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = connection
        configuration.maximumBufferedControlFrames = 10_000
        configuration.controlFrameRateLimit.maximumCount = strangerLimit
        configuration.initialSettings = [
            // As upstream's --http2-max-streams-per-connection.
            HTTP2Setting(parameter: .maxConcurrentStreams, value: 1000),
            HTTP2Setting(parameter: .maxHeaderListSize, value: ServerCore.maximumHeaderSize),
            HTTP2Setting(parameter: .initialWindowSize, value: windowSize),
        ]
        return configuration
    }

    static var clientConnection: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = connection
        configuration.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .maxHeaderListSize, value: ServerCore.maximumHeaderSize),
            HTTP2Setting(parameter: .initialWindowSize, value: windowSize),
        ]
        return configuration
    }

    /// So many control frames, resets or errors a client may send in 30 seconds.
    static let strangerLimit = 2000

    static var serverStream: NIOHTTP2Handler.StreamConfiguration {
        var configuration = stream
        configuration.streamResetFrameRateLimit.maximumCount = strangerLimit
        configuration.streamErrorRateLimit.maximumCount = strangerLimit
        return configuration
    }

    static var stream: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.targetWindowSize = windowSize
        configuration.outboundBufferSizeHighWatermark = 128 * 1024
        configuration.outboundBufferSizeLowWatermark = 32 * 1024
        configuration.streamResetFrameRateLimit.maximumCount = 10_000
        configuration.streamErrorRateLimit.maximumCount = 10_000
        return configuration
    }

    private static var connection: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.maximumBufferedControlFrames = 100_000
        configuration.maximumRecentlyResetStreams = 1000
        // Stream errors, counted over a connection's whole life, would end one that only lives long. The limit by
        // time (streamErrorRateLimit) counts the same errors and stops those who flood.
        configuration.maximumConnectionGlitches = .max
        configuration.controlFrameRateLimit.maximumCount = 100_000
        configuration.targetWindowSize = 4 * windowSize
        return configuration
    }

    private static let windowSize = 1 << 20
}

/// What is known of the client at the other end of a connection.
final class ConnectionPeer: Sendable {
    let remoteAddress: String
    /// Where its requests are answered.
    let executor: EventLoopExecutor
    private let identity = Mutex(Peer.anonymous)

    init(remoteAddress: String, eventLoop: any EventLoop) {
        self.remoteAddress = remoteAddress
        executor = EventLoopExecutor(eventLoop)
    }

    var peer: Peer { identity.withLock { $0 } }

    /// The client proved to own the key of the first of these certificates.
    func presented(_ chain: [NIOSSLCertificate]) {
        let certificates = chain.compactMap { try? $0.toDERBytes() }
        guard !certificates.isEmpty else { return }
        identity.withLock { $0 = .certificates(certificates) }
    }

    /// A resumed TLS session brings the certificate of the first handshake along and does not present it again.
    func resumed(_ channel: any Channel) {
        guard case .anonymous = peer else { return }
        if let leaf = try? channel.pipeline.syncOperations.nioSSL_peerCertificate() { presented([leaf]) }
    }
}

/// Closes a connection that does not finish its TLS handshake in time.
private final class OpeningDeadline: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    private let timeout: TimeAmount
    private var timer: Scheduled<Void>?

    init(timeout: TimeAmount) {
        self.timeout = timeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
    }
}

/// Enters a connection of HTTP/2 into the registry, and closes it when it fails.
private final class ConnectionGuard: ChannelInboundHandler {
    typealias InboundIn = Any

    private let registry: ConnectionRegistry
    private let logger: Logger
    private var registration: UInt64?

    init(registry: ConnectionRegistry, logger: Logger) {
        self.registry = registry
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        registration = registry.add(
            ConnectionRegistry.Entry(
                isConnection: true,
                drain: { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) },
                close: { channel.close(promise: nil) }))
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let registration { registry.remove(registration) }
        registration = nil
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if TLSContexts.isUncleanShutdown(error) { return }
        // An error of one stream is that stream's affair.
        if error is NIOHTTP2Errors.StreamError { return }
        logger.debug("HTTP/2 connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }
}
