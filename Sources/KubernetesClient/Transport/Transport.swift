public import HTTPService

/// Carries requests to an API server.
public protocol Transport: Sendable {
    /// The server's name in metrics: `127.0.0.1:6443`.
    var host: String { get }
    /// Returns as soon as the head of the response is there; cancelling the task ends the request.
    func send(_ request: HTTPRequest) async throws -> ClientResponse
}

extension Transport {
    /// For those that lead to no host.
    public var host: String { "in-process" }
}

/// Calls an API server of the same process: no socket, no TLS, no copies of bodies at hand.
public struct InProcessTransport: Transport {
    private let responder: any HTTPResponder
    private let peer: Peer

    /// - Parameters:
    ///   - user: the name under which requests are authorised: `system:node:n1`.
    ///   - groups: that user's groups: `system:masters`.
    public init(responder: any HTTPResponder, user: String, groups: [String]) {
        self.responder = responder
        peer = .inProcess(user: user, groups: groups)
    }

    public func send(_ request: HTTPRequest) async throws -> ClientResponse {
        try Task.checkCancellation()
        var request = request
        request.peer = peer
        let response = await responder.respond(to: request)
        try Task.checkCancellation()
        return ClientResponse(status: response.status, headers: response.headers, body: body(response.body))
    }

    private func body(_ body: ResponseBody) -> ByteStream {
        switch body {
        case .empty, .tunnel:
            // A tunnel needs a connection to take over; requests that offer an upgrade go over HTTP.
            return ByteStream()
        case .bytes(let bytes):
            return ByteStream(bytes)
        case .stream(let produce):
            let (stream, writer) = ByteStream.makePipe()
            // The producer lives as long as the stream that this function returns, not as long as the
            // caller's task: it ends when the stream is dropped or its reader cancelled.
            let producer = Task {
                do {
                    try await produce(writer)
                    writer.finish()
                } catch {
                    writer.finish(throwing: error)
                }
            }
            writer.onAbandon { producer.cancel() }
            return stream
        }
    }
}
