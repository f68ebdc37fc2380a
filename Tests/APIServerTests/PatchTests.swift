import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

/// What the server says of patches that it does not like.
@Suite struct PatchTests {
    static let web = Harness.deployments + "/web"

    func harness() async throws -> Harness {
        let api = try await Harness()
        _ = try await api.post(Harness.deployments, Harness.deployment)
        return api
    }

    @Test func wrongTypesAreSaidOfThePatch() async throws {
        let api = try await harness()
        let strategic = try await api.patch(Self.web, #"{"spec":{"replicas":"many"}}"#, type: "strategic")
        #expect(strategic.status == 422 && strategic.reason == "Invalid")
        #expect(
            strategic.message
                == #" "" is invalid: patch: Invalid value: "map[spec:map[replicas:many]]": unrecognized type: int32"#
        )
        #expect(strategic.json["details"]?["causes"]?[0]?["field"] == "patch")
        #expect(strategic.json["details"]?["kind"] == nil)
        let slice = try await api.patch(
            Self.web, #"{"spec":{"template":{"spec":{"containers":{}}}}}"#, type: "strategic")
        #expect(slice.message.hasSuffix("cannot restore slice from map"))
        let merge = try await api.patch(Self.web, #"{"spec":{"replicas":"many"}}"#)
        #expect(merge.status == 422)
        #expect(merge.message.hasPrefix(#" "" is invalid: patch: Invalid value: "{\"kind\":\"Deployment\","#))
        #expect(
            merge.message.hasSuffix(
                "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
            ))
    }

    @Test func unknownFieldsAreReportedAsAskedFor() async throws {
        let api = try await harness()
        let patch = #"{"spec":{"foo":1}}"#
        for type in ["merge", "strategic"] {
            let warned = try await api.patch(Self.web, patch, type: type)
            #expect(warned.status == 200)
            #expect(warned.warnings == [#"299 - "unknown field \"spec.foo\"""#])
            let strict = try await api.patch(Self.web + "?fieldValidation=Strict", patch, type: type)
            #expect(strict.status == 422)
            #expect(strict.message.hasSuffix(#"strict decoding error: unknown field "spec.foo""#))
            let ignored = try await api.patch(Self.web + "?fieldValidation=Ignore", patch, type: type)
            #expect(ignored.status == 200 && ignored.warnings.isEmpty)
        }
        let twice = try await api.patch(
            Self.web + "?fieldValidation=Strict", #"{"spec":{"replicas":1,"replicas":2}}"#)
        #expect(twice.message.hasSuffix(#"strict decoding error: duplicate field "spec.replicas""#))
        let operation = try await api.patch(
            Self.web, #"[{"op":"test","path":"/spec/replicas","value":3,"who":"me"}]"#, type: "json")
        #expect(operation.warnings == [#"299 - "json patch unknown field \"[0].who\"""#])
    }

    @Test func malformedPatches() async throws {
        let api = try await harness()
        let list = try await api.patch(Self.web, "[]")
        #expect(list.status == 400)
        #expect(
            list.message
                == "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
        let object = try await api.patch(Self.web, "{}", type: "json")
        #expect(
            object.message
                == "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
        let strategic = try await api.patch(
            Self.web, #"{"spec":{"template":{"spec":{"containers":[{"image":"x"}]}}}}"#, type: "strategic")
        #expect(strategic.status == 500)
        #expect(strategic.message == "map: map[image:x] does not contain declared merge key: name")
        let operations = Array(repeating: #"{"op":"test","path":"/spec/replicas","value":3}"#, count: 10_001)
        let many = try await api.patch(Self.web, "[\(operations.joined(separator: ","))]", type: "json")
        #expect(many.status == 413)
        #expect(
            many.message
                == "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
        )
    }

    @Test func identityIsNotAPatchsToChange() async throws {
        let api = try await harness()
        let name = try await api.patch(Self.web, #"{"metadata":{"name":"other"}}"#)
        #expect(name.status == 400)
        #expect(name.message == "the name of the object (other) does not match the name on the URL (web)")
        let namespace = try await api.patch(Self.web, #"{"metadata":{"namespace":"other"}}"#)
        #expect(namespace.status == 400)
        let uid = try await api.patch(Self.web, #"{"metadata":{"uid":"other"}}"#)
        #expect(uid.status == 422)
        #expect(
            uid.message
                == #"Deployment.apps "web" is invalid: metadata.uid: Invalid value: "other": field is immutable"#
        )
        let version = try await api.patch(Self.web, #"{"metadata":{"resourceVersion":"1"}}"#)
        #expect(version.status == 409)
    }

    @Test func theKindIsNotAPatchsToChange() async throws {
        let api = try await Harness()
        let path = "/api/v1/namespaces/default/configmaps"
        _ = try await api.post(path, #"{"metadata":{"name":"a"}}"#)
        for (patch, type, why) in [
            (
                #"{"kind":"Secret"}"#, "merge",
                "converting (v1.Secret) to (core.ConfigMap): unknown conversion"
            ),
            (
                #"[{"op":"replace","path":"/apiVersion","value":"v9"}]"#, "json",
                #"no kind "ConfigMap" is registered for version "v9""#
            ),
            (#"{"kind":null}"#, "merge", "Object 'Kind' is missing in"),
        ] {
            let reply = try await api.patch("\(path)/a", patch, type: type)
            #expect(reply.status == 422, "\(patch)")
            #expect(reply.message.hasPrefix(#" "" is invalid: patch: Invalid value: "#))
            #expect(reply.message.contains(why), "\(reply.message)")
        }
        // A strategic merge patch is one of typed values, which know their kind.
        #expect(try await api.patch("\(path)/a", #"{"kind":"Secret"}"#, type: "strategic").status == 200)
    }

    @Test func manyPatchesOfOneObjectAllArrive() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.maps, #"{"metadata":{"name":"a"}}"#)
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<40 {
                group.addTask {
                    try await api.patch(Harness.maps + "/a", #"{"data":{"k\#(index)":"v"}}"#).status
                }
            }
            for try await status in group { #expect(status == 200) }
        }
        #expect(try await api.get(Harness.maps + "/a").json["data"]?.objectValue?.count == 40)
    }
}
