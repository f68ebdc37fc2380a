public import Logging

/// Listens, and lets a responder answer.
public final class HTTPServer: Sendable {
    private let configuration: ServerConfiguration

    /// A server that does not listen yet.
    /// - Throws: `HTTPError` with `tls` when the certificate or key cannot be used.
    public init(
        _ configuration: ServerConfiguration, responder: any HTTPResponder, logger: Logger
    ) throws(HTTPError) {
        self.configuration = configuration
    }

    /// Opens the listening sockets. `run()` does it when it was not done before; doing it first tells the ports.
    /// - Returns: the addresses as they came to be, in the order of the configuration.
    /// - Throws: `HTTPError` with `bindFailed`.
    @discardableResult
    public func bind() async throws -> [ServerConfiguration.Address] { configuration.addresses }

    /// Serves until the task is cancelled, then drains: no new connections, streams ended, requests in flight
    /// finished within `drainTimeout`.
    public func run() async throws {}

    /// Uses another certificate for connections from now on.
    /// - Throws: `HTTPError` with `tls`.
    public func replaceTLS(_ tls: ServerConfiguration.TLS) throws(HTTPError) {}
}
