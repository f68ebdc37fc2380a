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
    public var namespace: String
    public var serviceAccount: String
    public var serviceAccountUID: String
    /// The pod that the token is bound to, if it is.
    public var podName: String?
    public var podUID: String?
    /// The audiences that were asked for and that the token is meant for.
    public var audiences: [String]

    public init(
        namespace: String, serviceAccount: String, serviceAccountUID: String, podName: String? = nil,
        podUID: String? = nil, audiences: [String] = []
    ) {
        self.namespace = namespace
        self.serviceAccount = serviceAccount
        self.serviceAccountUID = serviceAccountUID
        self.podName = podName
        self.podUID = podUID
        self.audiences = audiences
    }
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
    /// - Throws: when it is not one, has expired, or is meant for others.
    func verify(token: String, audiences: [String]) throws -> TokenSubject
    /// Issues a token.
    func issue(_ subject: TokenSubject, lifetimeSeconds: Int) throws -> IssuedToken
}

/// Finds out who makes a request.
struct Authenticator: Sendable {
    let credentials: (any CredentialVerifier)?
    /// Whether a service account and a pod of these identities exist: tokens end with them.
    let exists: @Sendable (TokenSubject) -> Bool
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
            return User(name: holder.name, groups: holder.groups).authenticated()
        default:
            break
        }
        guard let header = request.headers.first(name: "authorization") else { return .anonymous }
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, String(parts[0]).asciiLowercased() == "bearer" else { throw .unauthorized() }
        return try user(token: String(parts[1].trimmed()), audiences: audiences)
    }

    func user(token: String, audiences: [String]) throws(APIError) -> User {
        guard
            let credentials, let subject = try? credentials.verify(token: token, audiences: audiences),
            exists(subject)
        else { throw .unauthorized() }
        return Authenticator.user(of: subject)
    }

    static func user(of subject: TokenSubject) -> User {
        var extra: [String: [String]] = [:]
        if let pod = subject.podName { extra["authentication.kubernetes.io/pod-name"] = [pod] }
        if let uid = subject.podUID { extra["authentication.kubernetes.io/pod-uid"] = [uid] }
        return User(
            name: "system:serviceaccount:\(subject.namespace):\(subject.serviceAccount)",
            uid: subject.serviceAccountUID,
            groups: ["system:serviceaccounts", "system:serviceaccounts:\(subject.namespace)"], extra: extra
        ).authenticated()
    }
}
