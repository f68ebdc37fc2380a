import APIServer
import FoundationEssentials
import KubernetesAPI
import PKI

/// The cluster's keys, as the API server asks for them.
struct Credentials: CredentialVerifier {
    let certificates: ClientCertificateVerifier
    let tokens: ServiceAccountTokens

    func identity(ofCertificates chain: [[UInt8]]) async throws -> (name: String, groups: [String]) {
        let identity = try await certificates.identity(derEncoded: chain)
        return (identity.commonName, identity.organizations)
    }

    func verify(token: String, audiences: [String]) throws -> TokenSubject {
        do {
            return try genuine(token, audiences)
        } catch  where [.expired, .wrongAudience].contains(error.code) {
            throw TokenRejection(error.message)
        }
    }

    private func genuine(_ token: String, _ audiences: [String]) throws(PKIError) -> TokenSubject {
        if let legacy = try tokens.verifyLegacy(token) {
            guard audiences.isEmpty || audiences.contains(tokens.issuer) else {
                throw PKIError(
                    .wrongAudience, ServiceAccountTokens.misdirected([tokens.issuer], audiences))
            }
            var subject = TokenSubject(
                namespace: legacy.namespace, serviceAccount: legacy.serviceAccount.name,
                serviceAccountUID: legacy.serviceAccount.uid, secret: .init(name: legacy.secret, uid: ""))
            subject.isHeldBySecret = true
            return subject
        }
        let claims = try tokens.verify(token, audiences: audiences, at: Time.now().seconds)
        var subject = TokenSubject(
            namespace: claims.namespace, serviceAccount: claims.serviceAccount.name,
            serviceAccountUID: claims.serviceAccount.uid, pod: Self.bound(claims.pod),
            secret: Self.bound(claims.secret), node: Self.bound(claims.node), audiences: claims.audiences)
        subject.identifier = claims.identifier
        return subject
    }

    private static func bound(_ reference: ServiceAccountClaims.Reference?) -> TokenSubject.Bound? {
        reference.map { .init(name: $0.name, uid: $0.uid) }
    }

    private static func reference(_ bound: TokenSubject.Bound?) -> ServiceAccountClaims.Reference? {
        bound.map { .init(name: $0.name, uid: $0.uid) }
    }

    func issue(_ subject: TokenSubject, lifetimeSeconds: Int) throws -> IssuedToken {
        let now = Time.now().seconds
        let claims = ServiceAccountClaims(
            issuer: tokens.issuer, audiences: subject.audiences, expiration: now + lifetimeSeconds,
            issuedAt: now,
            identifier: UUID().uuidString.lowercased(), namespace: subject.namespace,
            serviceAccount: .init(name: subject.serviceAccount, uid: subject.serviceAccountUID),
            pod: Self.reference(subject.pod), node: Self.reference(subject.node),
            secret: Self.reference(subject.secret))
        return IssuedToken(token: try tokens.sign(claims), expiration: Time(seconds: now + lifetimeSeconds))
    }
}
