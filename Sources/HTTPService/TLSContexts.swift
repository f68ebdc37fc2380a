import NIOCore
import NIOSSL

/// TLS contexts made of PEM texts.
enum TLSContexts {
    static func server(_ tls: ServerConfiguration.TLS) throws(HTTPError) -> NIOSSLContext {
        let chain = try certificates(tls.certificateChainPEM, of: "the server's certificate")
        let key = try privateKey(tls.privateKeyPEM, of: "the server's key")
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["h2", "http/1.1"]
        // A client may send a certificate and need not. What it sends is accepted as it is (see ServerPipeline):
        // the responder decides what it is worth.
        configuration.certificateVerification = .optionalVerification
        configuration.trustRoots = .certificates([])
        if let authorities = tls.clientAuthoritiesPEM {
            configuration.trustRoots = .certificates(
                try certificates(authorities, of: "the clients' authorities"))
            configuration.sendCANameList = true
        }
        return try context(configuration)
    }

    static func client(_ tls: ClientConfiguration.TLS, offersHTTP2: Bool) throws(HTTPError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = offersHTTP2 ? ["h2", "http/1.1"] : ["http/1.1"]
        switch tls.trust {
        case .system: configuration.trustRoots = .default
        case .authorities(let pem):
            configuration.trustRoots = .certificates(try certificates(pem, of: "the server's authorities"))
        case .anything:
            configuration.certificateVerification = .none
            configuration.trustRoots = .certificates([])
        }
        if let identity = tls.identity {
            let chain = try certificates(identity.certificateChainPEM, of: "the client's certificate")
            configuration.certificateChain = chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(
                try privateKey(identity.privateKeyPEM, of: "the client's key"))
        }
        return try context(configuration)
    }

    /// Whether the other side closed its connection without saying so in TLS first. Go programs do.
    static func isUncleanShutdown(_ error: any Error) -> Bool {
        if let error = error as? NIOSSLError, error == .uncleanShutdown { return true }
        return false
    }

    private static func certificates(_ pem: String, of what: String) throws(HTTPError) -> [NIOSSLCertificate]
    {
        do {
            let certificates = try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8))
            guard !certificates.isEmpty else {
                throw HTTPError(.tls, "\(what): no certificate in the PEM text")
            }
            return certificates
        } catch let error as HTTPError {
            throw error
        } catch {
            throw HTTPError(.tls, "\(what) cannot be read as PEM", cause: error)
        }
    }

    private static func privateKey(_ pem: String, of what: String) throws(HTTPError) -> NIOSSLPrivateKey {
        do {
            return try NIOSSLPrivateKey(bytes: Array(pem.utf8), format: .pem)
        } catch {
            throw HTTPError(.tls, "\(what) cannot be read as PEM", cause: error)
        }
    }

    private static func context(_ configuration: TLSConfiguration) throws(HTTPError) -> NIOSSLContext {
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw HTTPError(.tls, "certificate and key cannot be used together", cause: error)
        }
    }
}
