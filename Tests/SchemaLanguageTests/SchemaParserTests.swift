import SchemaLanguage
import Testing

@Suite struct SchemaParserTests {
    static let text = """
        # A comment.
        package io.k8s.api.core.v1
        group "" version v1

        kind Pod plural pods singular pod short po,p categories all namespaced "The \\"pod\\"." {
          1 metadata ObjectMeta? "Its metadata."
          2 spec PodSpec
        }
        type PodSpec swift CorePodSpec structType(atomic) "What is wanted." {
          inline 1 VolumeSource
          2 containers [Container] merge(name) strategy(merge,retainKeys) list(map:name,protocol) "Them."  # here
          3 policy string? default("a (b) \\"c\\"") enum(|A|B) deprecated optional
          4 grace int64* default(30) required nullable
          5 extra map<[string]>? mapType(atomic)
        }
        type Empty {}
        """

    @Test func readsDeclarations() throws {
        let file = try SchemaFile(parsing: Self.text)
        #expect(file.types.map(\.name) == ["Pod", "PodSpec", "Empty"])
        let pod = file.types[0]
        #expect(pod.documentation == "The \"pod\".")
        #expect(pod.definitionName == "io.k8s.api.core.v1.Pod")
        let kind = try #require(pod.kind)
        #expect(kind.plural == "pods")
        #expect(kind.shortNames == ["po", "p"])
        #expect(kind.categories == ["all"])
        #expect(kind.isNamespaced)
        #expect(!pod.fields[0].mustBeGiven)
        #expect(pod.fields[1].mustBeGiven)

        let spec = file.types[1]
        #expect(spec.swiftName == "CorePodSpec")
        #expect(spec.isAtomic)
        #expect(spec.fields[0].isInline)
        let containers = spec.fields[1]
        #expect(containers.type == .array(.named("Container")))
        #expect(containers.mergeKey == "name")
        #expect(containers.strategies == ["merge", "retainKeys"])
        #expect(containers.listType == .map(keys: ["name", "protocol"]))
        let policy = spec.fields[2]
        #expect(policy.defaultValue == #""a (b) \"c\"""#)
        #expect(policy.enumeration == ["", "A", "B"])
        #expect(policy.isDeprecated)
        #expect(spec.fields[3].presence == .optional)
        #expect(spec.fields[3].mustBeGiven)
        #expect(spec.fields[3].isNullable)
        #expect(spec.fields[4].type == .map(.array(.string)))
        #expect(spec.fields[4].isAtomic)
    }

    @Test(arguments: [
        ("type A {", 1), ("type A {\n  1 a string\n  1 b string\n}", 3),
        ("type A {\n  1 a string\n  2 a string\n}", 3),
        ("type A {}\ntype A {}", 2), ("nonsense", 1), ("type A {\n  1 a [string\n}", 2),
        ("type A {\n  1 a string default(\n}", 2), ("type A {\n  1 a string \"x\n}", 2),
        ("type A {\n  a string\n}", 2), ("type A {\n  1 a string frobnicate\n}", 2), ("group x", 1),
        ("type A {\n  1 a map<string\n}", 2), ("type A {} x", 1),
        ("type A {\n  99999999999999999999 a string\n}", 2),
        ("type A {\n  1 a [[[[[[[[[[string]]]]]]]]]]\n}", 2), ("type A {\n  1 a string list(bag)\n}", 2),
    ])
    func namesTheLineThatIsWrong(_ text: String, _ line: Int) {
        do {
            let file = try SchemaFile(parsing: text)
            Issue.record("read \(file)")
        } catch {
            #expect(error.line == line)
            #expect(!error.message.isEmpty)
        }
    }

    @Test func survivesMutations() {
        var state: UInt64 = 42
        func random(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        let original = Array(Self.text.utf8)
        var refused = 0
        for _ in 0..<5000 {
            var bytes = original
            for _ in 0...random(3) {
                switch random(3) {
                case 0: bytes[random(bytes.count)] = UInt8(random(256))
                case 1: bytes.remove(at: random(bytes.count))
                default: bytes.insert(bytes[random(bytes.count)], at: random(bytes.count))
                }
            }
            if (try? SchemaFile(parsing: String(decoding: bytes, as: UTF8.self))) == nil { refused += 1 }
        }
        #expect(refused > 1000)
        #expect(refused < 5000)
    }
}
