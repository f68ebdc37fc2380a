import KubernetesAPI
import KubernetesJSON
import SchemaLanguage
import Testing

private func type(_ object: JSONValue) throws -> SchemaType {
    let (version, kind) = (object["apiVersion"]?.stringValue ?? "", object["kind"]?.stringValue ?? "")
    return try #require(SchemaRegistry.shared.type(apiVersion: version, kind: kind))
}

private func entries(_ object: JSONValue?) throws -> [ManagerEntry] {
    try ManagerEntries(object?.value(at: "metadata", "managedFields")).entries
}

/// Writes objects one after the other, a second apart.
private struct Writer {
    var live: JSONValue?
    var time = 0

    mutating func put(_ new: JSONValue, _ manager: String, subresource: String = "") throws {
        time += 1
        live = ManagedFields.updating(
            live: live, new: new, type: try type(new), manager: manager, subresource: subresource,
            now: Time(seconds: time))
    }

    mutating func merge(_ patch: String, _ manager: String, subresource: String = "") throws {
        try put(MergePatch.apply(try json(patch), to: live ?? nil), manager, subresource: subresource)
    }
}

@Suite struct ManagedFieldsTests {
    /// Structures that are no pointers upstream are there before the object is, so that nobody owns them.
    @Test func ownersOfACreatedDeployment() throws {
        let deployment = Deployment(
            metadata: ObjectMeta(name: "web", namespace: "default", uid: "1", labels: ["app": "web"]),
            spec: DeploymentSpec(
                replicas: 1, selector: LabelSelector(matchLabels: ["app": "web"]),
                template: PodTemplateSpec(
                    metadata: ObjectMeta(labels: ["app": "web"]),
                    spec: PodSpec(containers: [Container(name: "web", image: "web:1")])),
                strategy: DeploymentStrategy(
                    type: "RollingUpdate",
                    rollingUpdate: RollingUpdateDeployment(maxSurge: .string("25%"))))
        ).jsonValue
        var writer = Writer()
        try writer.put(deployment, "kubectl-create")
        let managed = try #require(writer.live?.value(at: "metadata", "managedFields"))
        let expected = try yaml(
            """
            - manager: kubectl-create
              operation: Update
              apiVersion: apps/v1
              time: "1970-01-01T00:00:01Z"
              fieldsType: FieldsV1
              fieldsV1:
                f:metadata:
                  f:labels: {".": {}, f:app: {}}
                f:spec:
                  f:replicas: {}
                  f:selector: {}
                  f:strategy:
                    f:rollingUpdate: {".": {}, f:maxSurge: {}}
                    f:type: {}
                  f:template:
                    f:metadata:
                      f:labels: {".": {}, f:app: {}}
                    f:spec:
                      f:containers:
                        k:{"name":"web"}: {".": {}, f:image: {}, f:name: {}, f:resources: {}}
            """)
        #expect(managed == expected)
        #expect(managed[0]?.objectValue?.keys == expected[0]?.objectValue?.keys)
    }

    @Test func anEntryChangesWithWhatItsManagerChanges() throws {
        var writer = Writer()
        try writer.put(
            json(#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}"#), "a")
        try writer.merge(#"{"data":{"b":"1"}}"#, "b")
        try writer.merge(#"{"data":{"c":"1"}}"#, "a")
        #expect(try entries(writer.live).map(\.manager) == ["b", "a"])
        #expect(try entries(writer.live).map(\.time?.seconds) == [2, 3])
        // Only removed: the fields leave, the time stays.
        try writer.merge(#"{"data":{"c":null}}"#, "x")
        #expect(try entries(writer.live).map(\.time?.seconds) == [2, 3])
        #expect(try entries(writer.live)[1].fields.paths == [FieldPath("data"), FieldPath("data", "a")])
        // The last field of a manager takes its entry with it.
        try writer.merge(#"{"data":{"b":"2"}}"#, "a")
        #expect(try entries(writer.live).map(\.manager) == ["a"])
    }

    @Test func aWriteThatChangesNothingKeepsTheEntries() throws {
        var writer = Writer()
        try writer.put(
            json(#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}"#), "a")
        let before = try #require(writer.live)
        try writer.put(before, "b")
        #expect(writer.live == before)
        // A client that knows nothing of managed fields leaves them out.
        var simple = before
        simple["metadata"]?["managedFields"] = nil
        try writer.put(simple, "b")
        #expect(writer.live == before)
    }

    @Test func nobodyOwnsTheIdentity() throws {
        var writer = Writer()
        try writer.put(
            json(
                #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"n","uid":"u","#
                    + #""resourceVersion":"1","generation":1,"creationTimestamp":"2026-01-01T00:00:00Z"}}"#),
            "a")
        #expect(writer.live?.value(at: "metadata", "managedFields") == nil)
        // And as nobody owns anything, nothing is tracked.
        try writer.merge(#"{"data":{"a":"1"}}"#, "a")
        #expect(try entries(writer.live).isEmpty)
    }

    @Test func onlySoManyUpdatersAreKeptApart() throws {
        var writer = Writer()
        try writer.put(
            json(#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"k0":"0"}}"#), "m0")
        for number in 1...14 {
            try writer.merge(#"{"data":{"k\#(number)":"x"}}"#, "m\(number)")
            #expect(try entries(writer.live).count <= ManagerEntries.maximumUpdaters)
        }
        let found = try entries(writer.live)
        #expect(found.count == ManagerEntries.maximumUpdaters)
        let bucket = try #require(found.first { $0.manager == "ancient-changes" })
        #expect(
            Set(bucket.fields.paths) == Set([FieldPath("data")] + (0...5).map { FieldPath("data", "k\($0)") })
        )
        #expect(bucket.time == Time(seconds: 6))
        #expect(Set(found.map(\.manager)) == Set(["ancient-changes"] + (6...14).map { "m\($0)" }))
        let all = found.reduce(FieldSet()) { $0.union($1.fields) }
        #expect(all.count == 16)
    }

    /// Environment variables may be there twice; then they are one leaf.
    @Test func elementsOfTheSameKey() throws {
        func pod(_ env: String) throws -> JSONValue {
            try json(
                #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"a","env":["#
                    + env + "]}]}}")
        }
        let env = FieldPath([.field("spec"), .field("containers"), .key([.init("name", "a")]), .field("env")])
        func owned(_ live: JSONValue?, _ manager: String) throws -> Set<String> {
            let entry = try entries(live).first { $0.manager == manager }
            let prefix = env.description
            return Set(
                (entry?.fields.paths ?? []).map(\.description).filter { $0.hasPrefix(prefix) }
                    .map { String($0.dropFirst(prefix.count)) })
        }
        var writer = Writer()
        try writer.put(pod(#"{"name":"A","value":"1"}"#), "one")
        #expect(
            try owned(writer.live, "one") == ["", #"[name="A"]"#, #"[name="A"].name"#, #"[name="A"].value"#])
        try writer.put(pod(#"{"name":"A","value":"1"},{"name":"A","value":"2"}"#), "two")
        #expect(try owned(writer.live, "one") == [""])
        #expect(try owned(writer.live, "two") == [#"[name="A"]"#])
        try writer.put(pod(#"{"name":"A","value":"1"},{"name":"A","value":"3"}"#), "three")
        #expect(try owned(writer.live, "two") == [])
        #expect(try owned(writer.live, "three") == [#"[name="A"]"#])
        try writer.put(pod(#"{"name":"A","value":"3"}"#), "four")
        #expect(try owned(writer.live, "three") == [])
        #expect(
            try owned(writer.live, "four") == [#"[name="A"]"#, #"[name="A"].name"#, #"[name="A"].value"#])
    }

    @Test func entriesOfVersionsThatAreGoneGo() throws {
        var object = try json(
            #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}"#)
        object["metadata"]?["managedFields"] = try yaml(
            """
            - {manager: old, operation: Update, apiVersion: v1beta9, fieldsType: FieldsV1, fieldsV1: {f:data: {f:a: {}}}}
            - {manager: new, operation: Update, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {f:data: {f:a: {}}}}
            """)
        var writer = Writer(live: object)
        try writer.merge(#"{"data":{"b":"1"}}"#, "writer")
        #expect(try entries(writer.live).map(\.manager) == ["new", "writer"])
    }

    /// What has no schema: objects are merged, all else is one.
    @Test func fieldsOfAnyJSON() throws {
        let file = try SchemaFile(
            parsing: """
                package example
                group "example.org" version v1
                kind Thing plural things singular thing namespaced "Something." {
                  1 data Raw? "Anything."
                }
                """)
        let registry = SchemaRegistry(file.types)
        let schema = MergeSchema(registry)
        let type = try #require(registry.type(named: "Thing"))
        func put(_ new: String, over live: JSONValue?, _ manager: String) throws -> JSONValue {
            ManagedFields.updating(
                live: live, new: try json(new), type: type, manager: manager, now: Time(seconds: 1),
                schema: schema)
        }
        let kind = #""apiVersion":"example.org/v1","kind":"Thing","metadata":{"name":"t"}"#
        let live = try put("{\(kind)," + #""data":{"a":{"b":[1]},"c":1}}"#, over: nil, "one")
        #expect(
            Set(try entries(live).first?.fields.paths ?? []) == [
                FieldPath("data"), FieldPath("data", "a"), FieldPath("data", "a", "b"),
                FieldPath("data", "c"),
            ])
        let new = try put("{\(kind)," + #""data":{"a":{"b":[1,2]},"c":{"d":1}}}"#, over: live, "two")
        let two = try entries(new).first { $0.manager == "two" }
        #expect(
            Set(two?.fields.paths ?? []) == [
                FieldPath("data", "a", "b"), FieldPath("data", "c"), FieldPath("data", "c", "d"),
            ])
    }

    @Test(arguments: [
        ("me", "kubectl/v1.33", "me"), ("", "kubectl/v1.33.0 (linux/amd64)", "kubectl"), ("", "", ""),
        ("", "curl", "curl"), ("", "a\u{07}b c/1", "ab c"), ("", "/x", ""),
        ("", String(repeating: "x", count: 127) + "éy/1", String(repeating: "x", count: 127)),
    ])
    func namesOfManagers(_ name: String, _ userAgent: String, _ expected: String) {
        #expect(ManagedFields.manager(named: name, userAgent: userAgent) == expected)
    }

    @Test func sameButForTimes() throws {
        let left = try yaml(
            "metadata: {name: a, resourceVersion: '1', managedFields: [{manager: m, time: x}]}")
        let right = try yaml(
            "metadata: {name: a, resourceVersion: '2', managedFields: [{manager: m, time: y}]}")
        let other = try yaml(
            "metadata: {name: a, resourceVersion: '2', managedFields: [{manager: n, time: y}]}")
        #expect(ManagedFields.areSame(left, right))
        #expect(!ManagedFields.areSame(left, other))
        #expect(!ManagedFields.areSame(left, try yaml("metadata: {name: b, resourceVersion: '1'}")))
    }
}

/// In which order the elements of lists come out of a merge.
@Suite struct MergeOrderTests {
    @Test(arguments: [
        ("", "b a", "b a"), ("a b", "", "a b"), ("a b c", "a b c", "a b c"), ("a b c", "c a", "b c a"),
        ("a b", "x b", "a x b"), ("a b c", "c x", "a b c x"), ("a b c", "b a x", "b c a x"),
        ("a b c d", "c a x", "b c d a x"), ("a b", "x y", "a b x y"),
        // Several live elements of one key.
        ("a a b", "a x", "a x b"), ("a a", "b", "a a b"),
    ])
    func order(_ live: String, _ applied: String, _ expected: String) throws {
        func pod(_ names: String) throws -> JSONValue {
            var pod = try json(#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}"#)
            let env = names.split(separator: " ").map { JSONValue.object(["name": .string(String($0))]) }
            pod["spec"] = ["containers": [["name": "c", "env": .array(env)]]]
            return pod
        }
        let pods = (try pod(live), try pod(applied))
        let result = try ServerSideApply.apply(
            pods.1, to: pods.0, try type(pods.0), manager: "m", force: true, now: Time(seconds: 1))
        let env = result.value(at: "spec", "containers")?[0]?["env"]?.arrayValue ?? []
        #expect(env.map { $0["name"]?.stringValue ?? "" }.joined(separator: " ") == expected)
    }
}

@Suite struct ScaleFieldsTests {
    private let parent = """
        - {manager: kubectl, operation: Apply, apiVersion: apps/v1, fieldsType: FieldsV1,
           fieldsV1: {f:spec: {f:replicas: {}, f:paused: {}}}}
        - {manager: other, operation: Update, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: {f:spec: {f:paused: {}}}}
        """

    @Test func aScaleShowsTheOwnersOfReplicas() throws {
        let shown = try ManagerEntries(ScaleFields.ofScale(parent: try yaml(parent))).entries
        #expect(shown.map(\.manager) == ["kubectl"])
        #expect(shown.map(\.apiVersion) == ["autoscaling/v1"])
        #expect(shown.first?.fields.paths == [FieldPath("spec", "replicas")])
        #expect(ScaleFields.ofScale(parent: nil) == nil)
    }

    /// A change of the number moves the field to whoever scaled; the same number leaves it where it is.
    @Test func scaling() throws {
        let before = try yaml(parent)
        let scaleType = try #require(SchemaRegistry.shared.type(apiVersion: "autoscaling/v1", kind: "Scale"))
        var live = try json(
            #"{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"d"},"spec":{"replicas":1},"status":{}}"#
        )
        live["metadata"]?["managedFields"] = ScaleFields.ofScale(parent: before)
        for (replicas, owners) in [(1, ["kubectl", "other"]), (3, ["kubectl", "other", "scaler"])] {
            var new = live
            new["spec"]?["replicas"] = .integer(Int64(replicas))
            let written = ManagedFields.updating(
                live: live, new: new, type: scaleType, manager: "scaler", subresource: "scale",
                now: Time(seconds: 9))
            let after = try ManagerEntries(
                ScaleFields.ofParent(
                    scale: written.value(at: "metadata", "managedFields"), parent: before,
                    apiVersion: "apps/v1"))
            #expect(Set(after.entries.map(\.manager)) == Set(owners))
            #expect(after.entries.allSatisfy { $0.apiVersion == "apps/v1" })
            let replicasOwner = after.entries.filter { $0.fields.contains(FieldPath("spec", "replicas")) }
            #expect(replicasOwner.map(\.manager) == [replicas == 1 ? "kubectl" : "scaler"])
            #expect(replicasOwner.map(\.subresource) == [replicas == 1 ? "" : "scale"])
        }
    }
}
