import KubernetesAPI
import KubernetesClient

/// Fills Secrets of type `kubernetes.io/service-account-token` with a token of the service account that they name,
/// and removes them with it.
final class TokenController: QueueingController {
    let name = "serviceaccount-token"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "serviceaccount_tokens_secret")

    private let secrets: Informer<Secret>
    private let accounts: Informer<ServiceAccount>
    private let contents: TokenSecret

    init(_ context: ControllerContext, contents: TokenSecret) {
        self.context = context
        self.contents = contents
        secrets = context.informers.informer(Secret.self)
        accounts = context.informers.informer(ServiceAccount.self)
    }

    func subscribe() {
        secrets.subscribe { [queue] event in
            if let secret = event.object, secret.type == TokenSecret.type { queue.add(secret.key) }
        }
        accounts.subscribe { [queue, secrets] event in
            guard let account = event.object else { return }
            for secret in secrets.list()
            where secret.metadata.namespace == account.metadata.namespace
                && TokenSecret.account(of: secret) == account.metadata.name
            {
                queue.add(secret.key)
            }
        }
    }

    func waitForCaches() async {
        await secrets.waitForSync()
        await accounts.waitForSync()
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard let secret = secrets.get(namespace: key.namespace, name: key.name),
            secret.metadata.deletionTimestamp == nil, let name = TokenSecret.account(of: secret)
        else { return }
        do {
            guard let account = try await account(name, namespace: key.namespace),
                TokenSecret.belongs(secret, to: account)
            else {
                try await context.client.delete(
                    Secret.self, name: key.name, namespace: key.namespace,
                    options: DeleteOptions(preconditions: Preconditions(uid: secret.metadata.uid)))
                return
            }
            guard let filled = try contents.filled(secret, for: account) else { return }
            _ = try await context.client.update(filled)
        } catch let error as APIError where error.isNotFound {
            return
        }
    }

    /// As the cache has it, or else the server: the account may be as new as the secret.
    private func account(_ name: String, namespace: String) async throws -> ServiceAccount? {
        if let cached = accounts.get(namespace: namespace, name: name) { return cached }
        do {
            return try await context.client.get(ServiceAccount.self, name: name, namespace: namespace)
        } catch let error as APIError where error.isNotFound {
            return nil
        }
    }
}

/// What a service account's secret is to hold. A value, but for the key behind `sign`.
package struct TokenSecret: Sendable {
    package static let type = "kubernetes.io/service-account-token"
    private static let accountName = "kubernetes.io/service-account.name"
    private static let accountUID = "kubernetes.io/service-account.uid"

    /// PEM.
    let certificateAuthority: String
    /// Makes the token of a service account for a secret.
    let sign: @Sendable (ServiceAccount, _ secret: String) throws -> String

    package init(
        certificateAuthority: String,
        sign: @escaping @Sendable (ServiceAccount, _ secret: String) throws -> String
    ) {
        self.certificateAuthority = certificateAuthority
        self.sign = sign
    }

    /// The service account that a secret of the type names.
    package static func account(of secret: Secret) -> String? {
        guard secret.type == type, let name = secret.metadata.annotations[accountName], !name.isEmpty else {
            return nil
        }
        return name
    }

    /// Whether the secret was made for this account, not for an earlier one of its name.
    package static func belongs(_ secret: Secret, to account: ServiceAccount) -> Bool {
        let uid = secret.metadata.annotations[accountUID] ?? ""
        return uid.isEmpty || uid == account.metadata.uid
    }

    /// The secret with all that it lacks, or nil when it lacks nothing.
    package func filled(_ secret: Secret, for account: ServiceAccount) throws -> Secret? {
        var filled = secret
        filled.data["ca.crt"] = Array(certificateAuthority.utf8)
        if filled.data["namespace"]?.isEmpty ?? true {
            filled.data["namespace"] = Array(secret.metadata.namespace.utf8)
        }
        filled.metadata.annotations[Self.accountUID] = account.metadata.uid
        if filled.data["token"]?.isEmpty ?? true {
            filled.data["token"] = Array(try sign(account, secret.metadata.name).utf8)
        }
        return filled == secret ? nil : filled
    }
}
