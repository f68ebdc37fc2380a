import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

/// Server-side apply and managed fields, asked of the whole server; the algorithm has its own tests.
@Suite struct ApplyTests {
    static let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata: {a: \"1\", b: \"2\"}\n"
    static let path = Harness.maps + "/ssa"

    /// `manager Operation [subresource]` and the entry's fields.
    func owners(_ reply: Harness.Reply) -> [String: JSONValue] {
        var owners: [String: JSONValue] = [:]
        for entry in reply.json.value(at: "metadata", "managedFields")?.arrayValue ?? [] {
            let parts = [entry["manager"], entry["operation"], entry["subresource"]]
            owners[parts.compactMap { $0?.stringValue }.joined(separator: " ")] = entry["fieldsV1"]
        }
        return owners
    }

    func apply(
        _ api: Harness, _ path: String, _ text: String, as manager: String, _ query: String = ""
    ) async throws -> Harness.Reply {
        try await api.patch(path + "?fieldManager=\(manager)\(query)", text, type: "apply")
    }

    @Test func appliesCreateOnceAndConflict() async throws {
        let api = try await Harness()
        let created = try await apply(api, Self.path, Self.map, as: "alice")
        #expect(created.status == 201)
        #expect(created.json["data"] == ["a": "1", "b": "2"])
        #expect(owners(created) == ["alice Apply": ["f:data": ["f:a": [:], "f:b": [:]]]])
        #expect(
            created.text.contains(
                #""managedFields":[{"manager":"alice","operation":"Apply","apiVersion":"v1","#
                    + #""time":"2027-01-15T08:00:00Z","fieldsType":"FieldsV1","#
                    + #""fieldsV1":{"f:data":{"f:a":{},"f:b":{}}}}]"#))

        let again = try await apply(api, Self.path, Self.map, as: "alice")
        #expect(again.status == 200 && again.bytes == created.bytes)

        let other = Self.map.replacing("\"1\"", with: "\"9\"")
        let conflict = try await apply(api, Self.path, other, as: "bob")
        #expect(conflict.status == 409 && conflict.reason == "Conflict")
        #expect(conflict.message == #"Apply failed with 1 conflict: conflict with "alice": .data.a"#)
        #expect(
            conflict.json["details"]?["causes"] == [
                [
                    "reason": "FieldManagerConflict", "message": #"conflict with "alice""#,
                    "field": ".data.a",
                ]
            ])
        let forced = try await apply(api, Self.path, other, as: "bob", "&force=true")
        #expect(forced.status == 200)
        #expect(
            owners(forced) == [
                "alice Apply": ["f:data": ["f:b": [:]]],
                "bob Apply": ["f:data": ["f:a": [:], "f:b": [:]]],
            ])
    }

    @Test func optionsAreChecked() async throws {
        let api = try await Harness()
        let nobody = try await api.patch(Self.path, Self.map, type: "apply")
        #expect(nobody.status == 422)
        #expect(
            nobody.message
                == #"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#
        )
        let force = try await api.patch(Self.path + "?force=true", "{}")
        #expect(
            force.message
                == #"PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#
        )
        let long = try await api.post(
            Harness.maps + "?fieldManager=" + String(repeating: "x", count: 129), "{}")
        #expect(
            long.message
                == #"CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes"#
        )
        let control = try await api.post(Harness.maps + "?fieldManager=a%09b", "{}")
        #expect(control.message.hasSuffix("invalid character U+0009 (at position 1)"))
        let validation = try await api.post(Harness.maps + "?fieldValidation=Some", "{}")
        #expect(
            validation.message
                == #"CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Some": "#
                + #"supported values: "", "Ignore", "Strict", "Warn""#)
    }

    @Test func configurationsAreChecked() async throws {
        let api = try await Harness()
        let broken = try await apply(api, Self.path, "a: b: c", as: "alice")
        #expect(broken.status == 400 && broken.message.hasPrefix("error decoding YAML: "))
        let list = try await apply(api, Self.path, "[]", as: "alice")
        #expect(list.status == 400)
        let kind = try await apply(api, Self.path, "{apiVersion: v1, kind: Pod}", as: "alice")
        #expect(kind.status == 400 && kind.message == "invalid object type: /v1, Kind=Pod")
        let unknown = try await apply(
            api, Self.path, Self.map + "wrong: {}\n", as: "alice")
        #expect(unknown.status == 500)
        #expect(
            unknown.message
                == "failed to create typed patch object (/ssa; /v1, Kind=ConfigMap): "
                + ".wrong: field not declared in schema")
        let name = try await apply(api, Harness.maps + "/other", Self.map, as: "alice")
        #expect(name.status == 400)
        #expect(name.message == "the name of the object (ssa) does not match the name on the URL (other)")
        let nameless = try await apply(
            api, Self.path, "{apiVersion: v1, kind: ConfigMap, data: {a: b}}", as: "alice")
        #expect(nameless.status == 400)
        #expect(
            nameless.message
                == "the name of the object (ssa based on URL) was undeterminable: name must be provided")
        let uid = try await apply(
            api, Self.path, Self.map.replacing("{name: ssa}", with: "{name: ssa, uid: abc}"), as: "alice")
        #expect(uid.status == 409)
        #expect(
            uid.message
                == #"Operation cannot be fulfilled on configmaps "ssa": uid mismatch: the provided object "#
                + "specified uid abc, and no existing object was found")
        let duplicate =
            #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"ssa"},"data":{"a":"1","a":"2"}}"#
        let strict = try await apply(api, Self.path, duplicate, as: "alice", "&fieldValidation=Strict")
        #expect(strict.status == 400 && strict.message.hasPrefix("error strict decoding YAML: "))
        let version = try await apply(
            api, Harness.maps + "/ssa",
            Self.map.replacing("{name: ssa}", with: "{name: ssa, managedFields: []}"),
            as: "alice")
        #expect(version.status == 400 && version.message == "metadata.managedFields must be nil")
        #expect(try await api.get(Self.path).status == 404)
        let dry = try await apply(api, Self.path, Self.map, as: "alice", "&dryRun=All")
        #expect(dry.status == 201)
        #expect(try await api.get(Self.path).status == 404)
    }

    @Test func resourceVersionIsAPrecondition() async throws {
        let api = try await Harness()
        _ = try await apply(api, Self.path, Self.map, as: "alice")
        let stale = try await apply(
            api, Self.path, Self.map.replacing("{name: ssa}", with: "{name: ssa, resourceVersion: \"1\"}"),
            as: "alice")
        #expect(stale.status == 409)
        #expect(
            stale.message
                == #"Operation cannot be fulfilled on configmaps "ssa": the object has been modified; "#
                + "please apply your changes to the latest version and try again")
    }

    @Test func everyWriteIsTracked() async throws {
        let api = try await Harness()
        var headers: HTTPHeaders = [
            "content-type": "application/json", "user-agent": "kubectl/v1.33.0 (linux)",
        ]
        let created = try await api.send(
            .POST, Harness.deployments + "?fieldManager=kubectl-create", Harness.deployment, headers: headers)
        let fields = try #require(owners(created)["kubectl-create Update"])
        #expect(fields["f:metadata"] == ["f:labels": [".": [:], "f:app": [:]]])
        #expect(fields["f:spec"]?["f:replicas"] == [:])
        #expect(fields["f:spec"]?["f:strategy"]?["f:type"] == [:])
        #expect(fields["f:status"] == nil)
        let web = Harness.deployments + "/web"
        var body = created.json
        body["spec"]?["replicas"] = 4
        let updated = try await api.send(.PUT, web, body.description, headers: headers)
        #expect(owners(updated)["kubectl Update"] == ["f:spec": ["f:replicas": [:]]])
        #expect(owners(updated)["kubectl-create Update"]?["f:spec"]?["f:replicas"] == nil)
        headers.replaceOrAdd(name: "content-type", value: "application/merge-patch+json")
        let status = try await api.send(
            .PATCH, web + "/status?fieldManager=kube-controller-manager",
            #"{"status":{"replicas":4},"spec":{"paused":true}}"#, headers: headers)
        #expect(
            owners(status)["kube-controller-manager Update status"] == ["f:status": ["f:replicas": [:]]])
        #expect(owners(status)["kubectl Update"] == ["f:spec": ["f:replicas": [:]]])
    }

    @Test func scaleIsTracked() async throws {
        let api = try await Harness()
        let text = Harness.deployment
        let created = try await apply(api, Harness.deployments + "/web", text, as: "kubectl")
        #expect(created.status == 201)
        let scaled = try await api.patch(
            Harness.deployments + "/web/scale?fieldManager=hpa", #"{"spec":{"replicas":7}}"#)
        #expect(scaled.json["spec"]?["replicas"] == 7)
        #expect(scaled.json["metadata"]?["managedFields"] == nil)
        let live = try await api.get(Harness.deployments + "/web")
        #expect(owners(live)["hpa Update scale"] == ["f:spec": ["f:replicas": [:]]])
        #expect(owners(live)["kubectl Apply"]?["f:spec"]?["f:replicas"] == nil)
        let conflict = try await apply(api, Harness.deployments + "/web", text, as: "kubectl")
        #expect(
            conflict.message
                == #"Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" using apps/v1: "#
                + ".spec.replicas")
        let applied = try await apply(
            api, Harness.deployments + "/web/scale",
            #"{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"},"spec":{"replicas":2}}"#,
            as: "me", "&force=true")
        #expect(applied.status == 200 && applied.json["spec"]?["replicas"] == 2)
        let after = try await api.get(Harness.deployments + "/web")
        #expect(owners(after)["me Apply scale"] == ["f:spec": ["f:replicas": [:]]])
        #expect(owners(after)["hpa Update scale"] == nil)
    }

    @Test func statusIsAppliedToWhatIsThere() async throws {
        let api = try await Harness()
        let text =
            #"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"status":{"replicas":2}}"#
        let path = Harness.deployments + "/web/status"
        let absent = try await apply(api, path, text, as: "me")
        #expect(absent.status == 404 && absent.message == #"deployments.apps "web" not found"#)
        _ = try await api.post(Harness.deployments, Harness.deployment)
        let applied = try await apply(api, path, text, as: "me")
        #expect(applied.json["status"]?["replicas"] == 2)
        #expect(owners(applied)["me Apply status"] == ["f:status": ["f:replicas": [:]]])
    }

    @Test func managedFieldsCanBeForgotten() async throws {
        let api = try await Harness()
        let created = try await apply(api, Self.path, Self.map, as: "alice")
        var body = created.json
        body["metadata"]?["managedFields"] = nil
        let kept = try await api.put(Self.path, body.description)
        #expect(owners(kept) == owners(created))
        body["metadata"]?["managedFields"] = [[:]]
        let reset = try await api.put(Self.path, body.description)
        #expect(reset.json["metadata"]?["managedFields"] == nil)
        let patched = try await api.patch(
            Self.path, #"[{"op":"replace","path":"/data/a","value":"5"}]"#, type: "json")
        #expect(patched.json["metadata"]?["managedFields"] == nil)
        let taken = try await apply(api, Self.path, Self.map, as: "bob")
        #expect(
            taken.message
                == #"Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a"#)
    }

    @Test func oldManagersArePutTogether() async throws {
        let api = try await Harness()
        _ = try await api.post(
            Harness.maps + "?fieldManager=m0", #"{"metadata":{"name":"ssa"},"data":{"k0":"v"}}"#)
        for index in 1...12 {
            _ = try await api.patch(Self.path + "?fieldManager=m\(index)", #"{"data":{"k\#(index)":"v"}}"#)
        }
        let names = owners(try await api.get(Self.path)).keys
        #expect(names.count == 10)
        #expect(names.contains("ancient-changes Update"))
    }

    @Test func ownerReferencesAreKeptOnce() async throws {
        let api = try await Harness()
        let owner = #"{"apiVersion":"v1","kind":"ConfigMap","name":"o","uid":"u1"}"#
        let reply = try await api.post(
            Harness.maps, #"{"metadata":{"name":"a","ownerReferences":[\#(owner),\#(owner)]}}"#)
        #expect(reply.json["metadata"]?["ownerReferences"]?.arrayValue?.count == 1)
        #expect(reply.warnings.first?.contains("duplicate UID(s) observed: u1") == true)
    }
}
