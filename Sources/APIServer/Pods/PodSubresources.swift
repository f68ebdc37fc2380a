import HTTPService
import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// Reaches the agents of nodes.
public protocol NodeConnector: Sendable {
    /// Passes a request on to the agent of a node: `GET /containerLogs/NS/POD/CONTAINER`,
    /// `/exec/…`, `/attach/…`, `/portForward/NS/POD`. The response comes back as it is, tunnels included.
    func respond(node: String, to request: HTTPRequest) async -> HTTPResponse
}

/// The subresources of pods that are not parts of the stored object.
struct PodSubresources: Sendable {
    let core: ServerCore
    let context: RequestContext

    private var info: RequestInfo { context.info }

    private func stored(_ name: String) throws(APIError) -> StoredObject {
        let key = ObjectKey(
            resource: Pod.resource.groupResource, namespace: info.namespace, name: name)
        guard let stored = core.store.get(key) else { throw .notFound(Pod.resource, name) }
        return stored
    }

    // MARK: Binding

    func bind() async throws(APIError) -> Answer {
        let options = try WriteQuery(context.query, kind: "CreateOptions")
        let decoded = try BodyDecoder.decode(
            Binding.self, try await context.body(),
            contentType: context.request.headers.first(name: "content-type"), options.fieldValidation)
        return try await bind(decoded.object, pod: info.name, options, warnings: decoded.warnings)
    }

    /// Assigns a pod to a node: what schedulers do.
    func bind(
        _ binding: Binding, pod name: String, _ options: WriteQuery, warnings: [String]
    ) async throws(APIError) -> Answer {
        guard binding.metadata.name == name else {
            throw .badRequest("name in URL does not match name in Binding object")
        }
        guard binding.target.kind.isEmpty || binding.target.kind == "Node" else {
            throw .invalid(
                binding,
                [.notSupported("target.kind", .string(binding.target.kind), ["Node", "<empty>"])])
        }
        guard !binding.target.name.isEmpty else {
            throw .invalid(binding, [.required("target.name")])
        }
        while true {
            let stored = try stored(name)
            let pod = try StoredForm.decode(stored, as: Pod.self)
            let bound = try PodBinding.bound(pod, binding, now: core.now())
            if options.isDryRun { break }
            let draft = try StoredForm.draft(of: bound, PodResources.pods)
            do {
                _ = try await core.store.commit([
                    .update(stored.key, draft, expected: stored.revision)
                ])
                break
            } catch {
                if case .conflict = error.code { continue }
                if case .notFound = error.code { throw .notFound(Pod.resource, name) }
                throw .internalError("the store could not be written: \(error.message)")
            }
        }
        return .value(Status(status: "Success", code: 201), status: .created, warnings: warnings)
    }

    // MARK: Streams

    /// Passes a stream on to the node that runs the pod.
    func forward(_ nodes: any NodeConnector) async throws(APIError) -> Answer {
        // Before the pod is looked for.
        if info.subresource == "log" { _ = try PodStreams.logOptions(context.query, pod: info.name) }
        let pod = try StoredForm.decode(try stored(info.name), as: Pod.self)
        let target = try PodStreams.target(
            pod, subresource: info.subresource, query: context.query)
        guard let target else {
            // Not on a node yet: there is nothing to read, and that is no failure (upstream's log).
            return Answer(.raw(HTTPResponse(contentType: "text/plain", [])))
        }
        var request = context.request
        request.path = target.path
        request.query = target.query
        request.peer = .inProcess(user: context.user.name, groups: context.user.groups)
        request.headers.remove(name: "authorization")
        return Answer(.raw(await nodes.respond(node: pod.spec.nodeName, to: request)))
    }
}
