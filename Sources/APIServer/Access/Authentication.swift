import Crypto
import HTTPService
public import KubernetesAPI

/// A token for a service account, and when it ends.
public struct IssuedToken: Sendable, Hashable {
    public var token: String
    public var expiration: Time

    public init(token: String, expiration: Time) {
        self.token = token
        self.expiration = expiration
    }
}

/// What a service account token says.
public struct TokenSubject: Sendable, Hashable {
    /// An object that a token is bound to: it ends with it.
    public struct Bound: Sendable, Hashable {
        public var name: String
        /// Empty where the token does not say it.
        public var uid: String

        public init(name: String, uid: String) {
            self.name = name
            self.uid = uid
        }
    }

    public var namespace: String
    public var serviceAccount: String
    public var serviceAccountUID: String
    /// The pod that the token is bound to.
    public var pod: Bound?
    /// The secret that the token is bound to, or that holds it.
    public var secret: Bound?
    /// The node of that pod, or the node that the token is bound to.
    public var node: Bound?
    /// The audiences that the token is meant for; empty for one that a secret holds, which is meant for the
    /// API server.
    public var audiences: [String]
    /// The token's own name (`jti`).
    public var identifier = ""
    /// Whether it is the token that the secret holds, which has no other end.
    public var isHeldBySecret = false

    public init(
        namespace: String, serviceAccount: String, serviceAccountUID: String, pod: Bound? = nil,
        secret: Bound? = nil, node: Bound? = nil, audiences: [String] = []
    ) {
        self.namespace = namespace
        self.serviceAccount = serviceAccount
        self.serviceAccountUID = serviceAccountUID
        self.pod = pod
        self.secret = secret
        self.node = node
        self.audiences = audiences
    }
}

/// Why a genuine token is not taken; the words are for who presents it, and upstream's.
public struct TokenRejection: Error, Sendable, Hashable {
    public var message: String
    public init(_ message: String) { self.message = message }

    /// What the token is bound to is gone.
    static let invalidated = TokenRejection("service account token has been invalidated")
}

/// The keys behind the server's knowledge of who somebody is: client certificates and tokens.
public protocol CredentialVerifier: Sendable {
    /// Name (the certificate's common name) and groups (its organizations) of the holder of a client
    /// certificate.
    ///
    /// - Parameter chain: DER, leaf first.
    /// - Throws: when the cluster's authority has not issued it, or not for now.
    func identity(ofCertificates chain: [[UInt8]]) async throws -> (name: String, groups: [String])
    /// What a token says that this cluster issued.
    ///
    /// - Throws: `TokenRejection` when it has expired or is meant for others, and something else when it is no
    ///   token of this cluster.
    func verify(token: String, audiences: [String]) throws -> TokenSubject
    /// Issues a token.
    func issue(_ subject: TokenSubject, lifetimeSeconds: Int) throws -> IssuedToken
}

/// Finds out who makes a request.
struct Authenticator: Sendable {
    let credentials: (any CredentialVerifier)?
    /// Why a token has ended with what it stands for or is bound to; nil if it has not.
    let rejection: @Sendable (TokenSubject, _ token: String) -> TokenRejection?
    /// Called with every token that is taken.
    let noteUse: @Sendable (TokenSubject) async -> Void
    /// For whom a token must be meant to be taken.
    let audiences: [String]

    /// - Throws: `unauthorized` when what the client presents is not valid; a client that presents
    ///   nothing is anonymous.
    func user(of request: HTTPRequest) async throws(APIError) -> User {
        switch request.peer {
        case .inProcess(let name, let groups):
            return User(name: name, groups: groups).authenticated()
        case .certificates(let chain) where !chain.isEmpty:
            guard let credentials, let holder = try? await credentials.identity(ofCertificates: chain) else {
                throw .unauthorized()
            }
            return User(
                name: holder.name, groups: holder.groups,
                extra: [Self.credential: ["X509SHA256=" + Self.fingerprint(chain[0])]]
            ).authenticated()
        default:
            break
        }
        guard let header = request.headers.first(name: "authorization") else { return .anonymous }
        let parts = header.split(separator: " ", maxSplits: 1)
        // What other schemes say is not looked at.
        guard parts.count == 2, String(parts[0]).asciiLowercased() == "bearer" else { return .anonymous }
        let token = String(parts[1].trimmed())
        return Self.user(of: try await subject(token: token, audiences: audiences))
    }

    /// Whose token it is.
    private func subject(token: String, audiences: [String]) async throws(APIError) -> TokenSubject {
        do {
            return try await verify(token: token, audiences: audiences)
        } catch {
            // Why is not for strangers.
            throw .unauthorized()
        }
    }

    /// Whose token it is.
    ///
    /// - Throws: as `CredentialVerifier`.
    func verify(token: String, audiences: [String]) async throws -> TokenSubject {
        guard let credentials else { throw TokenRejection("invalid bearer token") }
        let subject = try credentials.verify(token: token, audiences: audiences)
        if let rejection = rejection(subject, token) { throw rejection }
        await noteUse(subject)
        return subject
    }

    /// Which of a user's credentials a request came with.
    private static let credential = "authentication.kubernetes.io/credential-id"

    private static func fingerprint(_ certificate: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in SHA256.hash(data: certificate) {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func user(of subject: TokenSubject) -> User {
        var extra: [String: [String]] = [:]
        for (kind, bound) in [("pod", subject.pod), ("node", subject.node)] {
            guard let bound else { continue }
            extra["authentication.kubernetes.io/\(kind)-name"] = [bound.name]
            if !bound.uid.isEmpty { extra["authentication.kubernetes.io/\(kind)-uid"] = [bound.uid] }
        }
        if !subject.identifier.isEmpty { extra[credential] = ["JTI=" + subject.identifier] }
        return User(
            name: "system:serviceaccount:\(subject.namespace):\(subject.serviceAccount)",
            uid: subject.serviceAccountUID,
            groups: ["system:serviceaccounts", "system:serviceaccounts:\(subject.namespace)"], extra: extra
        ).authenticated()
    }
}
