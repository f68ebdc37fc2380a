import KubernetesAPI

/// Whether the objects that a token stands for are there. Tokens end with what they are bound to, a minute after
/// it began to go.
struct TokenBinding: Sendable {
    let core: ServerCore

    /// Seconds that clocks may differ.
    private static let leeway = 60

    func rejection(_ subject: TokenSubject, _ token: String) -> TokenRejection? {
        let namespace = subject.namespace
        let name = subject.serviceAccount
        guard let account = core.find(ServiceAccount.self, name, namespace: namespace) else {
            return TokenRejection("serviceaccounts \"\(name)\" not found")
        }
        guard account.metadata.uid == subject.serviceAccountUID else {
            return TokenRejection(
                "service account UID (\(account.metadata.uid)) does not match claim "
                    + "(\(subject.serviceAccountUID))")
        }
        guard isAlive(account.metadata) else {
            return TokenRejection("service account \(namespace)/\(name) has been deleted")
        }
        guard isBoundToLiving(subject, token) else { return .invalidated }
        return subject.isHeldBySecret ? mark(subject) : nil
    }

    private static let invalid = "kubernetes.io/legacy-token-invalid-since"

    /// Why a token is not taken whose secret was labelled as no longer valid; nil when it was not.
    private func mark(_ subject: TokenSubject) -> TokenRejection? {
        let namespace = subject.namespace
        guard let name = subject.secret?.name,
            let secret = core.find(Secret.self, name, namespace: namespace),
            let since = secret.metadata.labels[Self.invalid], !since.isEmpty
        else { return nil }
        return TokenRejection(
            "the token in secret \(namespace)/\(name) for service account "
                + "\(namespace)/\(subject.serviceAccount) has been marked invalid. Use tokens from the "
                + "TokenRequest API or manually created secret-based tokens, or remove the '\(Self.invalid)' label "
                + "from the secret to temporarily allow use of this token")
    }

    private func isBoundToLiving(_ subject: TokenSubject, _ token: String) -> Bool {
        let namespace = subject.namespace
        if subject.isHeldBySecret {
            guard
                let secret = subject.secret.flatMap({ core.find(Secret.self, $0.name, namespace: namespace) })
            else { return false }
            return isAlive(secret.metadata) && secret.data["token"] == Array(token.utf8)
        }
        if let secret = subject.secret, !isThere(Secret.self, namespace, secret) { return false }
        if let pod = subject.pod { return isThere(Pod.self, namespace, pod) }
        if let node = subject.node { return isThere(Node.self, "", node) }
        return true
    }

    private func isThere<Object: KubernetesObject>(
        _ type: Object.Type, _ namespace: String, _ bound: TokenSubject.Bound
    ) -> Bool {
        guard let found = core.find(type, bound.name, namespace: namespace) else { return false }
        return found.metadata.uid == bound.uid && isAlive(found.metadata)
    }

    private func isAlive(_ metadata: ObjectMeta) -> Bool {
        guard let deletion = metadata.deletionTimestamp else { return true }
        return core.now().seconds < deletion.seconds + Self.leeway
    }
}
