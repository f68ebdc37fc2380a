import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import SwiftProtobuf
import Synchronization

/// A gRPC client over one unix socket: unary and server-streaming calls, deadlines, reconnection.
///
/// One connection is kept; when it is lost the next call opens another. A call that fails after its request
/// may have left is never repeated here: only the caller knows whether that is safe.
///
/// A server written with grpc-go sends a PING for nearly every call. NIOHTTP2's default limit takes that
/// for an attack by a stranger after about 200 calls; the peer is our own child, so the limits are raised.
package final class GRPCClient: Sendable {
    private enum State {
        case idle
        case connecting(EventLoopFuture<Connection>)
        case closed
    }
    private struct Connection: Sendable {
        let channel: any Channel
        let streams: NIOHTTP2Handler.StreamMultiplexer
    }

    package let socketPath: String
    private let group: any EventLoopGroup
    private let state = Mutex<State>(.idle)

    package init(socketPath: String, group: any EventLoopGroup) {
        self.socketPath = socketPath
        self.group = group
    }

    /// Calls a method that has one request and one answer.
    ///
    /// - Parameters:
    ///   - timeout: after this long the call fails with `deadlineExceeded`; the server is told as well.
    ///   - metadata: further request headers, such as containerd's `containerd-namespace`.
    package func unary<Request: Message & Sendable, Response: Message & Sendable>(
        _ method: String, _ request: Request, returning: Response.Type = Response.self,
        timeout: Duration, metadata: [(String, String)] = []
    ) async throws(GRPCError) -> Response {
        let messages = open(method, try Self.serialize(request, method), timeout: timeout, metadata: metadata)
        var last: [UInt8]?
        do {
            for try await message in messages { last = message }
        } catch let error as GRPCError {
            throw error
        } catch {
            throw GRPCError(.unknown, "\(error)", method: method)
        }
        // A cancelled task sees the sequence end early.
        if Task.isCancelled { throw GRPCError(.cancelled, "The caller went away.", method: method) }
        guard let last else { throw GRPCError(.internal, "An answer without a message.", method: method) }
        return try Self.parse(last, method)
    }

    /// Calls a method that answers with a stream of messages; it ends when the server ends it, with an
    /// error when the connection is lost, and is cancelled when the sequence is dropped.
    package func serverStream<Request: Message & Sendable, Response: Message & Sendable>(
        _ method: String, _ request: Request, returning: Response.Type = Response.self,
        metadata: [(String, String)] = []
    ) throws(GRPCError) -> some AsyncSequence<Response, any Error> & Sendable {
        open(method, try Self.serialize(request, method), timeout: nil, metadata: metadata)
            .map { (bytes: [UInt8]) throws -> Response in try Self.parse(bytes, method) }
    }

    /// Closes the connection; calls under way and later ones fail with `unavailable`.
    package func close() async {
        let previous = state.withLock { state in
            defer { state = .closed }
            return state
        }
        if case .connecting(let future) = previous, let connection = try? await future.get() {
            try? await connection.channel.close()
        }
    }

    // MARK: - One call

    private func open(
        _ method: String, _ request: [UInt8], timeout: Duration?, metadata: [(String, String)]
    ) -> AsyncThrowingStream<[UInt8], any Error> {
        let deadline = timeout.map { NIODeadline.now() + TimeAmount($0) }
        var headers: HPACKHeaders = [
            ":method": "POST", ":scheme": "http", ":path": method, ":authority": "localhost",
            "content-type": "application/grpc", "te": "trailers", "user-agent": "swiftlet",
        ]
        if let timeout { headers.add(name: "grpc-timeout", value: Self.header(timeout)) }
        for (name, value) in metadata { headers.add(name: name, value: value) }
        let requestHeaders = headers

        return AsyncThrowingStream { continuation in
            let call = OpenCall()
            if let deadline {
                // Here and not on the stream: connecting may take too long as well.
                call.alarm = group.next().scheduleTask(deadline: deadline) {
                    continuation.finish(
                        throwing: GRPCError(.deadlineExceeded, "No answer in time.", method: method))
                }
            }
            continuation.onTermination = { _ in call.end() }
            open(call, retries: 1) {
                GRPCCallHandler(method: method, headers: requestHeaders, request: request) { event in
                    switch event {
                    case .message(let bytes): continuation.yield(bytes)
                    case .end(let error): continuation.finish(throwing: error)
                    }
                }
            } failed: { error in
                let reason = error as? GRPCError ?? GRPCError(.unavailable, "\(error)")
                continuation.finish(throwing: GRPCError(reason.code, reason.message, method: method))
            }
        }
    }

    /// Opens a stream for a call. A connection that turns out to be dead before anything was sent is replaced
    /// by a new one, once.
    private func open(
        _ call: OpenCall, retries: Int, handler: @escaping @Sendable () -> GRPCCallHandler,
        failed: @escaping @Sendable (any Error) -> Void
    ) {
        let connection = connection()
        connection.flatMap { connection in
            connection.streams.createStreamChannel { stream in
                stream.eventLoop.makeCompletedFuture {
                    // A stream of a connection that has just died would never hear of it.
                    guard connection.channel.isActive else { throw DeadConnection() }
                    try stream.pipeline.syncOperations.addHandler(handler())
                }
            }
        }.whenComplete { result in
            switch result {
            case .success(let stream): call.opened(stream)
            case .failure(let error):
                guard error is DeadConnection, retries > 0 else { return failed(error) }
                self.forget(connection)
                self.open(call, retries: retries - 1, handler: handler, failed: failed)
            }
        }
    }

    /// The connection was lost before the call was on it.
    private struct DeadConnection: Error, CustomStringConvertible {
        var description: String { "The connection was lost." }
    }

    // MARK: - The connection

    private func connection() -> EventLoopFuture<Connection> {
        let loop = group.next()
        return state.withLock { state in
            switch state {
            case .closed:
                return loop.makeFailedFuture(GRPCError(.unavailable, "The client has been closed."))
            case .connecting(let future):
                return future
            case .idle:
                let future = connect()
                state = .connecting(future)
                future.whenComplete { result in
                    switch result {
                    case .success(let connection):
                        connection.channel.closeFuture.whenComplete { _ in self.forgetLater(future) }
                    case .failure:
                        self.forgetLater(future)
                    }
                }
                return future
            }
        }
    }

    /// Forgets on a later turn of the loop: a future that fails at once calls back under the lock.
    private func forgetLater(_ future: EventLoopFuture<Connection>) {
        future.eventLoop.execute { self.forget(future) }
    }

    private func forget(_ future: EventLoopFuture<Connection>) {
        state.withLock { state in
            if case .connecting(let current) = state, current === future { state = .idle }
        }
    }

    private func connect() -> EventLoopFuture<Connection> {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.controlFrameRateLimit.maximumCount = .max
        configuration.maximumConnectionGlitches = .max
        configuration.targetWindowSize = 1 << 20
        var streams = NIOHTTP2Handler.StreamConfiguration()
        streams.targetWindowSize = 1 << 20
        streams.streamResetFrameRateLimit.maximumCount = .max
        streams.streamErrorRateLimit.maximumCount = .max
        let (connectionConfiguration, streamConfiguration) = (configuration, streams)
        let path = socketPath
        return ClientBootstrap(group: group)
            .connectTimeout(.seconds(5))
            // Not after the connection stands: the server speaks first, and a handler that comes too late
            // would miss its settings.
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    _ = try pipeline.configureHTTP2Pipeline(
                        mode: .client, connectionConfiguration: connectionConfiguration,
                        streamConfiguration: streamConfiguration
                    ) { stream in stream.eventLoop.makeSucceededVoidFuture() }
                    try pipeline.addHandler(ConnectionErrorHandler())
                }
            }
            .connect(unixDomainSocketPath: path)
            .flatMapThrowing { channel in
                let handler = try channel.pipeline.syncOperations.handler(type: NIOHTTP2Handler.self)
                return Connection(channel: channel, streams: try handler.syncMultiplexer())
            }
            .flatMapErrorThrowing { error in
                throw GRPCError(.unavailable, "Cannot connect to \(path): \(error)")
            }
    }

    // MARK: - Encoding

    private static func serialize(_ request: some Message, _ method: String) throws(GRPCError) -> [UInt8] {
        do {
            return try request.serializedBytes()
        } catch {
            throw GRPCError(.internal, "The request cannot be encoded: \(error)", method: method)
        }
    }

    private static func parse<Response: Message>(
        _ bytes: [UInt8], _ method: String
    ) throws(GRPCError) -> Response {
        do {
            return try Response(serializedBytes: bytes)
        } catch {
            throw GRPCError(.internal, "The answer cannot be decoded: \(error)", method: method)
        }
    }

    /// `grpc-timeout`: at most eight digits and a unit; milliseconds while they fit, then seconds.
    package static func header(_ timeout: Duration) -> String {
        let (seconds, attoseconds) = timeout.components
        guard seconds >= 0, attoseconds >= 0 else { return "0m" }
        if seconds < 99_999 { return "\(seconds * 1000 + attoseconds / 1_000_000_000_000_000)m" }
        return "\(min(seconds, 99_999_999))S"
    }
}

/// Closes the connection after an error that concerns all of it. NIOHTTP2 only reports such errors; the
/// connection would stay, and its calls would wait in vain.
private final class ConnectionErrorHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is NIOHTTP2Errors.StreamError || error is NIOHTTP2Errors.StreamClosed { return }
        context.close(promise: nil)
    }
}

/// Closes a call's stream when its reader is done, whichever of the two comes first, and stops its alarm.
private final class OpenCall: Sendable {
    private struct State {
        var stream: (any Channel)?
        var alarm: Scheduled<Void>?
        var hasEnded = false
    }
    private let state = Mutex(State())

    /// What ends the call when it takes too long.
    var alarm: Scheduled<Void>? {
        get { state.withLock { $0.alarm } }
        set { state.withLock { $0.alarm = newValue } }
    }

    func opened(_ stream: any Channel) {
        let hasEnded = state.withLock { state in
            state.stream = stream
            return state.hasEnded
        }
        if hasEnded { stream.close(promise: nil) }
    }

    func end() {
        let (stream, alarm) = state.withLock { state in
            state.hasEnded = true
            defer { state.alarm = nil }
            return (state.stream, state.alarm)
        }
        alarm?.cancel()
        stream?.close(promise: nil)
    }
}
