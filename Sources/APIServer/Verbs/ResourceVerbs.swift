import HTTPService
import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// Carries out the verbs of one kind for one request: the thin part between `Preparation`'s rules and the
/// store.
struct ResourceVerbs<Object: KubernetesObject>: Sendable {
    let core: ServerCore
    let resource: Resource<Object>
    let context: RequestContext

    var kind: ResourceKind { Object.resource }
    var info: RequestInfo { context.info }

    /// Attempts at making up a name that is free.
    static var maximumAttempts: Int { 8 }
    /// Attempts at a write that meets other writers: enough for any crowd, of which one gets through each time.
    static var maximumWriteAttempts: Int { 1000 }

    func key(_ name: String) -> ObjectKey {
        ObjectKey(
            resource: kind.groupResource, namespace: kind.isNamespaced ? info.namespace : "", name: name)
    }

    /// Chooses the verb.
    func run() async throws(APIError) -> Answer {
        if kind.isNamespaced, info.namespace.isEmpty, !["list", "watch"].contains(info.verb) {
            throw .methodNotAllowed
        }
        if !info.subresource.isEmpty { return try await runSubresource() }
        guard resource.verbs.contains(info.verb) else { throw .methodNotAllowed }
        switch info.verb {
        case "get": return try await get()
        case "list": return try await list()
        case "watch": return try await watch()
        case "create":
            guard info.name.isEmpty else { throw .methodNotAllowed }
            return try await create()
        case "update", "patch":
            // A collection is neither replaced nor patched, whatever the body.
            guard !info.name.isEmpty else { throw .methodNotAllowed }
            return info.verb == "update" ? try await update() : try await patch()
        case "delete": return try await delete()
        case "deletecollection": return try await deleteCollection()
        default: throw .methodNotAllowed
        }
    }

    private func runSubresource() async throws(APIError) -> Answer {
        guard let subresource = resource.subresources.first(where: { $0.name == info.subresource }) else {
            throw .resourceNotFound
        }
        let verb = info.verb == "watch" || info.verb == "list" ? "get" : info.verb
        guard subresource.verbs.contains(verb) else { throw .methodNotAllowed }
        switch (info.subresource, verb) {
        case ("status", "get"), ("ephemeralcontainers", "get"): return try await get()
        case ("status", "update"): return try await update(.status)
        case ("status", "patch"): return try await patch(.status)
        case ("scale", "get"): return try getScale()
        case ("scale", "update"): return try await updateScale()
        case ("scale", "patch"): return try await patchScale()
        case ("finalize", "update"): return try await update(.finalize)
        case ("ephemeralcontainers", "update"): return try await update(.ephemeralContainers)
        case ("ephemeralcontainers", "patch"): return try await patch(.ephemeralContainers)
        default: throw .resourceNotFound
        }
    }

    // MARK: Get

    func get() async throws(APIError) -> Answer {
        try await core.wait(for: try Revisions.parse(context.query.first("resourceVersion") ?? ""))
        return Answer(.object(try stored(info.name).bytes), warnings: standingWarnings)
    }

    func stored(_ name: String) throws(APIError) -> StoredObject {
        guard let stored = core.store.get(key(name)) else { throw .notFound(kind, name) }
        return stored
    }

    // MARK: Writing

    /// Which part of an object an update may change.
    enum Part: Sendable, Hashable {
        case whole, status, finalize, ephemeralContainers

        /// The subresource that changes it.
        var subresource: String {
            switch self {
            case .whole: ""
            case .status: "status"
            case .finalize: "finalize"
            case .ephemeralContainers: "ephemeralcontainers"
            }
        }
    }

    /// What admission is told of this request.
    func admissionRequest(
        _ operation: AdmissionRequest.Operation, _ subresource: String = "", name: String, isDryRun: Bool
    ) -> AdmissionRequest {
        AdmissionRequest(
            operation, kind, subresource: subresource, namespace: kind.isNamespaced ? info.namespace : "",
            name: name, user: context.user, isDryRun: isDryRun, now: core.now())
    }

    /// Commits changes together, the first of which is the request's, and puts the store's failures into the
    /// API's words.
    func commit(_ mutations: [Mutation]) async throws(APIError) -> StoredObject {
        let key = mutations.first?.key ?? key(info.name)
        do {
            let results = try await core.store.commit(mutations)
            guard let result = results.first else {
                throw APIError.internalError("the store answered nothing for \(key)")
            }
            return result
        } catch let error as StoreError {
            throw failure(error, key)
        } catch let error as APIError {
            throw error
        } catch {
            throw .internalError("\(error)")
        }
    }

    func failure(_ error: StoreError, _ key: ObjectKey) -> APIError {
        switch error.code {
        case .alreadyExists: .alreadyExists(kind, key.name)
        case .notFound: .notFound(kind, key.name)
        case .conflict: .conflict(kind, key.name, APIError.modifiedMessage)
        case .compacted: .expired("The resourceVersion for the provided list is too old.")
        case .future(let current): .futureRevision(0, current: current)
        // As upstream hands on what etcd says when its space is used up: without a reason.
        case .full, .unwritable: APIError(code: 500, reason: "", message: error.message)
        default: .internalError("the store could not be written: \(error.message)")
        }
    }

    /// The warnings every use of the kind brings.
    var standingWarnings: [String] { resource.deprecation.map { [$0] } ?? [] }
}
