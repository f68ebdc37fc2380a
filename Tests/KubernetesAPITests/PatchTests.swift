import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct JSONPatchTests {
    @Test(arguments: [
        (#"{"a":1}"#, #"[{"op":"add","path":"/b","value":2}]"#, #"{"a":1,"b":2}"#),
        (#"{"a":[1,3]}"#, #"[{"op":"add","path":"/a/1","value":2}]"#, #"{"a":[1,2,3]}"#),
        (#"{"a":[1]}"#, #"[{"op":"add","path":"/a/-","value":2}]"#, #"{"a":[1,2]}"#),
        (#"{"a":[1,2]}"#, #"[{"op":"remove","path":"/a/0"}]"#, #"{"a":[2]}"#),
        (
            #"{"a":{"b":1}}"#, #"[{"op":"replace","path":"/a/b","value":{"c":null}}]"#,
            #"{"a":{"b":{"c":null}}}"#
        ),
        (#"{"a":1,"b":{}}"#, #"[{"op":"move","from":"/a","path":"/b/c"}]"#, #"{"b":{"c":1}}"#),
        (#"{"a":{"x":1}}"#, #"[{"op":"copy","from":"/a","path":"/b"}]"#, #"{"a":{"x":1},"b":{"x":1}}"#),
        (#"{"a/b":{"~c":1}}"#, #"[{"op":"replace","path":"/a~1b/~0c","value":2}]"#, #"{"a/b":{"~c":2}}"#),
        (#"{"a":1}"#, #"[{"op":"test","path":"/a","value":1.0},{"op":"remove","path":"/a"}]"#, "{}"),
        (#"{"a":1}"#, #"[{"op":"replace","path":"","value":[]}]"#, "[]"),
        (#"{"a":[1,2]}"#, #"[{"op":"remove","path":"/a/-1"}]"#, #"{"a":[1]}"#),
        (#"{"a":[1,2]}"#, #"[{"op":"add","path":"/a/-1","value":3}]"#, #"{"a":[1,2,3]}"#),
        (#"{"a":1}"#, #"[{"op":"add","path":"/b"}]"#, #"{"a":1,"b":null}"#),
        (#"{}"#, #"[{"op":"test","path":"/a","value":null}]"#, "{}"), (#"{"a":1}"#, "[]", #"{"a":1}"#),
    ])
    func applies(_ value: String, _ patch: String, _ expected: String) throws {
        #expect(try JSONPatch.apply(json(patch), to: json(value)) == json(expected))
    }

    @Test(arguments: [
        (#"[{"op":"test","path":"/a","value":2}]"#, PatchError.Code.rejected),
        (#"[{"op":"remove","path":"/nope"}]"#, .rejected),
        (#"[{"op":"replace","path":"/b","value":1}]"#, .rejected),
        (#"[{"op":"add","path":"/l/2","value":1}]"#, .rejected),
        (#"[{"op":"add","path":"/l/-3","value":1}]"#, .rejected),
        (#"[{"op":"remove","path":"/l/01"}]"#, .rejected),
        (#"[{"op":"add","path":"/x/y","value":1}]"#, .rejected),
        (#"[{"op":"move","from":"/o","path":"/o/p"}]"#, .rejected),
        (#"[{"op":"fly","path":"/a"}]"#, .rejected), (#"[{"op":"add","path":"b","value":1}]"#, .rejected),
        (#"[{"path":"/a"}]"#, .rejected), (#"[{"op":"add","value":1}]"#, .rejected),
        (#"[{"op":"move","path":"/a"}]"#, .rejected),
        (#"{"a":1}"#, .malformed), (#"[1]"#, .malformed), (#"[{"op":1,"path":"/a"}]"#, .malformed),
    ])
    func refuses(_ patch: String, _ code: PatchError.Code) throws {
        let value = try json(#"{"a":1,"l":[1],"o":{}}"#)
        let operations = try json(patch)
        do {
            let result = try JSONPatch.apply(operations, to: value)
            Issue.record("made \(result)")
        } catch {
            #expect(error.code == code)
        }
    }

    @Test func hasALimit() throws {
        let operation: JSONValue = ["op": "test", "path": "/a", "value": 1]
        let fits = JSONValue.array(Array(repeating: operation, count: JSONPatch.maximumOperations))
        #expect(try JSONPatch.apply(fits, to: ["a": 1]) == ["a": 1])
        let error = #expect(throws: PatchError.self) {
            try JSONPatch.apply(.array((fits.arrayValue ?? []) + [operation]), to: ["a": 1])
        }
        #expect(error?.code == .tooLarge)
        #expect(
            error?.message == "The allowed maximum operations in a JSON patch is 10000, got 10001")
    }
}

@Suite struct MergePatchTests {
    /// The examples of RFC 7386, appendix A.
    @Test(arguments: [
        (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#),
        (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":"b","b":"c"}"#, #"{"a":null}"#, #"{"b":"c"}"#),
        (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"c"}"#, #"{"a":["b"]}"#, #"{"a":["b"]}"#),
        (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#),
        (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"["a","b"]"#, #"["c","d"]"#, #"["c","d"]"#),
        (#"{"a":"b"}"#, #"["c"]"#, #"["c"]"#), (#"{"a":"foo"}"#, "null", "null"),
        (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#),
        ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#),
        ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
    ])
    func applies(_ value: String, _ patch: String, _ expected: String) throws {
        #expect(MergePatch.apply(try json(patch), to: try json(value)) == (try json(expected)))
    }
}

@Suite struct StrategicMergePatchTests {
    /// Pod specs, patches, and what comes of them.
    @Test(arguments: [
        // Elements are found by their key; a new one goes where the patch has it.
        (
            #"{"containers":[{"name":"a","image":"x"},{"name":"b"}]}"#,
            #"{"containers":[{"name":"a","env":[{"name":"A","value":"1"}]}]}"#,
            #"{"containers":[{"name":"a","image":"x","env":[{"name":"A","value":"1"}]},{"name":"b"}]}"#
        ),
        (
            #"{"containers":[{"name":"a"},{"name":"b"}]}"#, #"{"containers":[{"name":"c"}]}"#,
            #"{"containers":[{"name":"c"},{"name":"a"},{"name":"b"}]}"#
        ),
        // Directives.
        (
            #"{"containers":[{"name":"a"},{"name":"b"}]}"#,
            #"{"containers":[{"$patch":"delete","name":"a"}]}"#,
            #"{"containers":[{"name":"b"}]}"#
        ),
        (
            #"{"containers":[{"name":"a"},{"name":"b"}]}"#,
            #"{"containers":[{"$patch":"replace"},{"name":"c","image":null}]}"#,
            #"{"containers":[{"name":"c"}]}"#
        ),
        (
            #"{"securityContext":{"runAsUser":1,"fsGroup":2}}"#,
            #"{"securityContext":{"$patch":"replace","runAsUser":3}}"#,
            #"{"securityContext":{"runAsUser":3}}"#
        ),
        (
            #"{"securityContext":{"runAsUser":1}}"#, #"{"securityContext":{"$patch":"delete"}}"#,
            #"{"securityContext":{}}"#
        ),
        // A directive where nothing was leaves nothing.
        (
            #"{"hostNetwork":true}"#, #"{"securityContext":{"$patch":"replace","runAsUser":3}}"#,
            #"{"hostNetwork":true}"#
        ),
        // Keys that retainKeys does not name go: a volume changes its source.
        (
            #"{"volumes":[{"name":"v","emptyDir":{}}]}"#,
            #"{"volumes":[{"$retainKeys":["name","hostPath"],"name":"v","hostPath":{"path":"/"}}]}"#,
            #"{"volumes":[{"name":"v","hostPath":{"path":"/"}}]}"#
        ),
        // Lists without a strategy are replaced, maps are merged, null removes.
        (
            #"{"nodeSelector":{"a":"1","b":"2"}}"#, #"{"nodeSelector":{"a":null,"c":"3"}}"#,
            #"{"nodeSelector":{"b":"2","c":"3"}}"#
        ),
        (
            #"{"containers":[{"name":"a","args":["x","y"]}]}"#,
            #"{"containers":[{"name":"a","args":["z"]}]}"#,
            #"{"containers":[{"name":"a","args":["z"]}]}"#
        ),
        (
            #"{"hostNetwork":true}"#, #"{"hostNetwork":null,"affinity":{"nodeAffinity":null}}"#,
            #"{"affinity":{}}"#
        ),
        // The order that apply asks for; what only the server has keeps its place.
        (
            #"{"containers":[{"name":"a"},{"name":"s"},{"name":"b"}]}"#,
            #"{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"b","image":"x"}]}"#,
            #"{"containers":[{"name":"s"},{"name":"b","image":"x"},{"name":"a"}]}"#
        ),
        (
            #"{"containers":[{"name":"a"},{"name":"b"}]}"#,
            #"{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}"#,
            #"{"containers":[{"name":"b"},{"name":"a"}]}"#
        ),
    ])
    func applies(_ spec: String, _ patch: String, _ expected: String) throws {
        let result = try StrategicMergePatch.apply(
            ["spec": try json(patch)], to: ["spec": try json(spec)], try schemaType("Pod"))
        #expect(result == ["spec": try json(expected)])
    }

    @Test func mergesListsOfTexts() throws {
        let type = try schemaType("Pod")
        let value: JSONValue = ["metadata": ["finalizers": ["a", "b"]]]
        func apply(_ patch: JSONValue) throws -> JSONValue? {
            try StrategicMergePatch.apply(["metadata": patch], to: value, type)["metadata"]?["finalizers"]
        }
        #expect(try apply(["finalizers": ["c", "a"]]) == ["c", "a", "b"])
        #expect(try apply(["$deleteFromPrimitiveList/finalizers": ["a"]]) == ["b"])
        #expect(
            try apply([
                "$deleteFromPrimitiveList/finalizers": ["b"], "$setElementOrder/finalizers": ["x", "a"],
                "finalizers": ["x"],
            ])
                == ["x", "a"])
    }

    @Test(arguments: [
        #"{"containers":[{"image":"x"}]}"#, #"{"containers":["x"]}"#, #"{"$patch":"frobnicate"}"#,
        #"{"containers":[{"$patch":"frobnicate","name":"a"}]}"#, #"{"$setElementOrder/containers":5}"#,
        #"{"$setElementOrder/containers":[{"name":"b"}],"containers":[{"name":"a"}]}"#,
        #"{"$retainKeys":["a"],"hostNetwork":true}"#, #"{"$deleteFromPrimitiveList/x":1}"#,
    ])
    func refuses(_ patch: String) throws {
        let spec = try json(patch)
        let type = try schemaType("Pod")
        #expect(throws: PatchError.self) {
            try StrategicMergePatch.apply(["spec": spec], to: ["spec": ["containers": [["name": "a"]]]], type)
        }
    }

    @Test(arguments: [
        (
            #"{"containers":[{"image":"x"}]}"#, PatchError.Code.failed,
            "map: map[image:x] does not contain declared merge key: name"
        ),
        (
            #"{"$patch":"frobnicate","a":1}"#, .failed,
            "unknown patch type: frobnicate in map: map[$patch:frobnicate a:1]"
        ),
        (
            #"{"containers":[{"$patch":"merge","name":"a"}]}"#, .failed,
            "merging lists cannot yet be specified in the patch"
        ),
        (#"{"$retainKeys":["a"],"hostNetwork":true}"#, .malformed, "invalid patch format of retainKeys"),
        (#"{"$deleteFromPrimitiveList/x":1}"#, .malformed, "invalid patch format of primitive list"),
        (
            #"{"$setElementOrder/containers":5}"#, .malformed,
            "invalid patch format of setElementOrder list"
        ),
    ])
    func saysWhatIsWrong(_ patch: String, _ code: PatchError.Code, _ message: String) throws {
        let spec = try json(patch)
        let type = try schemaType("Pod")
        let error = #expect(throws: PatchError.self) {
            try StrategicMergePatch.apply(["spec": spec], to: ["spec": ["containers": [["name": "a"]]]], type)
        }
        #expect(error?.code == code)
        #expect(error?.message == message)
    }

    @Test func survivesAnyPatch() throws {
        let type = try schemaType("Pod")
        let words: [JSONValue] = [
            "a", "delete", "replace", nil, 1, true, [], [:], ["a"], [["name": "a"]],
            [["$patch": "delete", "name": "b"]],
        ]
        let keys = [
            "spec", "containers", "name", "$patch", "$retainKeys", "$setElementOrder/containers", "volumes",
            "env",
            "$deleteFromPrimitiveList/finalizers", "metadata", "finalizers",
        ]
        var state: UInt64 = 11
        func random(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        func tree(_ depth: Int) -> JSONValue {
            if depth == 0 { return words[random(words.count)] }
            if random(3) == 0 { return .array((0..<random(3)).map { _ in tree(depth - 1) }) }
            var object = JSONObject()
            for _ in 0..<random(4) { object[keys[random(keys.count)]] = tree(depth - 1) }
            return .object(object)
        }
        var applied = 0
        for _ in 0..<5000 {
            let value = tree(4)
            if (try? StrategicMergePatch.apply(tree(4), to: value, type)) != nil { applied += 1 }
        }
        #expect(applied > 500)
    }
}
