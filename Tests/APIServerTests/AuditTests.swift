import APIServer
import Glibc
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Logging
import Synchronization
import Testing

@Suite struct AuditTests {
    static func policy(_ rules: String) throws -> AuditPolicy {
        try AuditPolicy(Array("apiVersion: audit.k8s.io/v1\nkind: Policy\n\(rules)".utf8))
    }

    func request(
        _ verb: String, _ resource: String, group: String = "", sub: String = "", name: String = "",
        namespace: String = "default"
    ) -> AccessAttributes {
        AccessAttributes(
            ResourceAttributes(
                namespace: namespace, verb: verb, group: group, resource: resource, subresource: sub,
                name: name))
    }

    let bob = User(name: "bob", groups: ["devs"])

    @Test func theFirstRuleDecides() throws {
        let policy = try Self.policy(
            """
            omitStages: [RequestReceived]
            rules:
            - {level: None, users: [al]}
            - {level: Metadata, userGroups: [devs], verbs: [get], omitStages: [ResponseStarted]}
            - {level: Request, resources: [{group: "", resources: [pods/*, "*/scale"]}]}
            - {level: RequestResponse, resources: [{group: apps}], namespaces: [kube-system]}
            - {level: Metadata, resources: [{group: "", resources: [secrets], resourceNames: [s]}]}
            - {level: Metadata, nonResourceURLs: ["/healthz*"]}
            """)
        func level(_ attributes: AccessAttributes, _ user: User? = User(name: "x", groups: [])) -> AuditLevel
        {
            policy.decision(user, attributes).level
        }
        #expect(level(request("delete", "pods", sub: "log"), User(name: "al", groups: [])) == .none)
        #expect(level(request("get", "nodes"), bob) == .metadata)
        #expect(policy.decision(bob, request("get", "x")).omitStages == [.requestReceived, .responseStarted])
        #expect(level(request("list", "nodes"), bob) == .none)
        #expect(level(request("create", "pods", sub: "log")) == .request)
        // Upstream takes the resource itself for one of its subresources.
        #expect(level(request("create", "pods")) == .request)
        #expect(level(request("create", "services")) == .none)
        #expect(level(request("update", "deployments", sub: "scale")) == .request)
        #expect(level(request("get", "x", group: "apps", namespace: "kube-system")) == .requestResponse)
        #expect(level(request("get", "x", group: "apps")) == .none)
        #expect(level(request("get", "secrets", name: "s")) == .metadata)
        #expect(level(request("get", "secrets", name: "t")) == .none)
        let path = AccessAttributes(NonResourceAttributes(path: "/healthz/ping", verb: "get"))
        #expect(level(path) == .metadata)
        #expect(level(path, nil) == .metadata)
    }

    @Test(arguments: [
        ("rules: []", "rules: expected at least one rule, found none"),
        (
            "rules: [{level: All}]",
            "rules[0].level: expected one of None, Metadata, Request, RequestResponse, found \"All\""
        ),
        ("rules: [{level: None, user: [a]}]", "rules[0].user: unknown field"),
        ("rules: [{level: None, users: a}]", "rules[0].users: expected a list, found \"a\""),
        (
            "rules: [{level: None, nonResourceURLs: [x]}]",
            "rules[0].nonResourceURLs: expected paths that begin with /, found \"x\""
        ),
        (
            "rules: [{level: None, nonResourceURLs: [/x], namespaces: [y]}]",
            "rules[0].nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs"
        ),
        ("omitStages: [Never]\nrules: [{level: None}]", "omitStages: expected some of"),
    ]) func badPolicies(_ rules: String, _ message: String) {
        do {
            _ = try Self.policy(rules)
            Issue.record("\(rules) was taken")
        } catch {
            #expect("\(error)".hasPrefix("audit policy: " + message))
        }
    }

    @Test func otherDocuments() {
        #expect(throws: APIServerError.self) { try AuditPolicy(Array("kind: Policy\nrules: []".utf8)) }
        #expect(throws: APIServerError.self) { try AuditPolicy(Array("[1]".utf8)) }
        #expect(throws: APIServerError.self) { try AuditPolicy(Array("a: [".utf8)) }
    }

    // MARK: Files

    static func folder() throws -> String {
        var template = Array("/tmp/swiftlet-audit-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        return try #require(made)
    }

    static func names(_ folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    static func text(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func remove(_ folder: String) {
        for name in names(folder) { unlink("\(folder)/\(name)") }
        rmdir(folder)
    }

    @Test func rotation() throws {
        let folder = try Self.folder()
        defer { Self.remove(folder) }
        let counter = Counter()
        var file = try AuditFile(path: folder + "/audit.log", maximumSize: 10, maximumBackups: 2) {
            "2026-01-0\(counter.next())"
        }
        for line in ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n", "ffff\n", "gggg\n"] {
            try file.write(Array(line.utf8))
        }
        #expect(Self.names(folder) == ["audit-2026-01-02.log", "audit-2026-01-03.log", "audit.log"])
        #expect(Self.text(folder + "/audit.log") == "gggg\n")
        #expect(Self.text(folder + "/audit-2026-01-03.log") == "eeee\nffff\n")
        var again = try AuditFile(path: folder + "/audit.log", maximumSize: 10, maximumBackups: 2) {
            "2026-01-09"
        }
        try again.write(Array("hhhh\n".utf8))
        #expect(Self.text(folder + "/audit.log") == "gggg\nhhhh\n")
        #expect(throws: APIServerError.self) {
            try AuditFile(path: folder + "/no/audit.log", maximumSize: 10, maximumBackups: 2) { "" }
        }
    }

    @Test func partsOfPaths() {
        func parts(_ path: String) -> [String] {
            let parts = AuditFile.parts(of: path)
            return [parts.folder, parts.stem, parts.ending]
        }
        #expect(parts("/var/log/audit.log") == ["/var/log", "audit", ".log"])
        #expect(parts("audit") == [".", "audit", ""])
        #expect(parts("/a.b/.audit") == ["/a.b", ".audit", ""])
    }

    // MARK: Requests

    /// What a server logs of some requests.
    func events(_ rules: String, _ ask: (Harness) async throws -> Void) async throws -> [JSONValue] {
        let folder = try Self.folder()
        defer { Self.remove(folder) }
        let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\n\(rules)"
        let api = try await Harness { configuration in
            configuration.audit = AuditConfiguration(policy: Array(policy.utf8), path: folder + "/audit.log")
            configuration.preciseNow = { MicroTime(microseconds: 1_800_000_000_000_001) }
        }
        try await ask(api)
        // A run that is cancelled at once writes what is there.
        let run = Task { try await api.server.run() }
        run.cancel()
        _ = await run.result
        return Self.text(folder + "/audit.log").split(separator: "\n").compactMap {
            try? JSONValue(json: Array($0.utf8))
        }
    }

    @Test func metadata() async throws {
        let events = try await events("rules: [{level: Metadata, users: [bob]}]") { api in
            _ = try await api.send(
                .GET, Harness.pods + "?limit=1", headers: ["user-agent": "test", "audit-id": "mine"],
                peer: .inProcess(user: "bob", groups: []))
        }
        #expect(events.map { $0["stage"]?.stringValue } == ["RequestReceived", "ResponseComplete"])
        let last = try #require(events.last)
        #expect(last["apiVersion"] == "audit.k8s.io/v1")
        #expect(last["auditID"] == "mine")
        #expect(last["requestURI"] == "/api/v1/namespaces/default/pods?limit=1")
        #expect(last["verb"] == "list")
        #expect(last["user"] == ["username": "bob", "groups": ["system:authenticated"]])
        #expect(last["userAgent"] == "test")
        #expect(last["objectRef"] == ["resource": "pods", "namespace": "default", "apiVersion": "v1"])
        #expect(last["responseStatus"]?["code"] == 403)
        #expect(last["responseStatus"]?["reason"] == "Forbidden")
        #expect(last["requestReceivedTimestamp"] == "2027-01-15T08:00:00.000001Z")
        #expect(last["annotations"]?["authorization.k8s.io/decision"] == "forbid")
        #expect(last["responseObject"] == nil)
    }

    @Test func bodies() async throws {
        let rules = """
            omitStages: [RequestReceived]
            rules:
            - {level: Request, verbs: [create], resources: [{group: "", resources: [configmaps]}]}
            - {level: RequestResponse, verbs: [get], resources: [{group: "", resources: [configmaps]}]}
            """
        let events = try await events(rules) { api in
            let answer = try await api.post(Harness.maps, #"{"metadata":{"name":"m"},"data":{"a":"b"}}"#)
            #expect(answer.status == 201)
            #expect(answer.headers.first(name: "audit-id")?.isEmpty == false)
            #expect(try await api.get(Harness.maps + "/m").status == 200)
        }
        #expect(events.count == 2)
        #expect(events.first?["requestObject"]?["data"] == ["a": "b"])
        #expect(events.first?["responseObject"] == nil)
        #expect(events.first?["objectRef"]?["name"] == "m")
        #expect(events.last?["responseObject"]?["data"] == ["a": "b"])
        #expect(events.last?["responseStatus"]?["code"] == 200)
    }

    @Test func impersonationAndStrangers() async throws {
        let events = try await events(
            "omitStages: [RequestReceived]\nrules: [{level: Metadata, verbs: [list]}]"
        ) { api in
            _ = try await api.send(.GET, Harness.pods, headers: ["impersonate-user": "jim"])
            _ = try await api.send(
                .GET, Harness.pods, headers: ["authorization": "Bearer no"], peer: .anonymous)
        }
        #expect(events.count == 2)
        #expect(events.first?["user"]?["username"] == "admin")
        #expect(events.first?["impersonatedUser"]?["username"] == "jim")
        #expect(events.last?["user"] == [:])
        #expect(events.last?["responseStatus"]?["code"] == 401)
    }

    @Test func managedFields() {
        let list: JSONValue = [
            "items": [["metadata": ["name": "a", "managedFields": [1]]]], "metadata": [:],
        ]
        #expect(
            AuditEvent.withoutManagedFields(list) == [
                "items": [["metadata": ["name": "a"]]], "metadata": [:],
            ])
    }

    @Test func aSlowDiskLosesEventsAndNotRequests() async {
        let log = AuditLog(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        for _ in 0..<20_000 { log.write([0x7B]) }
        let sink = CountingSink()
        let run = Task { await log.run(into: sink) }
        run.cancel()
        await run.value
        #expect(sink.lines.value == 10_000)
    }
}

/// Counts; used by one test, whose calls come one after the other.
final class Counter: Sendable {
    private let count = Mutex(0)
    func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
    var value: Int { count.withLock { $0 } }
    func add(_ more: Int) { count.withLock { $0 += more } }
}

struct CountingSink: AuditSink {
    let lines = Counter()
    func write(_ bytes: [UInt8]) throws(APIServerError) { lines.add(bytes.count { $0 == 0x0A }) }
}
