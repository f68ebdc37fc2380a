public import KubernetesJSON

/// What a service account's token says, as bound tokens of upstream do (KEP-1205).
public struct ServiceAccountClaims: Sendable, Hashable {
    /// An object that a token refers to.
    public struct Reference: Sendable, Hashable {
        /// The object's name.
        public var name: String
        /// The object's UID: a token dies with the object, even if one with the same name follows.
        public var uid: String

        /// A reference to an object.
        public init(name: String, uid: String) {
            self.name = name
            self.uid = uid
        }
    }

    /// Who made the token (`iss`).
    public var issuer: String
    /// Whom it is meant for (`aud`).
    public var audiences: [String]
    /// When it ends (`exp`), in seconds since 1970.
    public var expiration: Int
    /// When it was made (`iat`), in seconds since 1970.
    public var issuedAt: Int
    /// When it begins (`nbf`), in seconds since 1970.
    public var notBefore: Int
    /// The token's own name (`jti`).
    public var identifier: String
    /// The service account's namespace.
    public var namespace: String
    /// The service account.
    public var serviceAccount: Reference
    /// The pod that the token is bound to.
    public var pod: Reference?
    /// The node of that pod, or the node that the token is bound to.
    public var node: Reference?
    /// The secret that the token is bound to.
    public var secret: Reference?
    /// When its user should have fetched a new one, in seconds since 1970.
    public var warnAfter: Int?

    /// Claims from their parts.
    public init(
        issuer: String, audiences: [String], expiration: Int, issuedAt: Int, notBefore: Int? = nil,
        identifier: String, namespace: String, serviceAccount: Reference, pod: Reference? = nil,
        node: Reference? = nil, secret: Reference? = nil, warnAfter: Int? = nil
    ) {
        self.issuer = issuer
        self.audiences = audiences
        self.expiration = expiration
        self.issuedAt = issuedAt
        self.notBefore = notBefore ?? issuedAt
        self.identifier = identifier
        self.namespace = namespace
        self.serviceAccount = serviceAccount
        self.pod = pod
        self.node = node
        self.secret = secret
        self.warnAfter = warnAfter
    }

    /// The user that the token stands for (`sub`): `system:serviceaccount:<namespace>:<name>`.
    public var subject: String {
        "system:serviceaccount:\(namespace):\(serviceAccount.name)"
    }

    /// The claims as JSON.
    public var jsonValue: JSONValue {
        func value(_ reference: Reference) -> JSONValue {
            ["name": .string(reference.name), "uid": .string(reference.uid)]
        }
        var kubernetes = JSONObject()
        kubernetes["namespace"] = .string(namespace)
        if let node { kubernetes["node"] = value(node) }
        if let pod { kubernetes["pod"] = value(pod) }
        if let secret { kubernetes["secret"] = value(secret) }
        kubernetes["serviceaccount"] = value(serviceAccount)
        if let warnAfter { kubernetes["warnafter"] = .integer(Int64(warnAfter)) }
        return [
            "aud": .array(audiences.map { .string($0) }),
            "exp": .integer(Int64(expiration)),
            "iat": .integer(Int64(issuedAt)),
            "iss": .string(issuer),
            "jti": .string(identifier),
            "kubernetes.io": .object(kubernetes),
            "nbf": .integer(Int64(notBefore)),
            "sub": .string(subject),
        ]
    }

    /// Reads claims.
    /// - Throws: `PKIError` with `malformed` naming the claim that is missing or wrong.
    public init(_ json: JSONValue) throws(PKIError) {
        func string(_ value: JSONValue?, _ name: String) throws(PKIError) -> String {
            guard let text = value?.stringValue, !text.isEmpty else {
                throw PKIError(.malformed, "the token has no claim \(name)")
            }
            return text
        }
        func time(_ name: String) throws(PKIError) -> Int {
            guard let seconds = json[name]?.integerValue else {
                throw PKIError(.malformed, "the token has no claim \(name)")
            }
            return seconds
        }
        func reference(_ name: String) throws(PKIError) -> Reference? {
            guard let value = json["kubernetes.io"]?[name] else { return nil }
            return Reference(
                name: try string(value["name"], "kubernetes.io/\(name)/name"),
                uid: value["uid"]?.stringValue ?? "")
        }
        guard let account = try reference("serviceaccount") else {
            throw PKIError(.malformed, "the token has no claim kubernetes.io/serviceaccount")
        }
        let issuedAt = try time("iat")
        self.init(
            issuer: try string(json["iss"], "iss"),
            // A single audience may stand without a list (RFC 7519 section 4.1.3).
            audiences: json["aud"]?.stringValue.map { [$0] }
                ?? json["aud"]?.arrayValue?.compactMap(\.stringValue) ?? [],
            expiration: try time("exp"), issuedAt: issuedAt, notBefore: json["nbf"]?.integerValue,
            identifier: json["jti"]?.stringValue ?? "",
            namespace: try string(json["kubernetes.io"]?["namespace"], "kubernetes.io/namespace"),
            serviceAccount: account, pod: try reference("pod"), node: try reference("node"),
            secret: try reference("secret"), warnAfter: json["kubernetes.io"]?["warnafter"]?.integerValue)
        guard json["sub"]?.stringValue == subject else {
            throw PKIError(.malformed, "the token's subject does not fit its service account")
        }
    }
}
