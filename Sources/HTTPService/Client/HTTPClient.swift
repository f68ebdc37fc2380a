/// Speaks HTTP to one server, over as many connections as it takes.
public struct HTTPClient: Sendable {
    /// A client for the server that `configuration` names. Connects when there is something to send.
    /// - Throws: `HTTPError` with `tls` when certificates or keys cannot be used.
    public init(_ configuration: ClientConfiguration) throws(HTTPError) {
        self.configuration = configuration
    }

    private let configuration: ClientConfiguration

    /// Sends a request; returns when the head of the response is there. Cancelling the task ends the request.
    /// - Throws: `HTTPError`, `CancellationError`.
    public func send(_ request: HTTPRequest) async throws -> ClientResponse {
        throw HTTPError(.connectFailed, "not connected to \(configuration.endpoint)")
    }

    /// Sends a request that asks to leave HTTP (it carries `connection: Upgrade` and `upgrade`), on a connection
    /// of its own.
    /// - Throws: `HTTPError`, `CancellationError`.
    public func upgrade(_ request: HTTPRequest) async throws -> UpgradeResult {
        throw HTTPError(.connectFailed, "not connected to \(configuration.endpoint)")
    }

    /// Closes all connections. Requests in flight end with an error, later ones with `closed`.
    public func close() async {}
}
