import Crypto
public import KubernetesJSON

/// Makes and verifies service account tokens: JSON Web Tokens (RFC 7519) signed with ECDSA on P-256 (ES256).
public struct ServiceAccountTokens: Sendable {
    /// The name of the cluster's token issuer.
    public let issuer: String
    private let key: P256.Signing.PrivateKey
    /// The name of the signing key: the SHA-256 of its public key, as upstream makes it.
    public let keyID: String
    private let publicKeys: [String: P256.Signing.PublicKey]

    /// Longer texts are not looked at.
    private static let sizeLimit = 16 * 1024

    /// The tokens of the key kept in `sa.key` of a folder, which is created there (mode 0600) if there is none.
    /// - Throws: `PKIError` with `file` or `malformed`.
    public static func load(orCreateIn directory: String, issuer: String) throws(PKIError)
        -> ServiceAccountTokens
    {
        let path = directory + "/sa.key"
        if let pem = try PrivateFiles.read(path) {
            return try ServiceAccountTokens(issuer: issuer, privateKeyPEM: pem)
        }
        let key = P256.Signing.PrivateKey()
        try PrivateFiles.makeDirectory(directory)
        try PrivateFiles.write(key.pemRepresentation + "\n", to: path)
        return ServiceAccountTokens(issuer: issuer, key: key, formerKeys: [])
    }

    /// Tokens signed with a key.
    /// - Parameters:
    ///   - privateKeyPEM: the key that signs.
    ///   - formerPublicKeysPEM: keys that signed before, whose tokens are still good.
    /// - Throws: `PKIError` with `malformed`.
    public init(issuer: String, privateKeyPEM: String, formerPublicKeysPEM: [String] = []) throws(PKIError) {
        do {
            self.init(
                issuer: issuer, key: try P256.Signing.PrivateKey(pemRepresentation: privateKeyPEM),
                formerKeys: try formerPublicKeysPEM.map { try P256.Signing.PublicKey(pemRepresentation: $0) })
        } catch {
            throw PKIError(
                .malformed, "the service account key is not an ECDSA P-256 key in PEM", cause: error)
        }
    }

    /// Tokens signed with a new key, in memory.
    public init(issuer: String) {
        self.init(issuer: issuer, key: P256.Signing.PrivateKey(), formerKeys: [])
    }

    private init(issuer: String, key: P256.Signing.PrivateKey, formerKeys: [P256.Signing.PublicKey]) {
        self.issuer = issuer
        self.key = key
        keyID = Self.keyID(of: key.publicKey)
        var keys = [keyID: key.publicKey]
        for key in formerKeys { keys[Self.keyID(of: key)] = key }
        publicKeys = keys
    }

    /// The public key of the signing key as PEM text.
    public var publicKeyPEM: String { key.publicKey.pemRepresentation + "\n" }

    // MARK: Sign and verify

    /// A token with these claims.
    /// - Throws: `PKIError` with `creation`.
    public func sign(_ claims: ServiceAccountClaims) throws(PKIError) -> String {
        try sign(claims.jsonValue)
    }

    /// A token that lasts as long as the secret it stands in.
    /// - Throws: `PKIError` with `creation`.
    public func sign(_ claims: LegacyServiceAccountClaims) throws(PKIError) -> String {
        try sign(claims.jsonValue)
    }

    private func sign(_ claims: JSONValue) throws(PKIError) -> String {
        let header: JSONValue = ["alg": "ES256", "kid": .string(keyID)]
        let signed = Base64URL.encode(header.json()) + "." + Base64URL.encode(claims.json())
        do {
            let signature = try key.signature(for: Array(signed.utf8))
            return signed + "." + Base64URL.encode(Array(signature.rawRepresentation))
        } catch {
            throw PKIError(.creation, "the token could not be signed", cause: error)
        }
    }

    /// What a token says, once it is known to be genuine, in time, and meant for one of `audiences`. Whether the
    /// objects that it is bound to still exist is for the caller to see.
    /// - Parameters:
    ///   - audiences: who we are; empty accepts every audience.
    ///   - now: in seconds since 1970.
    /// - Throws: `PKIError` with `malformed`, `badSignature`, `wrongIssuer`, `expired` or `wrongAudience`.
    public func verify(
        _ token: String, audiences: [String], at now: Int
    ) throws(PKIError) -> ServiceAccountClaims {
        let claims = try ServiceAccountClaims(try genuine(token))
        guard claims.issuer == issuer else {
            throw PKIError(.wrongIssuer, "the token was issued by \"\(claims.issuer)\", not by \"\(issuer)\"")
        }
        guard now < claims.expiration else {
            throw PKIError(.expired, "service account token has expired")
        }
        guard claims.notBefore <= now else {
            throw PKIError(.expired, "service account token is not valid yet")
        }
        guard audiences.isEmpty || !Set(audiences).isDisjoint(with: claims.audiences) else {
            throw PKIError(.wrongAudience, Self.misdirected(claims.audiences, audiences))
        }
        return claims
    }

    /// That a token is meant for others, in upstream's words.
    public static func misdirected(_ audiences: [String], _ wanted: [String]) -> String {
        func list(_ names: [String]) -> String {
            "[" + names.map { "\"\($0)\"" }.joined(separator: " ") + "]"
        }
        return "token audiences \(list(audiences)) is invalid for the target audiences \(list(wanted))"
    }

    /// What the token of a secret says, once it is known to be genuine; nil when it is a token of the other sort.
    /// Whether the secret still holds it is for the caller to see.
    /// - Throws: `PKIError` with `malformed` or `badSignature`.
    public func verifyLegacy(_ token: String) throws(PKIError) -> LegacyServiceAccountClaims? {
        try LegacyServiceAccountClaims(try genuine(token))
    }

    /// The claims of a token that was signed here.
    private func genuine(_ token: String) throws(PKIError) -> JSONValue {
        let parts =
            token.utf8.count <= Self.sizeLimit
            ? token.split(separator: ".", omittingEmptySubsequences: false) : []
        guard parts.count == 3, let headerBytes = Base64URL.decode(parts[0]),
            let claimBytes = Base64URL.decode(parts[1]), let signatureBytes = Base64URL.decode(parts[2]),
            let header = try? JSONValue(json: headerBytes)
        else { throw PKIError(.malformed, "not a JSON Web Token") }
        // The algorithm is ours to choose, never the token's.
        guard header["alg"]?.stringValue == "ES256" else {
            throw PKIError(.badSignature, "the token is not signed with ES256")
        }
        guard let publicKey = publicKeys[header["kid"]?.stringValue ?? ""] else {
            throw PKIError(.badSignature, "the token is not signed with a key of this cluster")
        }
        let signed = Array("\(parts[0]).\(parts[1])".utf8)
        guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signatureBytes),
            publicKey.isValidSignature(signature, for: signed)
        else { throw PKIError(.badSignature, "the token's signature is not good") }
        guard let json = try? JSONValue(json: claimBytes) else {
            throw PKIError(.malformed, "the token's claims are not JSON")
        }
        return json
    }

    // MARK: Discovery

    /// The public keys as a JSON Web Key Set (RFC 7517), served at `/openid/v1/jwks`.
    public var keySet: JSONValue {
        let keys = publicKeys.sorted { $0.key < $1.key }.map { id, key -> JSONValue in
            let point = Array(key.rawRepresentation)
            return [
                "use": "sig", "kty": "EC", "kid": .string(id), "crv": "P-256", "alg": "ES256",
                "x": .string(Base64URL.encode(Array(point.prefix(32)))),
                "y": .string(Base64URL.encode(Array(point.suffix(32)))),
            ]
        }
        return ["keys": .array(keys)]
    }

    /// The OpenID provider's configuration, served at `/.well-known/openid-configuration`.
    /// - Parameter keySetURL: where `keySet` is served.
    public func discovery(keySetURL: String) -> JSONValue {
        [
            "issuer": .string(issuer), "jwks_uri": .string(keySetURL),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        ]
    }

    private static func keyID(of key: P256.Signing.PublicKey) -> String {
        Base64URL.encode(Array(SHA256.hash(data: key.derRepresentation)))
    }
}
