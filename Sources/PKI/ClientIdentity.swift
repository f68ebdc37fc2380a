public import FoundationEssentials
import Synchronization
// The public initializer of RFC5280Policy knows only the present time; the one for a given time is behind this.
@_spi(FixedExpiryValidationTime) import X509

/// Who a client certificate says its owner is.
public struct ClientIdentity: Sendable, Hashable {
    /// The user's name.
    public var commonName: String
    /// The user's groups.
    public var organizations: [String]

    /// An identity from its parts.
    public init(commonName: String, organizations: [String]) {
        self.commonName = commonName
        self.organizations = organizations
    }

    /// What the subject of a certificate says, or nil if it names nobody.
    init?(_ certificate: Certificate) {
        var name: String?
        var organizations: [String] = []
        for attribute in certificate.subject.joined() {
            guard let text = String(attribute.value) else { continue }
            if attribute.type == .RDNAttributeType.commonName {
                name = text
            } else if attribute.type == .RDNAttributeType.organizationName {
                organizations.append(text)
            }
        }
        guard let name, !name.isEmpty else { return nil }
        self.init(commonName: name, organizations: organizations)
    }
}

/// Verifies client certificates against certificate authorities, and remembers what it found: a connection shows the
/// same certificate with every request.
public final class ClientCertificateVerifier: Sendable {
    private struct Found {
        let identity: ClientIdentity
        let notBefore: Date
        let notAfter: Date
    }

    private let roots: CertificateStore
    private let cache = Mutex<[[[UInt8]]: Found]>([:])
    private static let cacheLimit = 1024

    /// A verifier that trusts an authority.
    public init(trusting authority: CertificateAuthority) {
        roots = CertificateStore([authority.certificate])
    }

    /// A verifier that trusts the authorities in a PEM text.
    /// - Throws: `PKIError` with `malformed`.
    public init(trustingPEM pem: String) throws(PKIError) {
        do {
            roots = CertificateStore(try PEMCertificates.parse(pem))
        } catch {
            throw PKIError(.malformed, "the clients' certificate authorities cannot be read", cause: error)
        }
    }

    /// Who the owner of a certificate is.
    /// - Parameters:
    ///   - chain: the certificate and those between it and a root, in DER, leaf first. That the client has the key of
    ///     the first one was proved in the TLS handshake.
    ///   - now: when it has to be valid.
    /// - Throws: `PKIError` with `malformed`, `expired`, or `untrusted` (another issuer, or not for clients).
    public func identity(
        derEncoded chain: [[UInt8]], at now: Date = Date()
    ) async throws(PKIError) -> ClientIdentity {
        if let found = cache.withLock({ $0[chain] }), found.notBefore <= now, now <= found.notAfter {
            return found.identity
        }
        let certificates: [Certificate]
        do {
            certificates = try chain.map { try Certificate(derEncoded: $0) }
        } catch {
            throw PKIError(.malformed, "the client's certificate cannot be read", cause: error)
        }
        guard let leaf = certificates.first, let identity = ClientIdentity(leaf) else {
            throw PKIError(.malformed, "expected a client certificate whose subject has a common name")
        }
        guard leaf.notValidBefore <= now, now <= leaf.notValidAfter else {
            throw PKIError(
                .expired,
                "the client's certificate is valid from \(leaf.notValidBefore) to \(leaf.notValidAfter), "
                    + "not now (\(now))")
        }
        guard let usages = try? leaf.extensions.extendedKeyUsage,
            usages.contains(.clientAuth) || usages.contains(.any)
        else {
            throw PKIError(
                .untrusted, "the client's certificate was not issued for clients (no usage clientAuth)")
        }
        var verifier = Verifier(rootCertificates: roots) { RFC5280Policy(fixedExpiryValidationTime: now) }
        let result = await verifier.validate(
            leaf: leaf, intermediates: CertificateStore(certificates.dropFirst()))
        guard case .validCertificate(let path) = result else {
            throw PKIError(
                .untrusted, "the client's certificate was not issued by an authority that is trusted here")
        }
        let found = Found(
            identity: identity,
            notBefore: path.map(\.notValidBefore).max() ?? leaf.notValidBefore,
            notAfter: path.map(\.notValidAfter).min() ?? leaf.notValidAfter)
        cache.withLock { cache in
            // Only valid certificates get here, so strangers cannot fill it.
            if cache.count >= Self.cacheLimit { cache.removeAll() }
            cache[chain] = found
        }
        return identity
    }
}

/// Who the owner of a certificate is: as `ClientCertificateVerifier`, for those who ask once.
/// - Throws: `PKIError`.
public func identity(
    derEncoded chain: [[UInt8]], trustedBy authority: CertificateAuthority, at now: Date = Date()
) async throws(PKIError) -> ClientIdentity {
    try await ClientCertificateVerifier(trusting: authority).identity(derEncoded: chain, at: now)
}
