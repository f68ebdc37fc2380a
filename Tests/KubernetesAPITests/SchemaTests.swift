import KubernetesAPI
import KubernetesJSON
import SchemaLanguage
import Testing

func schemaType(_ name: String) throws -> SchemaType {
    try #require(SchemaRegistry.shared.type(named: name))
}

func json(_ text: String) throws -> JSONValue { try JSONValue(json: Array(text.utf8)) }

@Suite struct SchemaRegistryTests {
    @Test func hasTypes() throws {
        let registry = SchemaRegistry.shared
        #expect(registry.types.count > 200)
        #expect(registry.kind(group: "apps", version: "v1", kind: "Deployment") == Deployment.resource)
        #expect(registry.kind(group: "", version: "v1", kind: "Pod") == Pod.resource)
        #expect(registry.type(apiVersion: "apps/v1", kind: "DeploymentList")?.field("items") != nil)
        #expect(registry.type(apiVersion: "apps/v2", kind: "Deployment") == nil)
        #expect(registry.resources.contains(Service.resource))
        let volume = try schemaType("Volume")
        #expect(volume.field("emptyDir")?.protobufPath.count == 1)
        #expect(try schemaType("Pod").definitionName == "io.k8s.api.core.v1.Pod")
    }

    /// Every type that a field names is there, and every default is JSON.
    @Test func isComplete() throws {
        func names(_ type: SchemaFieldType) -> String? {
            switch type {
            case .named(let name): return name
            case .array(let element), .map(let element): return names(element)
            default: return nil
            }
        }
        for type in SchemaRegistry.shared.types {
            for field in type.fields {
                if let name = names(field.type) {
                    #expect(SchemaRegistry.shared.type(named: name) != nil, "\(type.name).\(field.name)")
                }
                if let text = field.declaration.defaultValue {
                    #expect(throws: Never.self, "\(type.name).\(field.name)") { try json(text) }
                }
                #expect(!field.declaration.documentation.isEmpty, "\(type.name).\(field.name)")
            }
        }
    }
}

@Suite struct ConformanceTests {
    func report(_ text: String, _ type: String) throws -> (JSONValue, SchemaConformance.Report) {
        var duplicates: [String] = []
        var value = try JSONValue(json: Array(text.utf8), duplicates: &duplicates)
        let report = SchemaConformance.prune(&value, try schemaType(type), duplicates: duplicates)
        return (value, report)
    }

    @Test func namesUnknownFields() throws {
        let (value, report) = try report(
            #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","labels":{"any":"b"}},"#
                + #""spec":{"ports":[{"port":80,"targetprt":1}],"selectr":{"a":"b"}},"x":1}"#, "Service")
        #expect(
            report.strictError == #"strict decoding error: unknown field "spec.ports[0].targetprt", "#
                + #"unknown field "spec.selectr", unknown field "x""#)
        #expect(report.typeError == nil)
        #expect(
            value
                == (try json(
                    #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","labels":{"any":"b"}},"#
                        + #""spec":{"ports":[{"port":80}]}}"#)))
    }

    @Test func namesDuplicates() throws {
        let (_, report) = try report(#"{"spec":{"type":"a","type":"b"}}"#, "Service")
        #expect(report.strictError == #"strict decoding error: duplicate field "spec.type""#)
    }

    @Test(arguments: [
        (
            #"{"spec":{"ports":[{"port":"x"}]}}"#,
            "json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32"
        ),
        (
            #"{"metadata":{"labels":{"a":1}}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
        ),
        (
            #"{"spec":{"ports":{}}}"#,
            "json: cannot unmarshal object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort"
        ),
        (
            #"{"spec":[]}"#,
            "json: cannot unmarshal array into Go struct field Service.spec of type v1.ServiceSpec"
        ),
        (
            #"{"spec":{"ports":[{"port":3000000000}]}}"#,
            "json: cannot unmarshal number 3000000000 into Go struct field ServicePort.spec.ports.port of type int32"
        ),
        (
            #"{"spec":{"ports":[{"targetPort":true}]}}"#,
            "json: cannot unmarshal bool into Go value of type int32"
        ),
        (
            #"{"metadata":{"creationTimestamp":"x"}}"#,
            #"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#
        ),
    ])
    func namesWrongTypes(_ text: String, _ message: String) throws {
        let (_, report) = try report(text, "Service")
        #expect(report.typeError == message)
    }

    @Test func checksBase64AndQuantities() throws {
        #expect(
            try report(#"{"data":{"a":"**"}}"#, "Secret").1.typeError == "illegal base64 data at input byte 0"
        )
        let text = #"{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}"#
        #expect(try report(text, "Pod").1.typeError?.hasPrefix("quantities must match the regular") == true)
        #expect(try report(#"{"data":null,"metadata":null}"#, "Secret").1 == SchemaConformance.Report())
    }
}

@Suite struct DefaultsTests {
    @Test func fillsIn() throws {
        var pod = try json(#"{"spec":{"containers":[{"name":"a","livenessProbe":{"httpGet":{"port":1}}}]}}"#)
        SchemaDefaults.apply(to: &pod, try schemaType("Pod"))
        #expect(pod.value(at: "spec", "restartPolicy") == "Always")
        #expect(pod.value(at: "spec", "terminationGracePeriodSeconds") == 30)
        let container = pod["spec"]?["containers"]?[0]
        #expect(container?["terminationMessagePath"] == "/dev/termination-log")
        #expect(container?["livenessProbe"]?["periodSeconds"] == 10)
        #expect(container?["livenessProbe"]?["httpGet"]?["scheme"] == "HTTP")
        #expect(container?["readinessProbe"] == nil)

        var zero = try json(#"{"spec":{"terminationGracePeriodSeconds":0}}"#)
        SchemaDefaults.apply(to: &zero, try schemaType("Pod"))
        #expect(zero.value(at: "spec", "terminationGracePeriodSeconds") == 0)
    }
}

@Suite struct ProtobufTranscoderTests {
    static let pod = #"""
        {"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","creationTimestamp":"2026-01-01T00:00:00Z",
        "labels":{"x":"y"},"annotations":{"empty":""},"managedFields":[{"manager":"m","fieldsV1":{"f:a":{}}}]},
        "spec":{"volumes":[{"name":"v","emptyDir":{"sizeLimit":"1Gi"}},{"name":"s","secret":{"secretName":"t"}}],
        "containers":[{"name":"c","image":"busybox","ports":[{"containerPort":80}],
        "resources":{"limits":{"cpu":"500m"}},
        "livenessProbe":{"httpGet":{"port":"http"},"timeoutSeconds":1},
        "readinessProbe":{"tcpSocket":{"port":80}}}],
        "terminationGracePeriodSeconds":0,"hostNetwork":true},"status":{}}
        """#

    @Test func roundTrip() throws {
        let type = try schemaType("Pod")
        let value = try json(Self.pod)
        let bytes = try ProtobufTranscoder.encodeObject(value, type)
        #expect(bytes.starts(with: [0x6B, 0x38, 0x73, 0x00]))
        let decoded = try #require(try ProtobufTranscoder.decodeObject(bytes))
        #expect(try Pod(decoded) == Pod(value))
        #expect(decoded["kind"] == "Pod")
        #expect(try Pod(value).spec.volumes[0].emptyDir?.sizeLimit == "1Gi")
    }

    /// The bytes that upstream's generated code writes for a small Namespace.
    @Test func readsUpstreamsBytes() throws {
        var meta = ProtobufWriter()
        meta.string(1, "web")
        for number in 2...6 { meta.string(number, "") }
        meta.int(7, 0)
        meta.message(8, ProtobufWriter())
        var spec = ProtobufWriter()
        var finalizers = ProtobufWriter()
        finalizers.string(1, "kubernetes")
        spec.string(1, "kubernetes")
        var status = ProtobufWriter()
        status.string(1, "")
        var object = ProtobufWriter()
        object.message(1, meta)
        object.message(2, spec)
        object.message(3, status)
        var typeMeta = ProtobufWriter()
        typeMeta.string(1, "v1")
        typeMeta.string(2, "Namespace")
        var unknown = ProtobufWriter()
        unknown.message(1, typeMeta)
        unknown.data(2, object.bytes)
        let decoded = try ProtobufTranscoder.decodeObject(ProtobufTranscoder.magic + unknown.bytes)
        let expected: JSONValue = [
            "kind": "Namespace", "apiVersion": "v1", "metadata": ["name": "web"],
            "spec": ["finalizers": ["kubernetes"]], "status": [:],
        ]
        #expect(decoded == expected)
    }

    @Test func everyTypeRoundTrips() throws {
        for type in SchemaRegistry.shared.types {
            let value = sample(.named(type.name), depth: 0)
            // A list inside a list is no message in upstream's protobuf either.
            let bytes = try ProtobufTranscoder.encode(value, type)
            let decoded = try ProtobufTranscoder.decode(bytes, type)
            #expect(decoded == value, "\(type.name)")
        }
    }

    private func sample(_ type: SchemaFieldType, depth: Int) -> JSONValue {
        switch type {
        case .string: return "text"
        case .int32, .int64: return 7
        case .bool: return true
        case .double: return 1.5
        case .bytes: return "AQID"
        case .time: return "2026-01-02T03:04:05Z"
        case .microTime: return "2026-01-02T03:04:05.000006Z"
        case .quantity: return "1Gi"
        case .intOrString: return "http"
        case .duration: return "1m0s"
        case .raw: return ["any": [1, "x", nil]]
        case .array(let element): return [sample(element, depth: depth), sample(element, depth: depth)]
        case .map(let value): return ["k": sample(value, depth: depth)]
        case .named(let name):
            var object = JSONObject()
            guard depth < 3, let type = SchemaRegistry.shared.type(named: name) else {
                return .object(object)
            }
            for field in type.fields { object[field.name] = sample(field.type, depth: depth + 1) }
            return .object(object)
        }
    }

    @Test func survivesMutations() throws {
        let type = try schemaType("Pod")
        let original = try ProtobufTranscoder.encodeObject(try json(Self.pod), type)
        var state: UInt64 = 5
        func random(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        var accepted = 0
        for _ in 0..<3000 {
            var bytes = original
            for _ in 0...random(3) { bytes[random(bytes.count)] = UInt8(random(256)) }
            if random(4) == 0 { bytes.removeSubrange(random(bytes.count)...) }
            if let value = try? ProtobufTranscoder.decodeObject(bytes) {
                accepted += 1
                #expect(value["kind"] != nil)
            }
        }
        #expect(accepted > 100)
    }
}
