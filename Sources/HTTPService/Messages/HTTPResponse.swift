public import NIOHTTP1

/// What a responder answers.
public struct HTTPResponse: Sendable {
    /// The status.
    public var status: HTTPResponseStatus
    /// The header fields. The server adds `content-length` or `transfer-encoding`, `date` and `connection`.
    public var headers: HTTPHeaders
    /// The body.
    public var body: ResponseBody

    /// A response from its parts.
    public init(status: HTTPResponseStatus = .ok, headers: HTTPHeaders = [:], body: ResponseBody = .empty) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A response with a body of a known type.
    public init(status: HTTPResponseStatus = .ok, contentType: String, _ bytes: [UInt8]) {
        self.init(status: status, headers: ["content-type": contentType], body: .bytes(bytes))
    }

    /// A response with a plain text.
    public init(status: HTTPResponseStatus = .ok, text: String) {
        self.init(status: status, contentType: "text/plain; charset=utf-8", Array(text.utf8))
    }
}

/// The body of a response.
public enum ResponseBody: Sendable {
    /// No body.
    case empty
    /// The whole body.
    case bytes([UInt8])
    /// A body that the closure writes bit by bit; it ends when the closure returns. If the closure throws, the
    /// body is cut off so that the client can tell. The closure's task is cancelled when the client goes away
    /// or the server ends its streams to shut down.
    case stream(@Sendable (any ResponseWriter) async throws -> Void)
    /// The connection itself, once the response's head (status 101, with the `upgrade` header in `headers`) is
    /// sent. It is closed when the closure returns. Only for requests that offered an upgrade; the server
    /// answers 500 in its place otherwise.
    case tunnel(@Sendable (Tunnel) async throws -> Void)
}

/// Takes the bytes of a streamed body.
public protocol ResponseWriter: Sendable {
    /// Sends bytes. Bytes written in quick succession travel together, none waits for a later one.
    ///
    /// Returns as soon as the connection takes more (back pressure).
    /// - Throws: `HTTPError` with `connectionClosed` when the client went, `CancellationError`.
    func write(_ bytes: [UInt8]) async throws
}

/// Answers requests.
public protocol HTTPResponder: Sendable {
    /// Answers a request. The task is cancelled when the client goes away.
    func respond(to request: HTTPRequest) async -> HTTPResponse
}

/// A responder made of a closure.
public struct ClosureResponder: HTTPResponder {
    private let answer: @Sendable (HTTPRequest) async -> HTTPResponse

    /// A responder made of a closure.
    public init(_ answer: @escaping @Sendable (HTTPRequest) async -> HTTPResponse) {
        self.answer = answer
    }

    public func respond(to request: HTTPRequest) async -> HTTPResponse {
        await answer(request)
    }
}
