/// Whom an `HTTPClient` speaks to, and how.
public struct ClientConfiguration: Sendable {
    /// Where the server is.
    public enum Endpoint: Sendable, Hashable, CustomStringConvertible {
        /// A host name or address and a port.
        case tcp(host: String, port: Int)
        /// The path of a unix socket.
        case unix(path: String)

        public var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path): "unix:\(path)"
            }
        }
    }

    /// TLS as a client sees it.
    public struct TLS: Sendable {
        /// Which certificate authorities may have signed the server's certificate.
        public enum Trust: Sendable {
            /// Those that the system trusts.
            case system
            /// Those in this PEM text.
            case authorities(pem: String)
            /// Anything: for probes and `insecure-skip-tls-verify` only.
            case anything
        }

        /// Which authorities are trusted.
        public var trust: Trust
        /// The name to expect in the server's certificate instead of the endpoint's host.
        public var serverName: String?
        /// The client's certificate chain and key, as PEM texts.
        public var identity: (certificateChainPEM: String, privateKeyPEM: String)?

        /// TLS as a client sees it.
        public init(
            trust: Trust, serverName: String? = nil,
            identity: (certificateChainPEM: String, privateKeyPEM: String)? = nil
        ) {
            self.trust = trust
            self.serverName = serverName
            self.identity = identity
        }
    }

    /// Where the server is.
    public var endpoint: Endpoint
    /// TLS, or nil for plain HTTP/1.1.
    public var tls: TLS?
    /// Whether HTTP/2 is offered over TLS.
    public var offersHTTP2 = true
    /// Sent as `authorization: Bearer …` with every request that has no `authorization` of its own. Asked again
    /// for every request, so that a token can be renewed.
    public var bearerToken: (@Sendable () -> String?)?
    /// How long connecting, with the TLS handshake, may take.
    public var connectTimeout: Duration = .seconds(10)
    /// How long the head of a response may take once the request is sent; nil for ever.
    public var responseTimeout: Duration?
    /// How many HTTP/1.1 connections are kept open unused.
    public var maximumIdleConnections = 8
    /// Where the connections live; nil for any thread.
    package var thread: ClientThread?

    /// Speaks to `endpoint`, over TLS if `tls` is given.
    public init(endpoint: Endpoint, tls: TLS? = nil) {
        self.endpoint = endpoint
        self.tls = tls
    }
}
