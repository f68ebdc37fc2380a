import HTTPService
import KubernetesAPI
import KubernetesJSON

/// Answers the questions that are posted and not stored: who am I, may I, is this token good.
struct ReviewVerbs: Sendable {
    let core: ServerCore
    let authenticator: Authenticator
    let context: RequestContext

    func run(_ review: Review) async throws(APIError) -> Answer {
        guard context.info.verb == "create", context.info.name.isEmpty else { throw .methodNotAllowed }
        if review.kind.isNamespaced, context.info.namespace.isEmpty { throw .methodNotAllowed }
        switch review.question {
        case .selfSubject: return try await selfSubject()
        case .token: return try await token()
        case .selfAccess: return try await selfAccess()
        case .access: return try await access()
        case .localAccess: return try await localAccess()
        case .selfRules: return try await selfRules()
        case .binding: return try await binding()
        }
    }

    private func body<Object: KubernetesObject>(
        _ type: Object.Type
    ) async throws(APIError) -> (object: Object, warnings: [String], options: WriteQuery) {
        let options = try WriteQuery(context.query, kind: "CreateOptions")
        let decoded = try BodyDecoder.decode(
            type, try await context.body(),
            contentType: context.request.headers.first(name: "content-type"), options.fieldValidation)
        return (decoded.object, decoded.warnings, options)
    }

    private func selfSubject() async throws(APIError) -> Answer {
        var (review, warnings, _) = try await body(SelfSubjectReview.self)
        review.metadata.creationTimestamp = core.now()
        review.status.userInfo = info(context.user)
        return .value(review, status: .created, warnings: warnings)
    }

    private func info(_ user: User) -> UserInfo {
        UserInfo(username: user.name, uid: user.uid, groups: user.groups, extra: user.extra)
    }

    private func token() async throws(APIError) -> Answer {
        var (review, warnings, _) = try await body(TokenReview.self)
        guard !review.spec.token.isEmpty else {
            throw .badRequest("token is required for TokenReview in authentication")
        }
        let audiences = review.spec.audiences.isEmpty ? authenticator.audiences : review.spec.audiences
        review.status = TokenReviewStatus()
        do {
            let subject = try await authenticator.verify(token: review.spec.token, audiences: audiences)
            review.status.authenticated = true
            review.status.user = info(Authenticator.user(of: subject))
            // Those asked for that the token is meant for; one that a secret holds is meant for this server.
            let meant = subject.audiences.isEmpty ? authenticator.audiences : subject.audiences
            review.status.audiences = audiences.filter { meant.contains($0) }
        } catch {
            // Two look at every token; the first knows this program's own ones only.
            let reason = "invalid bearer token"
            let why = (error as? TokenRejection)?.message ?? reason
            review.status.error = why == reason ? reason : "[\(reason), \(why)]"
        }
        return .value(review, status: .created, warnings: warnings)
    }

    private func selfAccess() async throws(APIError) -> Answer {
        var (review, warnings, _) = try await body(SelfSubjectAccessReview.self)
        try check(review)
        let attributes = try attributes(
            review.spec.resourceAttributes, review.spec.nonResourceAttributes)
        review.status = status(core.authorizer.decide(context.user, attributes))
        return .value(review, status: .created, warnings: warnings)
    }

    private func access() async throws(APIError) -> Answer {
        var (review, warnings, _) = try await body(SubjectAccessReview.self)
        try check(review)
        let attributes = try attributes(
            review.spec.resourceAttributes, review.spec.nonResourceAttributes)
        review.status = status(core.authorizer.decide(user(review.spec), attributes))
        return .value(review, status: .created, warnings: warnings)
    }

    private func localAccess() async throws(APIError) -> Answer {
        var (review, warnings, _) = try await body(LocalSubjectAccessReview.self)
        try Preparation.settle(&review.metadata, isNamespaced: true, namespace: context.info.namespace)
        try check(review)
        let attributes = try attributes(
            review.spec.resourceAttributes, review.spec.nonResourceAttributes)
        review.status = status(core.authorizer.decide(user(review.spec), attributes))
        return .value(review, status: .created, warnings: warnings)
    }

    private func user(_ spec: SubjectAccessReviewSpec) -> User {
        User(name: spec.user, uid: spec.uid, groups: spec.groups, extra: spec.extra)
    }

    /// What is wrong with a review is told without its kind, as upstream does.
    private func check<Object: KubernetesObject & Validating>(_ review: Object) throws(APIError) {
        let errors = review.validate()
        if errors.isEmpty { return }
        var kind = Object.resource
        kind.kind = ""
        throw .invalid(kind, "", errors)
    }

    private func attributes(
        _ resource: ResourceAttributes?, _ other: NonResourceAttributes?
    ) throws(APIError) -> AccessAttributes {
        if let resource { return AccessAttributes(resource) }
        if let other { return AccessAttributes(other) }
        throw .internalError("a review that asks nothing has passed its rules")
    }

    private func status(_ decision: AccessDecision) -> SubjectAccessReviewStatus {
        SubjectAccessReviewStatus(allowed: decision.isAllowed, reason: decision.reason)
    }

    private func selfRules() async throws(APIError) -> Answer {
        var (review, warnings, _) = try await body(SelfSubjectRulesReview.self)
        guard !review.spec.namespace.isEmpty else { throw .badRequest("no namespace on request") }
        review.status = SubjectRulesReviewStatus(
            core.authorizer.rules(for: context.user, in: review.spec.namespace))
        return .value(review, status: .created, warnings: warnings)
    }

    /// The old path for bindings, `/namespaces/NS/bindings`: the pod is named in the body.
    private func binding() async throws(APIError) -> Answer {
        let (binding, warnings, options) = try await body(Binding.self)
        return try await PodSubresources(core: core, context: context).bind(
            binding, pod: binding.metadata.name, options, warnings: warnings)
    }
}

extension SubjectRulesReviewStatus {
    /// Rules as the answer shows them: those for objects and those for paths apart.
    init(_ resolved: ResolvedRules) {
        self.init()
        for rule in resolved.rules {
            if rule.nonResourceURLs.isEmpty {
                resourceRules.append(
                    ResourceRule(
                        verbs: rule.verbs, apiGroups: rule.apiGroups, resources: rule.resources,
                        resourceNames: rule.resourceNames))
            } else {
                nonResourceRules.append(
                    NonResourceRule(verbs: rule.verbs, nonResourceURLs: rule.nonResourceURLs))
            }
        }
        incomplete = !resolved.errors.isEmpty
        evaluationError = resolved.errors.isEmpty ? "" : RoleIndex.joined(resolved.errors)
    }
}
