import HostileInput
import KubernetesAPI
import KubernetesJSON
import Testing

/// Objects of several kinds, with what is odd about their wire forms: times, quantities, bytes, raw objects,
/// lists merged by keys.
private let samples: [JSONValue] = [
    #"""
    {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"default","labels":{"app":"web"},
     "creationTimestamp":"2024-05-06T07:08:09Z","deletionGracePeriodSeconds":30,"finalizers":["x/y","z/w"],
     "ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n","uid":"u","controller":true}],
     "managedFields":[{"manager":"m","operation":"Update","apiVersion":"v1","time":"2024-05-06T07:08:09Z",
      "fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:app":{}}}}}]},
     "spec":{"containers":[{"name":"main","image":"busybox","env":[{"name":"A","value":"1"}],
       "ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{"limits":{"cpu":"1500m","memory":"1.5Gi"}},
       "livenessProbe":{"httpGet":{"port":"http","path":"/"},"periodSeconds":3}},{"name":"side","image":"x"}],
      "tolerations":[{"key":"k","operator":"Exists"}],"nodeSelector":{"a":"b"},
      "volumes":[{"name":"v","emptyDir":{"sizeLimit":"1Ki"}},{"name":"w","configMap":{"name":"c"}}],
      "terminationGracePeriodSeconds":30,"hostNetwork":false},
     "status":{"phase":"Running","podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"True"}]}}
    """#,
    #"""
    {"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"selector":{"app":"web"},
     "ports":[{"name":"a","port":80,"targetPort":"http"},{"name":"b","port":81,"targetPort":8081}],
     "clusterIP":"10.96.0.9","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":10}}}}
    """#,
    #"""
    {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"replicas":3,
     "selector":{"matchLabels":{"app":"web"},"matchExpressions":[{"key":"a","operator":"In","values":["b"]}]},
     "strategy":{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":1}},
     "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}
    """#,
    #"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"a":"aGVsbG8=","b":""},"type":"Opaque"}"#,
    #"""
    {"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l"},"spec":{"holderIdentity":"h",
     "leaseDurationSeconds":40,"renewTime":"2024-05-06T07:08:09.123456Z"}}
    """#,
].compactMap { try? JSONValue(json: Array($0.utf8)) }

@Suite struct FuzzTests {
    private static func schema(_ value: JSONValue) -> SchemaType? {
        SchemaRegistry.shared.type(
            apiVersion: value["apiVersion"]?.stringValue ?? "", kind: value["kind"]?.stringValue ?? "")
    }

    @Test func samplesAreGood() throws {
        #expect(samples.count == 5)
        for sample in samples {
            let schema = try #require(Self.schema(sample))
            var pruned = sample
            let report = SchemaConformance.prune(&pruned, schema)
            #expect(report.problems == [] && report.typeError == nil)
            let bytes = try ProtobufTranscoder.encodeObject(sample, schema)
            #expect(try ProtobufTranscoder.decodeObject(bytes)?["kind"] == sample["kind"])
        }
    }

    /// What protobuf is read is refused or becomes a tree that can be written in both forms.
    @Test func protobuf() throws {
        var fuzzer = Fuzzer("protobuf")
        let corpus = try samples.map { sample in
            try ProtobufTranscoder.encodeObject(sample, try #require(Self.schema(sample)))
        }
        var readable = 0
        for _ in 0..<Fuzzer.rounds(2_000) {
            let bytes = fuzzer.mutated(corpus)
            guard let value = try? ProtobufTranscoder.decodeObject(bytes) else { continue }
            readable += 1
            #expect(try JSONValue(json: value.json()) == value)
            guard let schema = Self.schema(value) else { continue }
            _ = try? ProtobufTranscoder.encodeObject(value, schema)
        }
        #expect(readable > 100)
    }

    /// Trees of any shape are pruned, filled up, and converted, or refused.
    @Test func trees() throws {
        var fuzzer = Fuzzer("trees")
        for round in 0..<Fuzzer.rounds(2_000) {
            let sample = samples[round % samples.count]
            let schema = try #require(Self.schema(sample))
            var value = fuzzer.mutated(sample)
            let report = SchemaConformance.prune(&value, schema)
            guard report.typeError == nil else { continue }
            SchemaDefaults.apply(to: &value, schema)
            _ = try? ProtobufTranscoder.encodeObject(value, schema)
            _ = try? Pod(value)
        }
    }

    // MARK: Patches

    private static let jsonPatches: [JSONValue] = [
        #"[{"op":"add","path":"/metadata/labels/a~1b","value":"c"},{"op":"test","path":"/kind","value":"Pod"}]"#,
        #"[{"op":"copy","from":"/metadata","path":"/spec"},{"op":"move","from":"/spec","path":"/status"}]"#,
        #"[{"op":"remove","path":"/spec/containers/0"},{"op":"replace","path":"/spec/containers/0/name","value":"z"}]"#,
        #"[{"op":"add","path":"/spec/containers/-","value":{"name":"n"}},{"op":"add","path":"","value":{}}]"#,
    ].compactMap { try? JSONValue(json: Array($0.utf8)) }

    private static let strategicPatches: [JSONValue] = [
        #"{"spec":{"containers":[{"name":"main","image":"new"},{"$patch":"delete","name":"side"}]}}"#,
        #"{"spec":{"$setElementOrder/containers":[{"name":"side"},{"name":"main"}],"containers":[{"name":"x"}]}}"#,
        #"{"metadata":{"$deleteFromPrimitiveList/finalizers":["x/y"],"finalizers":["n/m"],"labels":null}}"#,
        #"{"spec":{"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/"}}]}}"#,
        #"{"spec":{"$patch":"replace","containers":[{"name":"q","ports":[{"containerPort":80,"$patch":"delete"}]}]}}"#,
        #"{"spec":{"ports":[{"port":80,"targetPort":1},{"port":81,"$patch":"delete"}]},"$retainKeys":["spec"]}"#,
    ].compactMap { try? JSONValue(json: Array($0.utf8)) }

    @Test func patches() throws {
        #expect(Self.jsonPatches.count == 4 && Self.strategicPatches.count == 6)
        var fuzzer = Fuzzer("patches")
        for round in 0..<Fuzzer.rounds(1_500) {
            let sample = samples[fuzzer.index(below: samples.count)]
            let schema = try #require(Self.schema(sample))
            let operations = fuzzer.mutated(Self.jsonPatches[round % Self.jsonPatches.count])
            if let result = try? JSONPatch.apply(operations, to: sample) { check(result, schema) }
            let strategic = fuzzer.mutated(Self.strategicPatches[round % Self.strategicPatches.count])
            check(MergePatch.apply(strategic, to: sample), schema)
            if let result = try? StrategicMergePatch.apply(strategic, to: sample, schema) {
                check(result, schema)
            }
        }
    }

    private func check(_ value: JSONValue, _ schema: SchemaType) {
        var value = value
        if SchemaConformance.prune(&value, schema).typeError == nil {
            SchemaDefaults.apply(to: &value, schema)
        }
    }

    /// Copies double what they copy, and short patches become very long objects.
    @Test func patchesDoNotGrowWithoutBound() throws {
        var operations: [JSONValue] = []
        for index in 0..<200 {
            operations.append(["op": "copy", "from": "", "path": .string("/x\(index)")])
        }
        let error = #expect(throws: PatchError.self) {
            try JSONPatch.apply(.array(operations), to: ["a": "b"])
        }
        #expect(error?.code == .rejected, "\(String(describing: error))")
        // Each goes a level deeper.
        var nesting: [JSONValue] = []
        for _ in 0..<500 { nesting.append(["op": "copy", "from": "/a", "path": "/a/a"]) }
        #expect(throws: PatchError.self) { try JSONPatch.apply(.array(nesting), to: ["a": ["b": "c"]]) }
        // Ordinary copies are fine.
        let copy: JSONValue = [["op": "copy", "from": "/a", "path": "/c"]]
        #expect(try JSONPatch.apply(copy, to: ["a": ["b": "c"]]) == ["a": ["b": "c"], "c": ["b": "c"]])
    }

    // MARK: Texts

    @Test func selectors() throws {
        var fuzzer = Fuzzer("selectors")
        let labels = ["app=web,tier in (a,b),!x", "a notin (b),c!=d,e", "x>1,y<2", "k8s.io/a==b", "a in ()"]
        let fields = ["metadata.name=web,status.phase!=Running", "a=b\\,c\\=d\\\\", "a==b,"]
        let tokens = ["in", "notin", "(", ")", ",", "=", "!=", "!", ">", "\\", " ", "exists"]
        for _ in 0..<Fuzzer.rounds(10_000) {
            let text: String = fuzzer.mutated(labels, tokens: tokens)
            if let selector = try? Selector.parse(text) {
                // Values are a set: they are written sorted.
                let written = selector.description
                #expect(try Selector.parse(written).description == written, "\(text)")
                _ = selector.matches(["app": "web"])
            }
            let field: String = fuzzer.mutated(fields, tokens: tokens)
            if let selector = try? FieldSelector.parse(field) {
                #expect(try FieldSelector.parse(selector.description) == selector, "\(field)")
            }
        }
    }

    @Test func valuesWrittenAsText() {
        var fuzzer = Fuzzer("texts")
        let texts = [
            "1.5Gi", "100m", "-2e3", "0.0000000001", "9223372036854775807Ei", "2024-05-06T07:08:09Z",
            "2024-05-06T07:08:09.123456+02:00", "-0001-13-32T25:61:61Z", "1h2m3.5s", "-300ms", "25%",
        ]
        for _ in 0..<Fuzzer.rounds(10_000) {
            let text: String = fuzzer.mutated(
                texts, tokens: ["e", "E", "Ki", "999999999999999999", "-", ".", "h"])
            if let quantity = try? Quantity(.string(text)) { _ = quantity.description }
            if let time = Time(text) { #expect(Time(time.description) == time, "\(text)") }
            if let time = MicroTime(text) { #expect(MicroTime(time.description) == time, "\(text)") }
            if let duration = MetaDuration(text) {
                #expect(MetaDuration(duration.description) != nil, "\(text)")
            }
        }
    }
}
