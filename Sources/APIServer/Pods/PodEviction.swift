import HTTPService
import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// What the budgets of a pod mean for its eviction. Pure.
package enum EvictionJudgement: Sendable, Hashable {
    /// The pod may go. `onlyAsSeen`: only in the state in which it was judged.
    case allowed(onlyAsSeen: Bool)
    /// The pod may go once the budget, as it is here, has been charged with it.
    case charge(PodDisruptionBudget)
    case refused(Status)

    /// More evictions than this that the disruption controller has not seen through are too many.
    static let maximumPending = 2000

    /// Judges a pod that is to be evicted.
    ///
    /// - Parameter budgets: those of its namespace.
    package static func judge(
        _ pod: Pod, _ budgets: [PodDisruptionBudget], now: Time
    ) -> EvictionJudgement {
        let phase = pod.status.phase
        let isOver = phase == "Succeeded" || phase == "Failed" || pod.metadata.deletionTimestamp != nil
        // What does not run yet is nobody's to miss, but it may be running by the time it is deleted.
        if isOver || phase == "Pending" { return .allowed(onlyAsSeen: !isOver) }
        let mine = budgets.filter { budget in
            (try? Selector(budget.spec.selector))?.matches(pod.metadata.labels) ?? false
        }
        guard let budget = mine.first else { return .allowed(onlyAsSeen: false) }
        guard mine.count == 1 else {
            return .refused(
                Status(
                    status: "Failure",
                    message:
                        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                    code: 500))
        }
        let isReady = pod.status.conditions.contains { $0.type == "Ready" && $0.status == "True" }
        if !isReady {
            let status = budget.status
            if budget.spec.unhealthyPodEvictionPolicy == "AlwaysAllow"
                || status.currentHealthy >= status.desiredHealthy && status.desiredHealthy > 0
            {
                return .allowed(onlyAsSeen: true)
            }
        }
        return charge(budget, with: pod.metadata.name, now: now)
    }

    private static func charge(
        _ budget: PodDisruptionBudget, with pod: String, now: Time
    ) -> EvictionJudgement {
        let status = budget.status
        let name = budget.metadata.name
        if status.observedGeneration < budget.metadata.generation { return .refused(pending(name).status) }
        var kind = PodDisruptionBudget.resource
        // Upstream names the kind here, not the resource.
        kind.plural = "poddisruptionbudget"
        if status.disruptionsAllowed < 0 {
            return .refused(APIError.forbidden(kind, name, "pdb disruptions allowed is negative").status)
        }
        if status.disruptedPods.count > maximumPending {
            return .refused(
                APIError.forbidden(
                    kind, name,
                    "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
                ).status)
        }
        if status.disruptionsAllowed == 0 {
            return .refused(
                tooMany(
                    "The disruption budget \(name) needs \(status.desiredHealthy) healthy pods and has "
                        + "\(status.currentHealthy) currently", retryAfter: 0
                ).status)
        }
        var charged = budget
        charged.status.disruptionsAllowed -= 1
        if charged.status.disruptionsAllowed == 0 { charged.setDisruptionAllowed(now: now) }
        // Until the disruption controller sees the pod go, it does not count as healthy.
        charged.status.disruptedPods[pod] = now
        return .charge(charged)
    }

    /// A budget whose spec or pods the disruption controller has yet to look at.
    static func pending(_ budget: String) -> APIError {
        tooMany(
            "The disruption budget \(budget) is still being processed by the server.", retryAfter: 10)
    }

    private static func tooMany(_ cause: String, retryAfter seconds: Int) -> APIError {
        var error = APIError.tooManyRequests(
            "Cannot evict pod as it would violate the pod's disruption budget.", retryAfter: seconds)
        error.status.details = error.status.details ?? StatusDetails()
        error.status.details?.causes.append(StatusCause(reason: "DisruptionBudget", message: cause))
        return error
    }
}

/// `pods/eviction`: a deletion that respects disruption budgets.
struct PodEviction: Sendable {
    let core: ServerCore
    let context: RequestContext

    private var info: RequestInfo { context.info }
    private var verbs: ResourceVerbs<Pod> {
        ResourceVerbs(core: core, resource: PodResources.pods, context: context)
    }

    func evict() async throws(APIError) -> Answer {
        let query = try WriteQuery(context.query, kind: "CreateOptions")
        let decoded = try BodyDecoder.decode(
            Eviction.self, try await context.body(),
            contentType: context.request.headers.first(name: "content-type"), query.fieldValidation,
            oldVersions: ["v1beta1"])
        guard decoded.object.metadata.name == info.name else {
            throw .badRequest("name in URL does not match name in Eviction object")
        }
        var options = decoded.object.deleteOptions ?? DeleteOptions()
        if query.isDryRun, options.dryRun.isEmpty { options.dryRun = ["All"] }
        let errors = Preparation.errors(of: options)
        if !errors.isEmpty { throw .invalid(options: "DeleteOptions", errors) }
        let isDryRun = options.dryRun.contains("All")
        var attempt = 1
        while true {
            let stored = try verbs.stored(info.name)
            let pod = try StoredForm.decode(stored, as: Pod.self)
            do {
                return try await evict(pod, options, query, isDryRun: isDryRun, decoded.warnings)
            } catch {
                // The pod or the budget changed meanwhile: judge anew, unless the client named the state.
                guard error.status.reason == "Conflict", options.preconditions?.resourceVersion == nil,
                    options.preconditions?.uid == nil || options.preconditions?.uid == pod.metadata.uid,
                    attempt < ResourceVerbs<Pod>.maximumWriteAttempts
                else { throw error }
                attempt += 1
            }
        }
    }

    private func evict(
        _ pod: Pod, _ options: DeleteOptions, _ query: WriteQuery, isDryRun: Bool, _ warnings: [String]
    ) async throws(APIError) -> Answer {
        // Before a budget is charged.
        try verbs.restrict(.delete, new: nil, old: pod)
        try Preparation.check(options.preconditions, pod)
        var options = options
        var seen = pod
        switch EvictionJudgement.judge(pod, try budgets(), now: core.now()) {
        case .refused(let status):
            if status.reason.isEmpty {
                return .value(status, status: .internalServerError, warnings: warnings)
            }
            throw APIError(status: status)
        case .charge(let budget):
            if !isDryRun { try await write(budget) }
        case .allowed(let onlyAsSeen):
            if onlyAsSeen, !isDryRun, options.preconditions?.resourceVersion == nil {
                seen = try await mark(pod, query)
                var preconditions = options.preconditions ?? Preconditions()
                preconditions.resourceVersion = seen.metadata.resourceVersion
                options.preconditions = preconditions
                return try await delete(options, warnings)
            }
        }
        if !isDryRun, options.preconditions?.resourceVersion == nil { _ = try await mark(seen, query) }
        return try await delete(options, warnings)
    }

    private func delete(_ options: DeleteOptions, _ warnings: [String]) async throws(APIError) -> Answer {
        _ = try await verbs.delete(info.name, options)
        return .value(Status(status: "Success", code: 201), status: .created, warnings: warnings)
    }

    private func budgets() throws(APIError) -> [PodDisruptionBudget] {
        do {
            let page = try core.store.list(
                resource: PodDisruptionBudget.resource.groupResource, namespace: info.namespace)
            return try page.objects.map { try StoredForm.decode($0) }
        } catch let error as APIError {
            throw error
        } catch {
            throw .internalError("disruption budgets cannot be read: \(error)")
        }
    }

    /// Writes a budget over the state that it was made of.
    private func write(_ budget: PodDisruptionBudget) async throws(APIError) {
        let kind = PodDisruptionBudget.resource
        let name = budget.metadata.name
        let key = ObjectKey(
            resource: kind.groupResource, namespace: budget.metadata.namespace, name: name)
        guard let expected = Revision(budget.metadata.resourceVersion) else {
            throw .internalError("stored \(key) has no revision")
        }
        let draft = try StoredForm.draft(of: budget, PolicyResources.budgets)
        do {
            _ = try await core.store.commit([.update(key, draft, expected: expected)])
        } catch {
            switch error.code {
            case .conflict, .notFound: throw .conflict(kind, name, APIError.modifiedMessage)
            default: throw .internalError("the store could not be written: \(error.message)")
            }
        }
    }

    /// Tells on the pod why it goes.
    private func mark(_ pod: Pod, _ query: WriteQuery) async throws(APIError) -> Pod {
        guard pod.metadata.deletionTimestamp == nil else { return pod }
        let now = core.now()
        let answer = try await verbs.modify(.status, query, warnings: [], retries: true) {
            stored throws(APIError) in
            var marked = try StoredForm.decode(stored, as: Pod.self)
            guard marked.metadata.resourceVersion == pod.metadata.resourceVersion else {
                throw .conflict(Pod.resource, pod.metadata.name, APIError.modifiedMessage)
            }
            marked.status.conditions.removeAll { $0.type == "DisruptionTarget" }
            marked.status.conditions.append(
                PodCondition(
                    type: "DisruptionTarget", status: "True", lastTransitionTime: now,
                    reason: "EvictionByEvictionAPI", message: "Eviction API: evicting"))
            return marked
        }
        guard case .object(let bytes) = answer.content, let marked = try? Pod(json: bytes) else {
            throw .internalError("a pod that was written cannot be read")
        }
        return marked
    }
}
