public import KubernetesJSON

/// What the token in a `kubernetes.io/service-account-token` Secret says. It has no end but the secret's.
public struct LegacyServiceAccountClaims: Sendable, Hashable {
    /// Who makes such tokens, whatever the cluster is called.
    public static let issuer = "kubernetes/serviceaccount"

    /// The namespace of service account and secret.
    public var namespace: String
    /// The service account.
    public var serviceAccount: ServiceAccountClaims.Reference
    /// The secret's name.
    public var secret: String

    /// Claims from their parts.
    public init(namespace: String, serviceAccount: ServiceAccountClaims.Reference, secret: String) {
        self.namespace = namespace
        self.serviceAccount = serviceAccount
        self.secret = secret
    }

    private static let prefix = "kubernetes.io/serviceaccount/"

    /// The claims as JSON.
    public var jsonValue: JSONValue {
        [
            "iss": .string(Self.issuer), "\(Self.prefix)namespace": .string(namespace),
            "\(Self.prefix)secret.name": .string(secret),
            "\(Self.prefix)service-account.name": .string(serviceAccount.name),
            "\(Self.prefix)service-account.uid": .string(serviceAccount.uid),
            "sub": .string("system:serviceaccount:\(namespace):\(serviceAccount.name)"),
        ]
    }

    /// Reads claims; nil when another issuer made them.
    /// - Throws: `PKIError` with `malformed` naming the claim that is missing or wrong.
    public init?(_ json: JSONValue) throws(PKIError) {
        guard json["iss"]?.stringValue == Self.issuer else { return nil }
        func text(_ name: String) throws(PKIError) -> String {
            guard let text = json[Self.prefix + name]?.stringValue, !text.isEmpty else {
                throw PKIError(.malformed, "the token has no claim \(Self.prefix)\(name)")
            }
            return text
        }
        self.init(
            namespace: try text("namespace"),
            serviceAccount: .init(
                name: try text("service-account.name"), uid: try text("service-account.uid")),
            secret: try text("secret.name"))
        guard json["sub"]?.stringValue == "system:serviceaccount:\(namespace):\(serviceAccount.name)" else {
            throw PKIError(.malformed, "the token's subject does not fit its service account")
        }
    }
}
