import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Logging
import ObjectStore
import Telemetry
import Testing

/// An API server over a store in memory, asked without sockets.
struct Harness {
    let store: ObjectStore
    let server: APIServer
    let nodes: RecordingConnector

    init(
        prepared: Bool = true, configure: (inout APIServerConfiguration) -> Void = { _ in }
    ) async throws {
        let logger = Logger(label: "swiftlet.apiserver.test") { _ in SwiftLogNoOpLogHandler() }
        let metrics = MetricRegistry()
        store = try await ObjectStore.open(.memory, metrics: metrics, logger: logger)
        nodes = RecordingConnector()
        var configuration = APIServerConfiguration()
        configuration.advertisedAddress = "10.200.0.2"
        configuration.now = { Time(seconds: 1_800_000_000) }
        configuration.metrics = metrics
        configuration.issuer = IssuerDocuments(
            configuration: Array(#"{"issuer":"https://issuer"}"#.utf8), keySet: Array(#"{"keys":[]}"#.utf8))
        configure(&configuration)
        server = try APIServer(
            configuration: configuration, store: store, credentials: FakeCredentials(), nodes: nodes,
            logger: logger)
        if prepared {
            try await server.prepare()
            // What the service account controller does.
            _ = try await post(
                "/api/v1/namespaces/default/serviceaccounts", #"{"metadata":{"name":"default"}}"#)
        }
    }

    /// An answer with its body read.
    struct Reply {
        var status: Int
        var headers: HTTPHeaders
        var bytes: [UInt8]
        var json: JSONValue { (try? JSONValue(json: bytes)) ?? .null }
        var text: String { String(decoding: bytes, as: UTF8.self) }
        var warnings: [String] { headers["warning"] }
        var message: String { json["message"]?.stringValue ?? "" }
        var reason: String { json["reason"]?.stringValue ?? "" }
    }

    func send(
        _ method: HTTPMethod, _ target: String, _ body: String = "", headers: HTTPHeaders = [:],
        peer: Peer = .inProcess(user: "admin", groups: ["system:masters"])
    ) async throws -> Reply {
        var request = request(method, target, headers: headers, peer: peer)
        request.body = .bytes(Array(body.utf8))
        return try await read(await server.respond(to: request))
    }

    func request(
        _ method: HTTPMethod, _ target: String, headers: HTTPHeaders = [:],
        peer: Peer = .inProcess(user: "admin", groups: ["system:masters"])
    ) -> HTTPRequest {
        var request = HTTPRequest(method: method, target: target, headers: headers)
        request.peer = peer
        return request
    }

    func read(_ response: HTTPResponse) async throws -> Reply {
        var bytes: [UInt8] = []
        switch response.body {
        case .bytes(let body): bytes = body
        case .stream(let write):
            let sink = Sink()
            try await write(sink)
            bytes = await sink.bytes
        case .empty, .tunnel: break
        }
        return Reply(status: Int(response.status.code), headers: response.headers, bytes: bytes)
    }

    func get(_ target: String, accept: String? = nil) async throws -> Reply {
        try await send(.GET, target, headers: accept.map { ["accept": $0] } ?? [:])
    }

    func post(_ target: String, _ body: String) async throws -> Reply {
        try await send(.POST, target, body, headers: ["content-type": "application/json"])
    }

    func put(_ target: String, _ body: String) async throws -> Reply {
        try await send(.PUT, target, body, headers: ["content-type": "application/json"])
    }

    func patch(_ target: String, _ body: String, type: String = "merge") async throws -> Reply {
        let types = [
            "merge": "application/merge-patch+json", "json": "application/json-patch+json",
            "strategic": "application/strategic-merge-patch+json",
            "apply": "application/apply-patch+yaml",
        ]
        return try await send(.PATCH, target, body, headers: ["content-type": types[type] ?? type])
    }

    func delete(_ target: String, _ body: String = "") async throws -> Reply {
        try await send(.DELETE, target, body)
    }

    static let pods = "/api/v1/namespaces/default/pods"
    static let maps = "/api/v1/namespaces/default/configmaps"
    static let services = "/api/v1/namespaces/default/services"
    static let deployments = "/apis/apps/v1/namespaces/default/deployments"

    static func pod(_ name: String, labels: String = "{}", node: String = "") -> String {
        #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"\#(name)","labels":\#(labels)},"#
            + #""spec":{"nodeName":"\#(node)","containers":[{"name":"main","image":"busybox"}]}}"#
    }

    static let deployment = """
        {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","labels":{"app":"web"}},
         "spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},
          "template":{"metadata":{"labels":{"app":"web"}},
           "spec":{"containers":[{"name":"web","image":"web:1.0","ports":[{"containerPort":3000}]}]}}}}
        """
}

/// Collects what a stream writes.
actor Sink: ResponseWriter {
    private(set) var bytes: [UInt8] = []
    private var waiters: [(count: Int, CheckedContinuation<Void, Never>)] = []

    func write(_ bytes: [UInt8]) async throws {
        self.bytes += bytes
        let lines = lineCount
        let ready = waiters.filter { $0.count <= lines }
        waiters.removeAll { $0.count <= lines }
        for waiter in ready { waiter.1.resume() }
    }

    private var lineCount: Int { bytes.count { $0 == UInt8(ascii: "\n") } }

    /// Returns once so many lines were written.
    func waitForLines(_ count: Int) async {
        if lineCount >= count { return }
        await withCheckedContinuation { waiters.append((count, $0)) }
    }

    var lines: [JSONValue] {
        bytes.split(separator: UInt8(ascii: "\n")).compactMap { try? JSONValue(json: Array($0)) }
    }
}

/// Remembers what would have gone to a node.
actor RecordingConnector: NodeConnector {
    private(set) var requests: [(node: String, request: HTTPRequest)] = []

    func respond(node: String, to request: HTTPRequest) async -> HTTPResponse {
        requests.append((node, request))
        return HTTPResponse(text: "from the node")
    }
}

/// Tokens and certificates that say what they stand for.
struct FakeCredentials: CredentialVerifier {
    struct Bad: Error {}

    func identity(ofCertificates chain: [[UInt8]]) async throws -> (name: String, groups: [String]) {
        guard let leaf = chain.first else { throw Bad() }
        let parts = String(decoding: leaf, as: UTF8.self).split(separator: "/").map(String.init)
        guard parts.first == "CN", parts.count >= 2 else { throw Bad() }
        return (parts[1], Array(parts.dropFirst(2)))
    }

    func verify(token: String, audiences: [String]) throws -> TokenSubject {
        if token == "late" { throw TokenRejection("service account token has expired") }
        let parts = token.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        if parts.count == 5, parts[0] == "held" {
            var subject = TokenSubject(
                namespace: parts[1], serviceAccount: parts[2], serviceAccountUID: parts[3],
                secret: .init(name: parts[4], uid: ""))
            subject.isHeldBySecret = true
            return subject
        }
        guard parts.count == 4, parts[0] == "token" else { throw Bad() }
        return TokenSubject(
            namespace: parts[1], serviceAccount: parts[2], serviceAccountUID: parts[3],
            audiences: audiences)
    }

    func issue(_ subject: TokenSubject, lifetimeSeconds: Int) throws -> IssuedToken {
        IssuedToken(
            token: "token|\(subject.namespace)|\(subject.serviceAccount)|\(subject.serviceAccountUID)",
            expiration: Time(seconds: 1_800_000_000 + lifetimeSeconds))
    }
}
