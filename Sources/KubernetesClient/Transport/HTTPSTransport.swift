public import HTTPService
import Synchronization

/// Reaches an API server over HTTP, usually over TLS.
public struct HTTPSTransport: Transport {
    private let client: HTTPClient
    /// What the server's URL has behind host and port, without a slash at the end.
    private let prefix: String
    public let host: String

    /// - Parameter prefix: a path in front of all paths of the API, as behind a proxy.
    public init(_ configuration: ClientConfiguration, prefix: String = "") throws(HTTPError) {
        client = try HTTPClient(configuration)
        host = "\(configuration.endpoint)"
        self.prefix = prefix
    }

    /// The server and user of a kubeconfig file's context.
    ///
    /// - Parameters:
    ///   - context: nil for the file's current one.
    ///   - adjust: changes what the file does not speak of: time limits, the version of HTTP.
    /// - Throws: `KubeconfigError`, `HTTPError`.
    public init(
        kubeconfig: Kubeconfig, context: String? = nil,
        adjust: (inout ClientConfiguration) -> Void = { _ in }
    ) throws {
        let (cluster, user, _) = try kubeconfig.select(context: context)
        let server = try ServerURL(cluster.server)
        if let unsupported = user.unsupported, user.token == nil, user.clientCertificate == nil {
            throw KubeconfigError(
                .unsupported,
                "the user authenticates by \(unsupported), which is not supported here; use a token or a client certificate"
            )
        }
        var configuration = ClientConfiguration(
            endpoint: .tcp(host: server.host, port: server.port),
            tls: server.isTLS ? try Self.tls(cluster, user) : nil)
        configuration.bearerToken = try Self.token(user)
        adjust(&configuration)
        try self.init(configuration, prefix: server.path)
    }

    /// The API server of the cluster that this process is a pod of: the service account's token and
    /// authority, and the address that the node gave to the container.
    ///
    /// - Throws: `KubeconfigError`, `HTTPError`.
    public static func inCluster(
        host: String, port: Int, directory: String = "/var/run/secrets/kubernetes.io/serviceaccount"
    ) throws -> HTTPSTransport {
        let authorities = try Kubeconfig.Source.file(directory + "/ca.crt").load()
        var configuration = ClientConfiguration(
            endpoint: .tcp(host: host, port: port),
            tls: .init(trust: .authorities(pem: String(decoding: authorities, as: UTF8.self))))
        configuration.bearerToken = try token(
            Kubeconfig.User(token: .file(directory + "/token")))
        return try HTTPSTransport(configuration)
    }

    private static func tls(
        _ cluster: Kubeconfig.Cluster, _ user: Kubeconfig.User
    ) throws(KubeconfigError) -> ClientConfiguration.TLS {
        var tls = ClientConfiguration.TLS(trust: .system, serverName: cluster.tlsServerName)
        if cluster.skipsTLSVerify {
            tls.trust = .anything
        } else if let authority = cluster.certificateAuthority {
            tls.trust = .authorities(pem: String(decoding: try authority.load(), as: UTF8.self))
        }
        switch (user.clientCertificate, user.clientKey) {
        case (let certificate?, let key?):
            tls.identity = (
                String(decoding: try certificate.load(), as: UTF8.self),
                String(decoding: try key.load(), as: UTF8.self)
            )
        case (nil, nil):
            break
        case (_?, nil):
            throw KubeconfigError(.malformed, "the user has a client-certificate but no client-key")
        case (nil, _?):
            throw KubeconfigError(.malformed, "the user has a client-key but no client-certificate")
        }
        return tls
    }

    /// A token in a file is read for every request: it is renewed there while we run.
    private static func token(
        _ user: Kubeconfig.User
    ) throws(KubeconfigError) -> (@Sendable () -> String?)? {
        guard let source = user.token else { return nil }
        let first = try read(source)
        guard case .file = source else { return { first } }
        let last = Mutex(first)
        return {
            last.withLock { last in
                // A file that cannot be read at this moment leaves the token that was there.
                if let token = try? read(source), !token.isEmpty { last = token }
                return last
            }
        }
    }

    private static func read(_ source: Kubeconfig.Source) throws(KubeconfigError) -> String {
        let text = String(decoding: try source.load(), as: UTF8.self)
        return String(text.prefix { !$0.isWhitespace })
    }

    public func send(_ request: HTTPRequest) async throws -> ClientResponse {
        guard !prefix.isEmpty else { return try await client.send(request) }
        var request = request
        request.path = prefix + request.path
        return try await client.send(request)
    }

    /// Closes all connections.
    public func close() async { await client.close() }
}

/// The URL of an API server.
package struct ServerURL: Sendable, Hashable {
    package var isTLS: Bool
    package var host: String
    package var port: Int
    /// Without a slash at the end.
    package var path: String

    /// - Throws: `malformed`.
    package init(_ text: String) throws(KubeconfigError) {
        func malformed() -> KubeconfigError {
            KubeconfigError(
                .malformed, "the server should be a URL like https://host:6443, found \"\(text)\"")
        }
        var rest = text[...]
        if rest.hasPrefix("https://") {
            isTLS = true
            rest = rest.dropFirst(8)
        } else if rest.hasPrefix("http://") {
            isTLS = false
            rest = rest.dropFirst(7)
        } else if rest.contains("://") {
            throw malformed()
        } else {
            // As kubectl understands it.
            isTLS = false
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        var path = rest.dropFirst(authority.count).prefix { $0 != "?" && $0 != "#" }
        while path.hasSuffix("/") { path = path.dropLast() }
        self.path = String(path)

        var portText: Substring?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { throw malformed() }
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            let after = authority[authority.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw malformed() }
            portText = after.isEmpty ? nil : after.dropFirst()
        } else {
            let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2, let name = parts.first, !name.contains("@") else { throw malformed() }
            host = String(name)
            portText = parts.count == 2 ? parts[1] : nil
        }
        if let portText {
            guard let number = UInt16(portText), number > 0 else { throw malformed() }
            port = Int(number)
        } else {
            port = isTLS ? 443 : 80
        }
        guard !host.isEmpty else { throw malformed() }
    }
}
