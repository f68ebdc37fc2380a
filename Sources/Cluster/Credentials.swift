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
        let claims = try tokens.verify(token, audiences: audiences, at: Time.now().seconds)
        return TokenSubject(
            namespace: claims.namespace, serviceAccount: claims.serviceAccount.name,
            serviceAccountUID: claims.serviceAccount.uid, podName: claims.pod?.name, podUID: claims.pod?.uid,
            audiences: claims.audiences)
    }

    func issue(_ subject: TokenSubject, lifetimeSeconds: Int) throws -> IssuedToken {
        let now = Time.now().seconds
        let claims = ServiceAccountClaims(
            issuer: tokens.issuer, audiences: subject.audiences, expiration: now + lifetimeSeconds,
            issuedAt: now,
            identifier: UUID().uuidString.lowercased(), namespace: subject.namespace,
            serviceAccount: .init(name: subject.serviceAccount, uid: subject.serviceAccountUID),
            pod: subject.podName.map { .init(name: $0, uid: subject.podUID ?? "") })
        return IssuedToken(token: try tokens.sign(claims), expiration: Time(seconds: now + lifetimeSeconds))
    }
}
