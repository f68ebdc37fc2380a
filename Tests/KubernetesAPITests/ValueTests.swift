import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct QuantityTests {
    @Test(arguments: [
        ("0", "0"), ("1", "1"), ("1000m", "1"), ("500m", "500m"), ("0.5", "500m"), ("1.5Gi", "1536Mi"),
        ("1024Mi", "1Gi"), ("1Gi", "1Gi"), ("1000Ki", "1000Ki"), ("0.5Mi", "512Ki"), ("100Ki", "100Ki"),
        ("1e3", "1e3"), ("1E3", "1e3"), ("1E", "1E"), ("1000", "1k"), ("1500", "1500"), ("12e6", "12e6"),
        ("0.1n", "1n"), ("-0.1n", "-1n"), ("-1500m", "-1500m"), ("+1", "1"), (".5", "500m"), ("1.", "1"),
        ("1000000000000000000000", "9223372036854775807"), ("1Ki", "1Ki"), ("1023", "1023"),
        ("0.25Ki", "256"),
        ("0Gi", "0"), ("1.1Ki", "1126400m"), ("1e-3", "1e-3"), ("8Ei", "9223372036854775807"),
        ("100u", "100u"),
        ("00012", "12"), ("123456789012345678901234567890", "9223372036854775807"),
        ("0.000000000000000000000000000000000001", "1n"),
    ])
    func isCanonical(_ text: String, _ canonical: String) throws {
        let quantity = try Quantity(parsing: text)
        #expect(quantity.description == canonical)
        #expect(try Quantity(parsing: canonical) == quantity)
    }

    @Test(arguments: [
        ("", Quantity.ParseError.format), ("aoeu", .format), ("1 ", .format), ("Ki", .format),
        ("1.1.1", .format),
        ("1i", .suffix), ("1e", .suffix), ("1mi", .suffix), ("1KI", .format), ("1kk", .suffix),
        ("--1", .format),
        ("1+1", .suffix), ("1e1e1", .suffix),
    ])
    func refuses(_ text: String, _ error: Quantity.ParseError) {
        #expect(throws: error) { try Quantity(parsing: text) }
    }

    @Test func calculates() {
        let half: Quantity = "500m"
        #expect((half + half).description == "1")
        #expect((Quantity("1Gi") - Quantity("512Mi")).description == "512Mi")
        #expect(half.value == 1)
        #expect(half.milliValue == 500)
        #expect(Quantity("-500m").value == -1)
        #expect(Quantity("1Gi") == Quantity(1_073_741_824))
        #expect(Quantity("1Gi").hashValue == Quantity(1_073_741_824).hashValue)
        #expect(Quantity("1Gi") > Quantity("1G"))
        #expect((Quantity() + Quantity("1Gi")).description == "1Gi")
    }

    @Test func readsNumbers() throws {
        #expect(try Quantity(JSONValue.integer(2)).description == "2")
        #expect(try Quantity(JSONValue.number(0.5)).description == "500m")
        #expect(try Quantity(JSONValue.null).isZero)
        #expect(throws: JSONError.self) { try Quantity(JSONValue.bool(true)) }
    }
}

@Suite struct TimeTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-11-22T21:30:15Z", 1_795_383_015),
        ("2000-02-29T23:59:59Z", 951_868_799),
        ("1969-12-31T23:59:59Z", -1), ("2026-01-02T03:04:05.999999999+01:30", 1_767_317_645),
        ("0001-01-01T00:00:00Z", -62_135_596_800), ("9999-12-31T23:59:59Z", 253_402_300_799),
    ])
    func reads(_ text: String, _ seconds: Int) throws {
        let time = try #require(Time(text))
        #expect(time.seconds == seconds)
        #expect(Time(time.description) == time)
        if text.hasSuffix("Z") { #expect(time.description == text) }
    }

    @Test(arguments: [
        "", "2026-01-01", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00Zx",
        "2026-01-01 00:00:00Z", "20260101T000000Z", "2026-01-01T00:00:00+01", "2026-01-01T00:00:00+01:",
    ])
    func refuses(_ text: String) { #expect(Time(text) == nil) }

    @Test func hasMicroseconds() throws {
        let time = try #require(MicroTime("2026-01-02T03:04:05.678901Z"))
        #expect(time.description == "2026-01-02T03:04:05.678901Z")
        #expect(MicroTime(microseconds: -1).description == "1969-12-31T23:59:59.999999Z")
        #expect(Time.now() > Time(seconds: 1_600_000_000))
    }

    @Test(arguments: [
        ("0s", "0s"), ("1h30m", "1h30m0s"), ("90s", "1m30s"), ("1.5h", "1h30m0s"), ("300ms", "300ms"),
        ("-2us", "-2µs"), ("1ns", "1ns"), ("1.5s", "1.5s"), ("0", "0s"),
    ])
    func durations(_ text: String, _ canonical: String) {
        #expect(MetaDuration(text)?.description == canonical)
    }

    @Test(arguments: ["", "1", "s", "1x", "1h-1m", "99999999999h"])
    func noDurations(_ text: String) { #expect(MetaDuration(text) == nil) }
}

@Suite struct ObjectTests {
    @Test func keepsWhatIsWritten() throws {
        var pod = Pod(
            metadata: ObjectMeta(
                name: "a", namespace: "default", creationTimestamp: Time("2026-01-01T00:00:00Z"),
                labels: ["x": "y"]),
            spec: PodSpec(
                volumes: [Volume(name: "v", emptyDir: EmptyDirVolumeSource(medium: "Memory"))],
                containers: [
                    Container(
                        name: "c", ports: [ContainerPort(containerPort: 80)],
                        resources: ResourceRequirements(limits: ["cpu": "1500m", "memory": "1Gi"]),
                        livenessProbe: Probe(httpGet: HTTPGetAction(port: .string("http"))))
                ], terminationGracePeriodSeconds: 0))
        let copy = pod
        let json = String(decoding: pod.json(), as: UTF8.self)
        #expect(
            json.hasPrefix(#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"default","#))
        #expect(json.contains(#""emptyDir":{"medium":"Memory"}"#))
        #expect(json.contains(#""terminationGracePeriodSeconds":0"#))
        #expect(json.contains(#""limits":{"cpu":"1500m","memory":"1Gi"}"#))
        #expect(json.contains(#""httpGet":{"port":"http"}"#))
        #expect(json.contains(#""status":{}"#))
        #expect(try Pod(json: pod.json()) == pod)

        pod.spec.containers[0].livenessProbe?.timeoutSeconds = 5
        pod.metadata.name = "b"
        #expect(copy.metadata.name == "a")
        #expect(copy.spec.containers[0].livenessProbe?.timeoutSeconds == 0)
        #expect(pod.spec.containers[0].livenessProbe?.timeoutSeconds == 5)
        #expect(pod != copy)
        pod.spec.containers[0].livenessProbe = nil
        #expect(!String(decoding: pod.json(), as: UTF8.self).contains("livenessProbe"))
    }

    @Test func readsNullAndUnknown() throws {
        let json =
            #"{"metadata":null,"spec":{"containers":null,"hostNetwork":null,"securityContext":null,"x":[1]}}"#
        let pod = try Pod(json: Array(json.utf8))
        #expect(pod == Pod())
        #expect(throws: JSONError.self) { try Pod(json: Array(#"{"spec":{"containers":{}}}"#.utf8)) }
        #expect(throws: JSONError.self) {
            try Service(json: Array(#"{"spec":{"ports":[{"port":"x"}]}}"#.utf8))
        }
    }

    @Test func namesResources() {
        #expect(Pod.resource.groupResource == "pods")
        #expect(Deployment.resource.apiVersion == "apps/v1")
        #expect(Deployment.resource.groupResource == "deployments.apps")
        let list = ObjectList(
            metadata: ListMeta(resourceVersion: "7"), items: [Namespace(metadata: ObjectMeta(name: "a"))])
        let json = String(decoding: list.json(), as: UTF8.self)
        #expect(
            json.hasPrefix(
                #"{"kind":"NamespaceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":["#))
    }

    @Test func listsReadBack() throws {
        let list = ObjectList(items: [Secret(metadata: ObjectMeta(name: "a"), data: ["k": [1, 2, 255]])])
        #expect(try ObjectList<Secret>(json: list.json()) == list)
    }
}
