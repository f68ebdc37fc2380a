import HTTPService
import KubernetesAPI
import KubernetesJSON
import Synchronization

/// What the audit log gets to know of one request, while it is carried out.
final class AuditRecord: Sendable {
    /// The request's name in the log and in the answer's `Audit-Id`.
    let id: String
    private let audit: Audit
    private let state: Mutex<State>

    private struct State {
        var event: AuditEvent
        var decision: AuditPolicy.Decision?
    }

    init(_ audit: Audit, _ request: HTTPRequest, _ info: RequestInfo) {
        self.audit = audit
        id = Self.id(of: request)
        var event = AuditEvent(attributes: AccessAttributes(info), received: audit.now())
        event.auditID = id
        event.requestURI = request.target
        event.userAgent = request.headers.first(name: "user-agent") ?? ""
        event.sourceIPs = Self.sources(request)
        state = Mutex(State(event: event))
    }

    /// What a request is called in the log and in its answer. A client may name it, so that it finds it again.
    static func id(of request: HTTPRequest) -> String {
        let wish = request.headers.first(name: "audit-id") ?? ""
        var generator = SystemRandomNumberGenerator()
        return wish.isEmpty || wish.utf8.count > 64 ? RandomName.uuid(using: &generator) : wish
    }

    /// Where the request came from, first the client, then those who passed it on.
    private static func sources(_ request: HTTPRequest) -> [String] {
        let forwarded = request.headers["x-forwarded-for"].flatMap { $0.split(separator: ",") }.map {
            String($0.trimmed())
        }
        let own = request.remoteAddress.isEmpty ? [] : [request.remoteAddress]
        return forwarded + own.filter { !forwarded.contains($0) }
    }

    // MARK: On the way

    /// Somebody asks; the policy decides what is kept.
    ///
    /// - Returns: whether the request's body is to be kept.
    func begin(_ user: User?) -> Bool {
        let decision = state.withLock { state in
            state.event.user = user
            let decision = audit.policy.decision(user, state.event.attributes)
            state.event.level = decision.level
            state.decision = decision
            return decision
        }
        emit(.requestReceived)
        return decision.level >= .request
    }

    func impersonated(_ user: User) { state.withLock { $0.event.impersonatedUser = user } }

    func decided(_ decision: AccessDecision) {
        state.withLock { state in
            state.event.annotations["authorization.k8s.io/decision"] = decision.isAllowed ? "allow" : "forbid"
            state.event.annotations["authorization.k8s.io/reason"] = decision.reason
        }
    }

    func received(_ body: [UInt8], contentType: String?) {
        guard !body.isEmpty, let value = Self.value(body, contentType) else { return }
        state.withLock { state in
            state.event.requestObject =
                state.decision?.omitManagedFields == true
                ? AuditEvent.withoutManagedFields(value) : value
        }
    }

    /// A body as a tree; nil when it is none. What cannot be read is refused elsewhere.
    private static func value(_ bytes: [UInt8], _ contentType: String?) -> JSONValue? {
        let essence = (contentType ?? "").asciiLowercased()
        if essence.hasPrefix("application/vnd.kubernetes.protobuf") { return ProtobufForm.decode(bytes) }
        if essence.contains("yaml") { return try? YAML.decode(bytes) }
        return try? JSONValue(json: bytes)
    }

    // MARK: The answer

    /// Notes the answer, and follows one that goes on to its end.
    func finish(_ response: HTTPResponse) -> HTTPResponse {
        let (level, isLasting) = state.withLock { state in
            if state.decision == nil {
                // Nobody knows who asked; the policy has its say about that too.
                let decision = audit.policy.decision(nil, state.event.attributes)
                state.event.level = decision.level
                state.decision = decision
            }
            return (state.event.level, Self.isLasting(state.event.attributes))
        }
        var response = response
        response.headers.replaceOrAdd(name: "audit-id", value: id)
        guard level > .none else { return response }
        let type = response.headers.first(name: "content-type")
        switch response.body {
        case .empty:
            complete(response.status, [], type)
        case .bytes(let bytes):
            complete(response.status, bytes, type)
        case .stream(let write):
            if isLasting { emit(.responseStarted, status: response.status) }
            let keeps = level == .requestResponse && !isLasting
            response.body = .stream { [status = response.status] writer in
                let copy = CopyingWriter(writer, limit: keeps ? ServerCore.maximumBody : 0)
                defer { self.complete(status, copy.bytes, type) }
                try await write(copy)
            }
        case .tunnel(let run):
            emit(.responseStarted, status: response.status)
            response.body = .tunnel { [status = response.status] tunnel in
                defer { self.complete(status, [], type) }
                try await run(tunnel)
            }
        }
        return response
    }

    private static func isLasting(_ attributes: AccessAttributes) -> Bool {
        attributes.verb == "watch" || PodSubresourceName.streams.contains(attributes.subresource)
    }

    private func complete(_ status: HTTPResponseStatus, _ bytes: [UInt8], _ type: String?) {
        emit(.responseComplete, status: status, bytes, type)
    }

    private func emit(
        _ stage: AuditStage, status: HTTPResponseStatus? = nil, _ bytes: [UInt8] = [], _ type: String? = nil
    ) {
        let event: AuditEvent? = state.withLock { state in
            guard let decision = state.decision, decision.level > .none, !decision.omitStages.contains(stage)
            else { return nil }
            var event = state.event
            event.stage = stage
            event.stamped = audit.now()
            guard let status else { return event }
            event.responseStatus = Status(code: Int(status.code))
            let isFailure = status.code >= 400
            guard isFailure || decision.level == .requestResponse, !bytes.isEmpty,
                let value = Self.value(bytes, type)
            else { return event }
            if value["kind"]?.stringValue == "Status", let told = try? Status(value) {
                event.responseStatus = told
                event.responseStatus?.code = Int(status.code)
            }
            if decision.level == .requestResponse {
                event.responseObject =
                    decision.omitManagedFields ? AuditEvent.withoutManagedFields(value) : value
            }
            return event
        }
        if let event { audit.log.write(event.jsonValue.json()) }
    }
}

/// Passes bytes on and keeps what fits below a limit; nothing of what is longer.
private final class CopyingWriter: ResponseWriter {
    private let writer: any ResponseWriter
    private let limit: Int
    private let kept = Mutex<[UInt8]?>([])

    init(_ writer: any ResponseWriter, limit: Int) {
        self.writer = writer
        self.limit = limit
    }

    var bytes: [UInt8] { kept.withLock { $0 ?? [] } }

    func write(_ bytes: [UInt8]) async throws {
        kept.withLock { kept in
            guard let count = kept?.count else { return }
            if count + bytes.count <= limit { kept?.append(contentsOf: bytes) } else { kept = nil }
        }
        try await writer.write(bytes)
    }
}
