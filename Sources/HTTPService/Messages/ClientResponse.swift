public import NIOHTTP1

/// What a server answered, as a client sees it.
public struct ClientResponse: Sendable {
    /// The status.
    public var status: HTTPResponseStatus
    /// The header fields.
    public var headers: HTTPHeaders
    /// The body as it arrives, to be read once. Dropping it unread, or cancelling the reading task, ends the
    /// stream (HTTP/2) or closes the connection (HTTP/1.1).
    public var body: ByteStream

    /// A response from its parts.
    public init(status: HTTPResponseStatus, headers: HTTPHeaders = [:], body: ByteStream) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// What came of a request to leave HTTP.
public enum UpgradeResult: Sendable {
    /// The server answered 101: the connection is now a tunnel.
    case switched(headers: HTTPHeaders, tunnel: Tunnel)
    /// The server answered something else.
    case refused(ClientResponse)
}
