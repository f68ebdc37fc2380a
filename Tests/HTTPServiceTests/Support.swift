import HTTPService
import Logging
import NIOCore
import NIOPosix
import PKI
import Synchronization

/// The configuration of a server at a free port on loopback, with patience: hundreds of tests start at once.
func loopback(tls: ServerConfiguration.TLS? = nil) -> ServerConfiguration {
    var configuration = ServerConfiguration(addresses: [.tcp(host: "127.0.0.1", port: 0)], tls: tls)
    configuration.headerTimeout = .seconds(300)
    configuration.drainTimeout = .seconds(20)
    return configuration
}

/// A server on loopback for the duration of a test.
func withServer<Result>(
    tls: ServerConfiguration.TLS? = nil,
    _ answer: @escaping @Sendable (HTTPRequest) async -> HTTPResponse,
    _ test: (HTTPServer, Int) async throws -> Result
) async throws -> Result {
    try await withServer(loopback(tls: tls), answer, test)
}

/// A server for the duration of a test.
func withServer<Result>(
    _ configuration: ServerConfiguration,
    _ answer: @escaping @Sendable (HTTPRequest) async -> HTTPResponse,
    _ test: (HTTPServer, Int) async throws -> Result
) async throws -> Result {
    var logger = Logger(label: "swiftlet.test")
    logger.logLevel = .error
    let server = try HTTPServer(configuration, responder: ClosureResponder(answer), logger: logger)
    let addresses = try await server.bind()
    var port = 0
    if case .tcp(_, let bound)? = addresses.first { port = bound }
    do {
        let result = try await test(server, port)
        await server.stop()
        return result
    } catch {
        await server.stop()
        throw error
    }
}

func plainClient(_ port: Int) throws -> HTTPClient {
    var configuration = ClientConfiguration(endpoint: .tcp(host: "127.0.0.1", port: port))
    configuration.connectTimeout = .seconds(300)
    return try HTTPClient(configuration)
}

/// An authority and a server certificate of it, made once for all tests.
struct TestPKI {
    static let shared = Result { try TestPKI() }

    let authority: CertificateAuthority
    let server: ServerConfiguration.TLS

    init() throws {
        authority = try CertificateAuthority(commonName: "test-ca")
        let pair = try authority.issueServer(names: ["localhost"], addresses: ["127.0.0.1"])
        server = ServerConfiguration.TLS(
            certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM,
            clientAuthoritiesPEM: authority.certificatePEM)
    }

    func client(_ port: Int, http2: Bool, identity: KeyPair? = nil) throws -> HTTPClient {
        var configuration = ClientConfiguration(endpoint: .tcp(host: "127.0.0.1", port: port))
        configuration.tls = ClientConfiguration.TLS(
            trust: .authorities(pem: authority.certificatePEM),
            identity: identity.map { ($0.certificatePEM, $0.privateKeyPEM) })
        configuration.offersHTTP2 = http2
        configuration.connectTimeout = .seconds(300)
        return try HTTPClient(configuration)
    }
}

/// Bytes over TCP, exactly as a test wants them.
struct RawConnection {
    fileprivate let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    fileprivate var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private(set) var received = ""

    mutating func send(_ text: String) async throws {
        try await outbound.write(ByteBuffer(string: text))
    }

    /// Ends the outbound direction.
    func finish() {
        outbound.finish()
    }

    /// Reads until `condition` holds for everything received so far; false if the connection ended before.
    mutating func receive(until condition: (String) -> Bool) async throws -> Bool {
        while !condition(received) {
            guard let buffer = try await inbound.next() else { return false }
            received += String(buffer: buffer)
        }
        return true
    }

    /// Reads to the end.
    mutating func receiveAll() async throws -> String {
        _ = try await receive { _ in false }
        return received
    }
}

func withRawConnection<Result: Sendable>(
    _ port: Int, _ body: @Sendable (inout RawConnection) async throws -> Result
) async throws -> Result {
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                    wrappingChannelSynchronously: channel,
                    configuration: .init(isOutboundHalfClosureEnabled: true))
            }
        }
    return try await channel.executeThenClose { inbound, outbound in
        var connection = RawConnection(outbound: outbound, inbound: inbound.makeAsyncIterator())
        return try await body(&connection)
    }
}

/// Something that happens once, and those who wait for it.
final class Event: Sendable {
    private let state = Mutex((happened: false, waiting: [CheckedContinuation<Void, Never>]()))

    func happen() {
        let waiting = state.withLock { state in
            state.happened = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    var hasHappened: Bool { state.withLock { $0.happened } }

    func wait() async {
        await withCheckedContinuation { continuation in
            let now = state.withLock { state in
                if !state.happened { state.waiting.append(continuation) }
                return state.happened
            }
            if now { continuation.resume() }
        }
    }
}

extension ClientResponse {
    func text() async throws -> String {
        String(decoding: try await body.collect(upTo: 64 << 20), as: UTF8.self)
    }
}

/// A generator whose numbers are the same every time.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        // SplitMix64.
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
