public import NIOHTTP1

/// The method of a request.
public typealias HTTPMethod = NIOHTTP1.HTTPMethod
/// Header fields, in order, names compared without case.
public typealias HTTPHeaders = NIOHTTP1.HTTPHeaders
/// The status of a response.
public typealias HTTPResponseStatus = NIOHTTP1.HTTPResponseStatus

/// A request, as a server hands it to its responder and as a client sends it.
public struct HTTPRequest: Sendable {
    /// The method.
    public var method: HTTPMethod
    /// The path as it stands in the request line: percent-encoded, beginning with `/`, without the query.
    public var path: String
    /// The query, decoded.
    public var query: QueryItems
    /// The header fields. On a server, `host` holds HTTP/2's `:authority` as well.
    public var headers: HTTPHeaders
    /// The body.
    public var body: RequestBody
    /// Who asks, as far as the connection tells. Of no meaning to `HTTPClient`.
    public var peer: Peer
    /// The address from which the request came: `192.0.2.7`, `2001:db8::7`, or "" (unix socket, in process).
    public var remoteAddress: String
    /// Where a server answers it: a task made to answer it runs there as well. Nil for anywhere.
    package var executor: (any TaskExecutor)?

    /// A request from its parts.
    public init(
        method: HTTPMethod = .GET, path: String, query: QueryItems = [:], headers: HTTPHeaders = [:],
        body: RequestBody = .empty, peer: Peer = .anonymous, remoteAddress: String = ""
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.peer = peer
        self.remoteAddress = remoteAddress
    }

    /// A request for a target such as `/api/v1/pods?watch=true`.
    public init(
        method: HTTPMethod = .GET, target: String, headers: HTTPHeaders = [:], body: RequestBody = .empty
    ) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        self.init(
            method: method, path: parts.first.map(String.init) ?? "/",
            query: parts.count > 1 ? QueryItems(parsing: parts[1]) : [:], headers: headers, body: body)
    }

    /// The path and, if there is one, the query, encoded for a request line.
    public var target: String {
        query.isEmpty ? path : "\(path)?\(query)"
    }

    /// The parts of the path between slashes, each decoded by itself (an encoded slash does not split), empty
    /// ones left out.
    public var pathSegments: [String] {
        path.split(separator: "/").map { PercentEncoding.decode($0) ?? String($0) }
    }

    /// The protocols offered in `Upgrade`, if the request asks to leave HTTP/1.1 (RFC 9110 section 7.8); nil
    /// otherwise and on HTTP/2, where there is no such thing. Written as the client wrote them.
    public var upgradeProtocols: [String]? {
        let asks = headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" }
        let offered = headers[canonicalForm: "upgrade"].map(String.init)
        return asks && !offered.isEmpty ? offered : nil
    }
}

/// Who asks.
public enum Peer: Sendable, Hashable {
    /// Nothing is known (a bearer token in the headers may tell more).
    case anonymous
    /// The client proved to own the key of the first of these certificates (DER, leaf first). Nothing about
    /// them was verified: that is the responder's work.
    case certificates([[UInt8]])
    /// A part of the same process.
    case inProcess(user: String, groups: [String])
}

/// The body of a request: at hand, or still arriving.
public enum RequestBody: Sendable {
    /// The whole body.
    case bytes([UInt8])
    /// A body read as it arrives, once.
    case stream(ByteStream)

    /// No body.
    public static var empty: RequestBody { .bytes([]) }

    /// The body in chunks.
    public var chunks: ByteStream {
        switch self {
        case .bytes(let bytes): ByteStream(bytes)
        case .stream(let stream): stream
        }
    }

    /// The whole body.
    /// - Throws: `HTTPError` with `bodyTooLarge` as soon as it is known to be longer than `limit` bytes,
    ///   `connectionClosed` when the client went before it was complete, `CancellationError`.
    public func collect(upTo limit: Int) async throws -> [UInt8] {
        switch self {
        case .bytes(let bytes):
            guard bytes.count <= limit else { throw HTTPError.tooLarge(limit) }
            return bytes
        case .stream(let stream):
            return try await stream.collect(upTo: limit)
        }
    }
}

extension HTTPError {
    static func tooLarge(_ limit: Int) -> HTTPError {
        HTTPError(.bodyTooLarge, "the body is larger than the limit of \(limit) bytes")
    }
}
