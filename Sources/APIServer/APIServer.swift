public import HTTPService
import KubernetesAPI
import KubernetesJSON
public import Logging
public import ObjectStore
import Synchronization

/// The Kubernetes API over a store: authenticates, authorises, routes and answers requests.
///
/// It knows no sockets: an `HTTPServer` hands it requests from the network, and the other rooms of the same
/// process hand it theirs directly.
public final class APIServer: HTTPResponder {
    private let core: ServerCore
    private let authenticator: Authenticator
    private let nodes: any NodeConnector
    private let system: SystemPaths
    private let addresses: ServiceAddresses
    private let configuration: APIServerConfiguration
    private let audit: Audit?
    private let frame: ServingFrame
    private let health: HealthChecks
    private let isPrepared = Atomic(false)

    /// Sets the server up.
    ///
    /// - Parameters:
    ///   - credentials: nil when nobody from outside is to be let in.
    ///   - nodes: reaches the agents behind `pods/log`, `exec`, `attach` and `portforward`.
    /// - Throws: `configuration` when the Service ranges or the audit policy makes no sense, `audit` when the audit
    ///   log cannot be opened.
    public init(
        configuration: APIServerConfiguration, store: ObjectStore,
        credentials: (any CredentialVerifier)?, nodes: any NodeConnector, logger: Logger
    ) throws(APIServerError) {
        let ranges = configuration.serviceRanges.compactMap { NetworkRange($0) }
        guard ranges.count == configuration.serviceRanges.count, (1...2).contains(ranges.count),
            Set(ranges.map(\.family)).count == ranges.count
        else {
            throw APIServerError(
                .configuration,
                "the Service ranges must be one or two, of different families, such as 10.96.0.0/16 and "
                    + "fd00:96::/112, not \"\(configuration.serviceRanges.joined(separator: ","))\""
            )
        }
        self.configuration = configuration
        self.nodes = nodes
        if let wanted = configuration.audit {
            let now = configuration.preciseNow
            audit = try Audit(wanted, now: now, logger: logger)
        } else {
            audit = nil
        }
        let addresses = ServiceAddresses(
            ranges: ranges, nodePorts: configuration.nodePorts, store: store, metrics: configuration.metrics,
            now: configuration.now)
        self.addresses = addresses
        let registry = Registry.standard(addresses: addresses, now: configuration.now)
        let metrics = APIMetrics(configuration.metrics)
        let limit = InFlightLimit(
            readOnly: configuration.maximumRequestsInFlight,
            mutating: configuration.maximumMutatingRequestsInFlight)
        metrics.observe(store, limit)
        frame = ServingFrame(
            registry: registry, metrics: metrics, limit: limit,
            deadlines: RequestDeadlines(configuration.clock), timeout: configuration.requestTimeout)
        health = HealthChecks(store)
        let core = ServerCore(
            store: store, registry: registry, authorizer: ClusterAuthorizer(store),
            clock: configuration.clock,
            now: configuration.now, metrics: metrics, logger: logger)
        self.core = core
        authenticator = Authenticator(
            credentials: credentials,
            rejection: { TokenBinding(core: core).rejection($0, $1) },
            noteUse: { await TokenUse(core: core).note($0) }, audiences: configuration.audiences)
        system = SystemPaths(
            discovery: DiscoveryDocuments(registry), documents: OpenAPIDocuments(registry: registry),
            health: health, issuer: configuration.issuer, metrics: configuration.metrics,
            serverAddress: "\(configuration.advertisedAddress):\(configuration.advertisedPort)")
        for hook in ["bootstrap-controller", "rbac/bootstrap-roles"] {
            health.add("poststarthook/\(hook)") { [weak self] in
                guard let self, isPrepared.load(ordering: .acquiring) else {
                    return "what every cluster has is not made yet"
                }
                return nil
            }
        }
    }

    // MARK: Health

    /// Adds something that must be well for `/readyz` to say so.
    ///
    /// - Parameter failure: tells what is wrong, or nil. Called whenever somebody asks: it must not wait.
    public func addReadinessCheck(_ name: String, _ failure: @escaping @Sendable () -> String?) {
        health.add(name, [.readyz], failure)
    }

    /// From now on `/readyz` says that the server goes, so that clients turn to another one while it still
    /// answers.
    public func beginShutdown() { health.beginShutdown() }

    // MARK: Life

    /// Makes what every cluster has (namespaces, `default/kubernetes`) and keeps it right, and lets old
    /// events go, until cancelled.
    public func run() async throws {
        let expiry = EventExpiry(core: core)
        let repairer = repairer()
        let reporter = AllocationReporter(core: core, addresses: addresses, events: events)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.bootstrap().run() }
            group.addTask { await expiry.run() }
            if let audit { group.addTask { await audit.run() } }
            group.addTask { await repairer.run() }
            group.addTask { await reporter.run() }
            try await group.waitForAll()
        }
    }

    /// Makes what every cluster has, once: afterwards clients find it.
    public func prepare() async throws(APIServerError) {
        try await RoleBootstrap(core: core).run()
        try await bootstrap().makeAll()
        await repairer().repairAll()
        isPrepared.store(true, ordering: .releasing)
    }

    private var events: ServerEvents { ServerEvents(core: core, responder: self) }

    private func repairer() -> AddressRepairer {
        AddressRepairer(core: core, addresses: addresses, events: events)
    }

    private func bootstrap() -> Bootstrap {
        Bootstrap(
            core: core, responder: self, serviceAddress: addresses.first?.description ?? "",
            serviceRanges: addresses.ranges.map(\.description),
            address: configuration.advertisedAddress, port: configuration.advertisedPort)
    }

    // MARK: Requests

    public func respond(to request: HTTPRequest) async -> HTTPResponse {
        let segments = request.pathSegments
        let info = RequestInfo(request, segments)
        return await frame.serve(
            request, info,
            { Responding.failure($0, ResponseForm(), logger: core.logger) },
            { [self] in await audited(request, segments, info) })
    }

    private func audited(
        _ request: HTTPRequest, _ segments: [String], _ info: RequestInfo
    ) async -> HTTPResponse {
        guard let audit else {
            var response = await answer(request, segments, info, nil)
            response.headers.replaceOrAdd(name: "audit-id", value: AuditRecord.id(of: request))
            return response
        }
        let record = AuditRecord(audit, request, info)
        return record.finish(await answer(request, segments, info, record))
    }

    private func answer(
        _ original: HTTPRequest, _ segments: [String], _ info: RequestInfo, _ record: AuditRecord?
    ) async -> HTTPResponse {
        var request = original
        let isPretty = APIServer.wantsPretty(request)
        var form = ResponseForm(isPretty: isPretty)
        do {
            if let negotiated = ResponseForm.negotiate(
                accept: request.headers.first(name: "accept"), allowsTransforms: info.isResourceRequest,
                isPretty: isPretty)
            {
                form = negotiated
            } else if info.isResourceRequest, !PodSubresourceName.streams.contains(info.subresource) {
                throw APIError.notAcceptable(ResponseForm.acceptedTypes)
            }
            try WebSocketCredential.move(in: &request.headers)
            let caller = try await authenticator.user(of: request)
            guard frame.enter(request, info, caller) else { return ServingFrame.tooManyRequests }
            defer { frame.leave(info) }
            if let record, record.begin(caller), !request.headers.contains(name: "upgrade") {
                let body = try await RequestContext.body(of: request)
                record.received(body, contentType: request.headers.first(name: "content-type"))
                request.body = .bytes(body)
            }
            let user = try Impersonation.user(caller, request.headers, core.authorizer)
            if user != caller { record?.impersonated(user) }
            let attributes = AccessAttributes(info)
            let decision = core.authorizer.decide(user, attributes)
            record?.decided(decision)
            guard decision.isAllowed else {
                throw APIError.forbidden(user, attributes, reason: decision.reason)
            }
            guard info.isResourceRequest else {
                guard let response = system.respond(request, segments, form) else {
                    throw APIError.resourceNotFound
                }
                return response
            }
            let context = RequestContext(request: request, info: info, user: user, form: form)
            return try await respond(context)
        } catch let error as APIError {
            var plain = form
            plain.shape = .object
            return Responding.failure(error, plain, logger: core.logger)
        } catch {
            core.logger.error("request failed", metadata: ["error": "\(error)"])
            return Responding.failure(.internalError("\(error)"), ResponseForm(), logger: core.logger)
        }
    }

    private func respond(_ context: RequestContext) async throws(APIError) -> HTTPResponse {
        let info = context.info
        if let resource = core.registry.resource(
            group: info.group, version: info.version, plural: info.resource)
        {
            return try await respond(context, resource)
        }
        if let review = core.registry.review(
            group: info.group, version: info.version, plural: info.resource)
        {
            let verbs = ReviewVerbs(core: core, authenticator: authenticator, context: context)
            let answer = try await verbs.run(review)
            guard case .object(let bytes) = answer.content else { throw .resourceNotFound }
            var response = Responding.encoded(
                bytes, context.form, status: answer.status, logger: core.logger)
            Responding.add(answer.warnings, to: &response.headers)
            return response
        }
        if let list = AbsentKinds.list(info) {
            return Responding.encoded(list, context.form, status: .ok, logger: core.logger)
        }
        throw .resourceNotFound
    }

    /// Lists of more objects than this are not put together on the connection's thread, where others would wait.
    private static let longList = 200

    private func respond(
        _ context: RequestContext, _ resource: some AnyResource
    ) async throws(APIError) -> HTTPResponse {
        let isLong =
            ["list", "deletecollection"].contains(context.info.verb)
            && core.store.count(resource: resource.kind.groupResource) > Self.longList
        guard isLong else { return try await carryOut(context, resource) }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) { () throws(APIError) in
            try await carryOut(context, resource)
        }
    }

    private func carryOut(
        _ context: RequestContext, _ resource: some AnyResource
    ) async throws(APIError) -> HTTPResponse {
        let writer = AnswerWriter(core: core, resource: resource.definition, context: context)
        if let answer = try await special(context, resource.kind) { return try writer.response(answer) }
        let verbs = ResourceVerbs(core: core, resource: resource.definition, context: context)
        do {
            guard let version = resource.definition.version else {
                return try writer.response(try await verbs.run())
            }
            let versioned = VersionedVerbs(
                core: core, resource: resource.definition, version: version, context: context)
            return try writer.response(try await versioned.run())
        } catch {
            // Whoever uses something deprecated is told, whatever comes of the request.
            guard !verbs.standingWarnings.isEmpty else { throw error }
            var plain = context.form
            plain.shape = .object
            var response = Responding.failure(error, plain, logger: core.logger)
            Responding.add(verbs.standingWarnings, to: &response.headers)
            return response
        }
    }

    /// Subresources that do more than change a stored object.
    private func special(_ context: RequestContext, _ kind: ResourceKind) async throws(APIError) -> Answer? {
        let info = context.info
        if kind.plural == ComponentStatus.resource.plural, info.subresource.isEmpty {
            return try ComponentStatuses(core: core, components: configuration.components)
                .answer(context)
        }
        if kind.plural == "nodes", info.subresource == "proxy", !info.name.isEmpty {
            return try await ProxyVerbs(core: core, context: context, nodes: nodes).forward()
        }
        guard kind.isNamespaced, !info.namespace.isEmpty, !info.name.isEmpty else { return nil }
        switch (kind.plural, info.subresource, info.verb) {
        case ("pods", "binding", "create"):
            return try await PodSubresources(core: core, context: context).bind()
        case ("pods", "eviction", "create"):
            return try await PodEviction(core: core, context: context).evict()
        case ("pods", "log", "get"), ("pods", "exec", "get"), ("pods", "exec", "create"),
            ("pods", "attach", "get"), ("pods", "attach", "create"), ("pods", "portforward", "get"),
            ("pods", "portforward", "create"):
            return try await PodSubresources(core: core, context: context).forward(nodes)
        case ("pods", "proxy", _), ("services", "proxy", _):
            return try await ProxyVerbs(core: core, context: context, nodes: nodes).forward()
        case ("serviceaccounts", "token", "create"):
            return try await TokenRequests(
                core: core, authenticator: authenticator, context: context
            ).issue()
        default:
            return nil
        }
    }

    /// Indented answers for those who ask and for those who look with their own eyes.
    private static func wantsPretty(_ request: HTTPRequest) -> Bool {
        if let text = request.query.first("pretty") { return text != "false" && text != "0" }
        let agent = request.headers.first(name: "user-agent") ?? ""
        return ["curl", "Wget", "Mozilla/5.0"].contains { agent.hasPrefix($0) }
    }
}

enum PodSubresourceName {
    /// Their answers are streams, whatever the client accepts.
    static let streams: Set<String> = ["log", "exec", "attach", "portforward", "proxy"]
}

extension RequestInfo {
    /// Reads the attributes of a request.
    init(_ request: HTTPRequest, _ segments: [String]) {
        let isWatch = request.query.first("watch").map { $0 != "false" && $0 != "0" } ?? false
        var fieldName: String?
        if let text = request.query.first("fieldSelector"), let selector = try? FieldSelector.parse(text) {
            fieldName = selector.exactValue(of: "metadata.name")
        }
        self.init(
            method: request.method.rawValue,
            path: "/" + segments.joined(separator: "/"), segments: segments, isWatch: isWatch,
            fieldName: fieldName)
        fieldSelector = request.query.first("fieldSelector") ?? ""
    }
}
