/// Where an `HTTPServer` listens, and what it puts up with.
public struct ServerConfiguration: Sendable {
    /// A place to listen.
    public enum Address: Sendable, Hashable, CustomStringConvertible {
        /// A local address and a port; port 0 takes a free one.
        case tcp(host: String, port: Int)
        /// A unix socket, made anew with this file mode.
        case unix(path: String, mode: UInt32 = 0o600)

        public var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path, _): "unix:\(path)"
            }
        }
    }

    /// TLS as a server sees it. A client may send a certificate and need not; whatever it sends is passed on to
    /// the responder in `HTTPRequest.peer`, unverified.
    public struct TLS: Sendable {
        /// The server's certificate and those between it and the root, as PEM text.
        public var certificateChainPEM: String
        /// The certificate's key, as PEM text.
        public var privateKeyPEM: String
        /// The authorities whose client certificates are of use here (PEM text), named to clients so that they
        /// can choose; nil names none.
        public var clientAuthoritiesPEM: String?

        /// TLS as a server sees it.
        public init(certificateChainPEM: String, privateKeyPEM: String, clientAuthoritiesPEM: String? = nil) {
            self.certificateChainPEM = certificateChainPEM
            self.privateKeyPEM = privateKeyPEM
            self.clientAuthoritiesPEM = clientAuthoritiesPEM
        }
    }

    /// Where to listen.
    public var addresses: [Address]
    /// TLS (HTTP/2 and HTTP/1.1), or nil for plain HTTP/1.1. Applies to all addresses but unix sockets.
    public var tls: TLS?
    /// How long a connection may take to send a complete request head (and, before it, to finish the TLS
    /// handshake).
    public var headerTimeout: Duration = .seconds(15)
    /// How long a connection may stay without a request.
    public var idleTimeout: Duration = .seconds(120)
    /// How long requests in flight may go on after the server was told to stop.
    public var drainTimeout: Duration = .seconds(5)

    /// Listens on `addresses`.
    public init(addresses: [Address], tls: TLS? = nil) {
        self.addresses = addresses
        self.tls = tls
    }
}
