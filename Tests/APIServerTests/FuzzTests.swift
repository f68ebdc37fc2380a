import APIServer
import HTTPService
import HostileInput
import KubernetesAPI
import KubernetesJSON
import Testing

/// Whatever a client sends, it is told what is wrong with it: never 5xx, never a crash.
@Suite struct FuzzTests {
    private static let bodies: [(path: String, body: String)] = [
        (
            Harness.pods,
            #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"a":"b"},"annotations":{"c":"d"}},"#
                + #""spec":{"containers":[{"name":"main","image":"busybox","ports":[{"containerPort":80}],"#
                + #""env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],"#
                + #""resources":{"requests":{"cpu":"100m"}},"livenessProbe":{"tcpSocket":{"port":80}}}],"#
                + #""volumes":[{"name":"v","emptyDir":{}}],"nodeSelector":{"x":"y"},"#
                + #""tolerations":[{"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":3}]}}"#
        ),
        (
            Harness.services,
            #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"type":"NodePort","#
                + #""selector":{"app":"web"},"ports":[{"name":"a","port":80,"targetPort":"http"},"#
                + #"{"name":"b","port":81,"protocol":"UDP","nodePort":30999}],"clusterIP":"10.96.0.77","#
                + #""externalIPs":["192.0.2.1"],"ipFamilies":["IPv4"],"sessionAffinity":"ClientIP"}}"#
        ),
        (Harness.deployments, Harness.deployment),
        (
            Harness.maps,
            #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"m-"},"data":{"a":"b"},"#
                + #""binaryData":{"c":"aGVsbG8="},"immutable":false}"#
        ),
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            #"{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"e"},"#
                + #""addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}}],"#
                + #""ports":[{"name":"http","port":80,"protocol":"TCP"}]}"#
        ),
        ("/api/v1/namespaces", #"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}"#),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            #"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l"},"#
                + #""spec":{"holderIdentity":"x","renewTime":"2024-05-06T07:08:09.123456Z"}}"#
        ),
    ]

    private static let patches: [(type: String, body: String)] = [
        ("application/json-patch+json", #"[{"op":"replace","path":"/metadata/labels/a","value":"c"}]"#),
        (
            "application/json-patch+json",
            #"[{"op":"copy","from":"/spec","path":"/status"},{"op":"test","path":"/kind","value":"Pod"}]"#
        ),
        (
            "application/merge-patch+json",
            #"{"metadata":{"labels":{"a":null,"z":"y"}},"spec":{"replicas":2}}"#
        ),
        (
            "application/strategic-merge-patch+json",
            #"{"spec":{"containers":[{"name":"main","image":"new"}],"$setElementOrder/containers":[{"name":"main"}]}}"#
        ),
        (
            "application/apply-patch+yaml",
            #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"q":"r"}}}"#
        ),
    ]

    private static let queries = [
        "limit=2&continue=abc", "labelSelector=a%3Db,c%20in%20(d,e)", "fieldSelector=metadata.name%3Dp",
        "resourceVersion=1&resourceVersionMatch=Exact", "resourceVersion=0", "timeoutSeconds=1",
        "dryRun=All&fieldManager=x&fieldValidation=Strict", "fieldValidation=Warn", "pretty=true",
        "timeout=3s",
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&watch=1",
        "gracePeriodSeconds=-1&propagationPolicy=Orphan", "includeObject=Object", "force=true",
    ]

    /// A failure is the client's fault, except for a revision that has not happened (upstream's 504).
    private func check(
        _ reply: Harness.Reply, _ request: HTTPRequest, _ body: [UInt8],
        _ location: SourceLocation = #_sourceLocation
    ) {
        let isFuture = reply.status == 504 && reply.message.contains("Too large resource version")
        // What upstream has no class for in a patch is answered by 500, and here for the same reason.
        let isUpstreams =
            reply.status == 500 && reply.reason.isEmpty
            && ["strategic", "apply"].contains { request.headers["content-type"].first?.contains($0) == true }
        #expect(
            reply.status < 500 || isFuture || isUpstreams,
            "\(request.method.rawValue) \(request.target) \(request.headers) \(String(decoding: body.prefix(2000), as: UTF8.self)): \(reply.text.prefix(500))",
            sourceLocation: location)
        if reply.status >= 400, reply.headers["content-type"] == ["application/json"] {
            #expect(reply.json["kind"] == "Status", "\(request.target)", sourceLocation: location)
        }
    }

    private func send(_ api: Harness, _ request: HTTPRequest, _ body: [UInt8]) async throws -> Harness.Reply {
        var request = request
        request.body = .bytes(body)
        let response = await api.server.respond(to: request)
        guard case .stream(let write) = response.body else { return try await api.read(response) }
        // A watch: what it sends first, and then it is left.
        let watch = Task { try await write(FirstOnly()) }
        for _ in 0..<20 { await Task.yield() }
        watch.cancel()
        _ = await watch.result
        return Harness.Reply(status: Int(response.status.code), headers: response.headers, bytes: [])
    }

    private struct FirstOnly: ResponseWriter {
        struct Enough: Error {}
        func write(_ bytes: [UInt8]) async throws { throw Enough() }
    }

    // MARK: Bodies

    @Test(arguments: ["json", "yaml", "protobuf"])
    func objects(format: String) async throws {
        let api = try await Harness()
        var fuzzer = Fuzzer("objects-\(format)")
        for round in 0..<Fuzzer.rounds(600) {
            let (path, text) = Self.bodies[round % Self.bodies.count]
            let value = fuzzer.mutated(try JSONValue(json: Array(text.utf8)))
            var body: [UInt8]
            var type: String
            switch format {
            case "yaml": (body, type) = (YAML.encode(value), "application/yaml")
            case "protobuf":
                type = "application/vnd.kubernetes.protobuf"
                guard
                    let schema = SchemaRegistry.shared.type(
                        apiVersion: value["apiVersion"]?.stringValue ?? "",
                        kind: value["kind"]?.stringValue ?? ""),
                    let bytes = try? ProtobufTranscoder.encodeObject(value, schema)
                else { continue }
                body = fuzzer.chance(oneIn: 2) ? bytes : fuzzer.mutated([bytes])
            default: (body, type) = (value.json(), "application/json")
            }
            fuzzer.keep(body)
            let query = fuzzer.chance(oneIn: 3) ? "?fieldValidation=Strict" : ""
            let request = api.request(.POST, path + query, headers: ["content-type": type])
            check(try await send(api, request, body), request, body)
        }
    }

    @Test func updatesAndPatches() async throws {
        let api = try await Harness()
        for (path, body) in Self.bodies { _ = try await api.post(path, body) }
        var fuzzer = Fuzzer("patches")
        for round in 0..<Fuzzer.rounds(600) {
            let (path, text) = Self.bodies[round % Self.bodies.count]
            let original = try JSONValue(json: Array(text.utf8))
            guard let name = original["metadata"]?["name"]?.stringValue else { continue }
            let target = "\(path)/\(name)" + ["", "", "/status", "/scale"][fuzzer.index(below: 4)]
            if fuzzer.chance(oneIn: 3) {
                let body = fuzzer.mutated(original).json()
                let request = api.request(.PUT, target, headers: ["content-type": "application/json"])
                check(try await send(api, request, body), request, body)
                continue
            }
            let (type, patch) = Self.patches[fuzzer.index(below: Self.patches.count)]
            let tree = try JSONValue(json: Array(patch.utf8))
            let damaged: [UInt8] = fuzzer.mutated([Array(patch.utf8)])
            let body = fuzzer.chance(oneIn: 4) ? damaged : fuzzer.mutated(tree).json()
            let query = type.contains("apply") ? "?fieldManager=fuzz&force=true" : ""
            let request = api.request(.PATCH, target + query, headers: ["content-type": type])
            check(try await send(api, request, body), request, body)
        }
    }

    // MARK: Whole requests

    @Test func requests() async throws {
        let api = try await Harness()
        for (path, body) in Self.bodies { _ = try await api.post(path, body) }
        var fuzzer = Fuzzer("requests")
        let paths =
            Self.bodies.map(\.path) + [
                "/api/v1/pods", "/apis/apps/v1/deployments/", "/api", "/apis", "/openapi/v2",
                "/openapi/v3/api/v1",
                "/", "/version", "/healthz/ping", "/metrics", Harness.pods + "/p/log",
                Harness.pods + "/p/binding",
                Harness.pods + "/p/eviction", Harness.deployments + "/web/scale",
                "/api/v1/namespaces/n/finalize",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "/api/v1/watch/pods",
                "/api/v1/namespaces/default/serviceaccounts/default/token", "/openid/v1/jwks",
            ]
        let methods: [HTTPMethod] = [
            .GET, .POST, .PUT, .PATCH, .DELETE, .HEAD, .OPTIONS, .RAW(value: "BREW"),
        ]
        let accepts = [
            "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "*/*", "text/html",
            "",
            "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;q=0.5,application/yaml;q=2",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        ]
        let types = [
            "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "text/plain", "",
        ]
        let headers = [
            "impersonate-user", "impersonate-group", "authorization", "if-none-match", "accept-encoding",
        ]
        for round in 0..<Fuzzer.rounds(1500) {
            var target = paths[fuzzer.index(below: paths.count)]
            if fuzzer.chance(oneIn: 4) {
                target = fuzzer.mutated([target], tokens: ["/", "%2F", "%00", "..", "//"])
            }
            if !target.hasPrefix("/") { target = "/" + target }
            if fuzzer.chance(oneIn: 2) {
                target += "?" + fuzzer.mutated(Self.queries, tokens: ["&", "=", "%", "true", "-1", "\u{0}"])
            }
            var request = api.request(methods[fuzzer.index(below: methods.count)], target)
            func header(_ name: String, _ values: [String]) {
                let text: String =
                    fuzzer.chance(oneIn: 4)
                    ? fuzzer.mutated(values, tokens: [";", ",", "=", "\""])
                    : values[fuzzer.index(below: values.count)]
                request.headers.add(name: name, value: text)
            }
            if fuzzer.chance(oneIn: 2) { header("accept", accepts) }
            if fuzzer.chance(oneIn: 2) { header("content-type", types + PatchType.allCases.map(\.rawValue)) }
            if fuzzer.chance(oneIn: 5) {
                header(
                    headers[fuzzer.index(below: headers.count)],
                    ["system:admin", "Bearer x.y.z", "gzip", "*"])
            }
            let texts = Self.bodies.map { Array($0.body.utf8) } + Self.patches.map { Array($0.body.utf8) }
            let body: [UInt8] = fuzzer.mutated(
                texts, tokens: ["{", "}", "[", "\"", "null", ": ", "&a", "*a", "- "])
            fuzzer.keep(Array("\(request.method.rawValue) \(target) \(request.headers)\n".utf8) + body)
            check(try await send(api, request, body), request, body)
            // Deleting everything would leave little to ask for.
            if round % 100 == 99 { for (path, body) in Self.bodies { _ = try await api.post(path, body) } }
        }
        #expect(try await api.get("/livez").text == "ok")
    }

    // MARK: Texts

    @Test func continueTokens() async throws {
        var fuzzer = Fuzzer("continue")
        let good = ContinueToken(revision: 12, namespace: "default", name: "web").encoded
        #expect(try ContinueToken(decoding: good).name == "web")
        let corpus = [good, ContinueToken(revision: nil, namespace: "", name: "x").encoded, ""]
        let inner = [
            #"{"v":"meta.k8s.io/v1","rv":5,"start":"default/web\u0000"}"#,
            #"{"v":"meta.k8s.io/v1","rv":-1,"start":"/"}"#,
            #"{"v":"meta.k8s.io/v1","rv":99999999999999999,"start":"a"}"#,
        ]
        for _ in 0..<Fuzzer.rounds(5000) {
            let text: String = fuzzer.mutated(corpus, tokens: ["=", "-", "_", "AAAA"])
            if let token = try? ContinueToken(decoding: text) {
                #expect(try ContinueToken(decoding: token.encoded) == token)
            }
            let json: String = fuzzer.mutated(
                inner, tokens: ["9223372036854775807", "-", "null", "\\u0000", "/"])
            let packed = String(decoding: Base64.encode(Array(json.utf8)), as: UTF8.self)
            if let token = try? ContinueToken(decoding: packed) {
                #expect(try ContinueToken(decoding: token.encoded) == token, "\(json)")
            }
        }
    }

    @Test func yamlDocuments() throws {
        var fuzzer = Fuzzer("yaml")
        let documents = [
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels: {x: \"y\", 'z': 1}\nspec:\n  - a\n  - b: |\n      text\n",
            "a: &x [1, 2.5, 0x1F, 1e3, .inf, ~, yes, 2001-01-01]\nb: *x\n? complex\n: value\n",
            "--- !!map {a: !!str 1, b: !!int \"2\", c: !<tag:yaml.org,2002:null> null}\n...\n",
            "a: >-\n  folded\n  text\nb: \"\\u0041\\n\\x41\"\n<<: {c: d}\n# comment\n",
        ]
        let tokens = [
            "&a", "*a", "!!", "? ", ": ", "- ", "|", ">", "{", "}", "[", "]", "\t", "---\n", "%YAML 1.1\n",
            "<<: ",
        ]
        var readable = 0
        for _ in 0..<Fuzzer.rounds(4000) {
            let bytes = fuzzer.mutated(documents.map { Array($0.utf8) }, tokens: tokens)
            guard let value = try? YAML.decode(bytes) else { continue }
            readable += 1
            #expect(try JSONValue(json: value.json()) == value)
            _ = YAML.encode(value)
        }
        #expect(readable > 100)
    }

    /// A few aliases of aliases stand for more values than there is memory, or time.
    @Test(arguments: ["k: *i", "*i : k", "? *i\n: k", "? [*i, *i]\n: k"])
    func aliasesOfAliases(use: String) {
        var text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        for (name, before) in zip("bcdefghi", "abcdefgh") {
            text +=
                "\(name): &\(name) [" + Array(repeating: "*\(before)", count: 10).joined(separator: ", ")
                + "]\n"
        }
        #expect(throws: APIError.self) { try YAML.decode(Array((text + use + "\n").utf8)) }
    }

    @Test func aliasesAreRead() throws {
        let value = try YAML.decode(Array("a: &x {b: 1}\nc: *x\nd: \"*/5 * * * *\"\n".utf8))
        #expect(value == ["a": ["b": 1], "c": ["b": 1], "d": "*/5 * * * *"])
    }
}
