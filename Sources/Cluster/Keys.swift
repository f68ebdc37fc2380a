import HTTPService
import PKI

/// The cluster's keys and certificates, kept in the state folder.
struct Keys: Sendable {
    let authority: CertificateAuthority
    let tokens: ServiceAccountTokens
    let verifier: ClientCertificateVerifier
    let server: KeyPair
    let kubeconfig: KubeconfigEntry

    /// Loads them, or makes what is missing, has run out, or was made for other addresses.
    init(_ configuration: ClusterConfiguration, nodeAddress: String) throws {
        let folder = configuration.pkiDirectory
        authority = try CertificateAuthority.load(orCreateIn: folder)
        let domain = configuration.clusterDomain
        tokens = try ServiceAccountTokens.load(
            orCreateIn: folder, issuer: "https://kubernetes.default.svc.\(domain)")
        verifier = ClientCertificateVerifier(trusting: authority)
        server = try authority.server(
            in: folder, file: "apiserver",
            names: [
                "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                "kubernetes.default.svc.\(domain)",
                "localhost", configuration.nodeName,
            ],
            addresses: ["127.0.0.1", "::1", configuration.apiServiceAddress, nodeAddress])
        let admin = try authority.client(
            in: folder, file: "admin", commonName: "kubernetes-admin", organizations: ["system:masters"])
        kubeconfig = KubeconfigEntry(
            server: "https://127.0.0.1:\(configuration.apiPort)",
            certificateAuthority: Array(authority.certificatePEM.utf8),
            clientCertificate: Array(admin.certificatePEM.utf8), clientKey: Array(admin.privateKeyPEM.utf8))
    }

    /// Where the API server listens: for people on the loopback address, for pods on the node's.
    func serverConfiguration(_ configuration: ClusterConfiguration, nodeAddress: String)
        -> ServerConfiguration
    {
        var addresses = [ServerConfiguration.Address.tcp(host: "127.0.0.1", port: configuration.apiPort)]
        if nodeAddress != "127.0.0.1" {
            addresses.append(.tcp(host: nodeAddress, port: configuration.apiPort))
        }
        return ServerConfiguration(
            addresses: addresses,
            tls: .init(
                certificateChainPEM: server.certificatePEM, privateKeyPEM: server.privateKeyPEM,
                clientAuthoritiesPEM: authority.certificatePEM))
    }
}
