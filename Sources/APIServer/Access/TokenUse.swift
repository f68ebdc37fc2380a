import KubernetesAPI
import ObjectStore

/// Notes on secrets that hold tokens when these were last used, so that one can see which are needed
/// (upstream's label `kubernetes.io/legacy-token-last-used`).
struct TokenUse: Sendable {
    let core: ServerCore

    private static let label = "kubernetes.io/legacy-token-last-used"
    private static let daySeconds = 86400

    /// Notes the day, once: it costs a write.
    func note(_ subject: TokenSubject) async {
        guard subject.isHeldBySecret, let name = subject.secret?.name else { return }
        let key = ObjectKey(
            resource: Secret.resource.groupResource, namespace: subject.namespace, name: name)
        guard let stored = core.store.get(key), let secret = try? StoredForm.decode(stored, as: Secret.self),
            let noted = Self.noted(secret, now: core.now())
        else { return }
        do {
            let draft = try StoredForm.draft(of: noted, CoreResources.secrets)
            _ = try await core.store.commit([.update(key, draft, expected: stored.revision)])
        } catch {
            // Nobody is kept out for this; the next use tries again. Most often somebody else was first.
            core.logger.debug(
                "the use of a token was not noted",
                metadata: ["secret": "\(subject.namespace)/\(name)", "error": "\(error)"])
        }
    }

    /// The secret with the day of a use; nil when it bears it, or the day after by another server's clock.
    static func noted(_ secret: Secret, now: Time) -> Secret? {
        let today = day(now)
        let known = secret.metadata.labels[label]
        if known == today || known == day(Time(seconds: now.seconds + daySeconds)) { return nil }
        var noted = secret
        noted.metadata.labels[label] = today
        return noted
    }

    /// The day in UTC, as `2027-01-15`.
    private static func day(_ time: Time) -> String { String(time.description.prefix(10)) }
}
