import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct RequestTests {
    func info(_ method: String, _ path: String, watch: Bool = false, field: String? = nil) -> RequestInfo {
        RequestInfo(
            method: method, path: path, segments: path.split(separator: "/").map(String.init),
            isWatch: watch, fieldName: field)
    }

    @Test func paths() {
        let pod = info("GET", "/api/v1/namespaces/default/pods/web/log")
        #expect(pod.isResourceRequest && pod.verb == "get" && pod.namespace == "default")
        #expect(pod.resource == "pods" && pod.name == "web" && pod.subresource == "log")
        let list = info("GET", "/apis/apps/v1/deployments")
        #expect(list.verb == "list" && list.group == "apps" && list.namespace == "")
        #expect(info("GET", "/apis/apps/v1/deployments", watch: true).verb == "watch")
        #expect(info("DELETE", "/api/v1/namespaces/x/pods").verb == "deletecollection")
        let namespace = info("PUT", "/api/v1/namespaces/x/finalize")
        #expect(namespace.resource == "namespaces" && namespace.name == "x" && namespace.namespace == "x")
        #expect(namespace.subresource == "finalize" && namespace.verb == "update")
        let named = info("GET", "/api/v1/namespaces/x/pods", field: "p")
        #expect(named.verb == "list" && named.name == "p")
        #expect(!info("GET", "/api/v1").isResourceRequest)
        #expect(!info("GET", "/healthz").isResourceRequest)
        #expect(info("GET", "/healthz").verb == "get")
    }

    @Test func acceptHeaders() {
        func form(_ accept: String?) -> ResponseForm? {
            ResponseForm.negotiate(accept: accept, allowsTransforms: true)
        }
        #expect(form(nil)?.encoding == .json)
        #expect(form("application/vnd.kubernetes.protobuf,application/json")?.encoding == .json)
        #expect(form("application/vnd.kubernetes.protobuf")?.encoding == .protobuf)
        #expect(form("application/yaml")?.encoding == .yaml)
        #expect(form("*/*")?.encoding == .json)
        #expect(form("text/html") == nil)
        #expect(
            form("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json")?.shape
                == .table(version: "v1beta1"))
        #expect(form("application/json;as=Table;v=v9;g=meta.k8s.io,application/json")?.shape == .object)
        #expect(form("application/json;q=0.1,application/yaml;q=0.9")?.encoding == .yaml)
        #expect(form("application/json;q=0") == nil)
    }

    @Test func unknownFields() async throws {
        let api = try await Harness()
        let body =
            #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"unk"},"#
            + #""spec":{"selectr":{"app":"web"},"ports":[{"port":80,"targetprt":3000}]}}"#
        let strict = try await api.post(Harness.services + "?fieldValidation=Strict", body)
        #expect(strict.status == 400)
        #expect(
            strict.message
                == #"Service in version "v1" cannot be handled as a Service: strict decoding error: "#
                + #"unknown field "spec.selectr", unknown field "spec.ports[0].targetprt""#
                || strict.message
                    == #"Service in version "v1" cannot be handled as a Service: strict decoding error: "#
                    + #"unknown field "spec.ports[0].targetprt", unknown field "spec.selectr""#
        )
        let warn = try await api.post(Harness.services, body)
        #expect(warn.status == 201)
        #expect(warn.warnings.contains(#"299 - "unknown field \"spec.selectr\"""#))
        let ignore = try await api.post(
            Harness.services + "?fieldValidation=Ignore",
            body.replacing(#""name":"unk""#, with: #""name":"unk2""#))
        #expect(ignore.status == 201 && ignore.warnings.isEmpty)
    }

    @Test func wrongTypesAndKinds() async throws {
        let api = try await Harness()
        let type = try await api.post(
            Harness.services,
            #"{"kind":"Service","apiVersion":"v1","metadata":{"name":"t"},"spec":{"ports":[{"port":"eighty"}]}}"#
        )
        #expect(type.status == 400)
        #expect(
            type.message
                == #"Service in version "v1" cannot be handled as a Service: json: cannot unmarshal string "#
                + "into Go struct field ServicePort.spec.ports.port of type int32")
        let base64 = try await api.post(
            "/api/v1/namespaces/default/secrets",
            #"{"metadata":{"name":"s"},"type":"kubernetes.io/tls","data":{"tls.crt":"!!!"}}"#)
        #expect(
            base64.message
                == #"Secret in version "v1" cannot be handled as a Secret: "#
                + "illegal base64 data at input byte 0")
        let version = try await api.post(Harness.maps, #"{"kind":"Deployment","apiVersion":"apps/v1"}"#)
        #expect(
            version.message
                == "the API version in the data (apps/v1) does not match the expected API version (v1)")
        let syntax = try await api.post(Harness.maps, "{")
        #expect(syntax.status == 400 && syntax.reason == "BadRequest")
        let list = try await api.post(Harness.maps, "[]")
        #expect(list.status == 400)
        #expect(
            list.message
                == "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; "
                + "json parse error: json: cannot unmarshal array into Go value of type struct { "
                + #"APIVersion string "json:\"apiVersion,omitempty\""; Kind string "#
                + #""json:\"kind,omitempty\"" } (5b5d)"#)
        let empty = try await api.post(Harness.maps, "")
        #expect(empty.status == 400)
        #expect(
            empty.message.hasSuffix(
                "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"))
    }

    @Test func yamlBodies() async throws {
        let api = try await Harness()
        let text = """
            apiVersion: v1
            kind: ConfigMap
            metadata:
              name: y
            data:
              number: "1"
              text: |
                two
                lines
            """
        let reply = try await api.send(
            .POST, Harness.maps, text, headers: ["content-type": "application/yaml"])
        #expect(reply.status == 201)
        #expect(reply.json["data"]?["text"] == "two\nlines")
        #expect(reply.json["data"]?["number"] == "1")
        let yaml = try await api.get(Harness.maps + "/y", accept: "application/yaml")
        let back = try YAML.decode(yaml.bytes)
        #expect(back == reply.json)
        let bad = try await api.send(
            .POST, Harness.maps, "a: b: c", headers: ["content-type": "application/yaml"])
        #expect(bad.status == 400)
    }

    @Test func yamlValues() throws {
        let value = try YAML.decode(Array("a: yes\nb: 0x10\nc: '7'\nd: ~\ne: [1, 2.5, x]\n".utf8))
        #expect(value["c"] == "7" && value["d"] == .null)
        #expect(value["e"] == [1, 2.5, "x"])
        // Aliases that stand for a billion values.
        var bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        for (index, name) in ["b", "c", "d", "e", "f", "g"].enumerated() {
            let inner = ["a", "b", "c", "d", "e", "f"][index]
            let list = Array(repeating: "*\(inner)", count: 10).joined(separator: ", ")
            bomb += "\(name): &\(name) [\(list)]\n"
        }
        #expect(throws: APIError.self) { try YAML.decode(Array(bomb.utf8)) }
    }

    @Test func protobufBodies() async throws {
        let api = try await Harness()
        let map: JSONValue = [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "pb"], "data": ["k": "v"],
        ]
        let schema = try #require(SchemaRegistry.shared.type(group: "", version: "v1", kind: "ConfigMap"))
        var request = HTTPRequest(
            method: .POST, target: Harness.maps,
            headers: ["content-type": "application/vnd.kubernetes.protobuf", "accept": "application/json"])
        request.body = .bytes(try ProtobufTranscoder.encodeObject(map, schema))
        request.peer = .inProcess(user: "admin", groups: ["system:masters"])
        let reply = try await api.read(await api.server.respond(to: request))
        #expect(reply.status == 201)
        #expect(reply.json["data"] == ["k": "v"])
        let answer = try await api.get(Harness.maps + "/pb", accept: "application/vnd.kubernetes.protobuf")
        #expect(answer.bytes.starts(with: ProtobufTranscoder.magic))
        let decoded = try #require(try ProtobufTranscoder.decodeObject(answer.bytes))
        #expect(decoded["data"] == ["k": "v"])
    }

    @Test func patches() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.deployments, Harness.deployment)
        let web = Harness.deployments + "/web"
        let strategic = try await api.patch(
            web,
            #"{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"}]}]}}}}"#,
            type: "strategic")
        let container = strategic.json["spec"]?["template"]?["spec"]?["containers"]?[0]
        #expect(container?["image"] == "web:1.0")
        #expect(container?["env"] == [["name": "A", "value": "1"]])
        #expect(strategic.json["metadata"]?["generation"] == 2)
        let json = try await api.patch(
            web,
            #"[{"op":"test","path":"/spec/replicas","value":3},{"op":"replace","path":"/spec/replicas","value":4}]"#,
            type: "json")
        #expect(json.json["spec"]?["replicas"] == 4)
        for patch in [
            #"[{"op":"test","path":"/spec/replicas","value":9}]"#, #"[{"op":"remove","path":"/spec/nope"}]"#,
        ] {
            let failed = try await api.patch(web, patch, type: "json")
            #expect(failed.status == 422)
            #expect(failed.message == "the server rejected our request due to an error in our request")
        }
        #expect(try await api.patch(web, "nonsense").status == 400)
        #expect(try await api.patch(Harness.deployments + "/none", "{}").status == 404)
    }

    @Test func scale() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.deployments, Harness.deployment)
        let path = Harness.deployments + "/web/scale"
        let read = try await api.get(path)
        #expect(
            read.text.hasPrefix(#"{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"web""#))
        #expect(read.json["spec"] == ["replicas": 3])
        #expect(read.json["status"] == ["replicas": 0, "selector": "app=web"])
        let patched = try await api.patch(path, #"{"spec":{"replicas":5}}"#)
        #expect(patched.json["spec"]?["replicas"] == 5)
        let deployment = try await api.get(Harness.deployments + "/web")
        #expect(deployment.json["spec"]?["replicas"] == 5)
        #expect(deployment.json["metadata"]?["generation"] == 2)
        var stale = read.json
        stale["spec"] = ["replicas": 1]
        #expect(try await api.put(path, stale.description).status == 409)
        #expect(try await api.patch(path, #"{"spec":{"replicas":-1}}"#).status == 422)
    }

    @Test func generationAndStatus() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.deployments, Harness.deployment)
        let web = Harness.deployments + "/web"
        let labelled = try await api.patch(web, #"{"metadata":{"labels":{"x":"y"}}}"#)
        #expect(labelled.json["metadata"]?["generation"] == 1)
        let status = try await api.patch(
            web + "/status",
            #"{"status":{"replicas":3},"spec":{"replicas":9},"metadata":{"labels":{"z":"z"}}}"#)
        #expect(status.json["status"]?["replicas"] == 3)
        #expect(status.json["spec"]?["replicas"] == 3)
        #expect(status.json["metadata"]?["labels"]?["z"] == nil)
        #expect(status.json["metadata"]?["generation"] == 1)
    }

    @Test func requestsSurviveMutilation() async throws {
        let api = try await Harness()
        var generator = SeededGenerator(seed: 3)
        let base = Array(Harness.deployment.utf8)
        for _ in 0..<1500 {
            var bytes = base
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                if Bool.random(using: &generator) {
                    bytes[index] = UInt8.random(in: 32...126, using: &generator)
                } else {
                    bytes.removeSubrange(index..<min(bytes.count, index + 3))
                }
            }
            var request = HTTPRequest(
                method: .POST, target: Harness.deployments + "?dryRun=All",
                headers: [
                    "content-type": Bool.random(using: &generator) ? "application/json" : "application/yaml"
                ])
            request.body = .bytes(bytes)
            request.peer = .inProcess(user: "admin", groups: ["system:masters"])
            let response = await api.server.respond(to: request)
            #expect([201, 400, 422].contains(Int(response.status.code)))
        }
    }
}
