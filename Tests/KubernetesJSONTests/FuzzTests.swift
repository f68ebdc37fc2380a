import HostileInput
import KubernetesJSON
import Testing

/// Whatever is read: it is refused, or it is what is written and read again.
@Suite struct FuzzTests {
    private static let documents = [
        #"{"kind":"Pod","spec":{"containers":[{"name":"a","ports":[{"containerPort":80}]}],"n":null}}"#,
        #"[1,-2.5e10,1e400,0.1,-0,true,false,null,"a\u00e9\ud83d\ude00\\\n",{"":[]},{"a":{"a":{"a":[[[]]]}}}]"#,
        #" { "a" : 9223372036854775807 , "b" : -9223372036854775808, "c": 18446744073709551616 } "#,
        "\"\u{1F469}\u{200D}\u{1F469} é \u{2028}\"", "{\"\\u0061\":1,\"a\":2}",
    ].map { Array($0.utf8) }
    private static let tokens = [
        "{", "}", "[", "]", ",", ":", "\"", "\\u", "\\ud800", "\\", "null", "true", "-", "1e", "1E999", "0.",
        " ",
    ]

    @Test func values() throws {
        var fuzzer = Fuzzer("json-values")
        var readable = 0
        for _ in 0..<Fuzzer.rounds(20_000) {
            let bytes = fuzzer.mutated(Self.documents, tokens: Self.tokens)
            var reader = JSONReader(bytes)
            let skips = (try? reader.skipValue()) != nil && (try? reader.finish()) != nil
            guard let value = try? JSONValue(json: bytes) else { continue }
            readable += 1
            #expect(skips, "\(bytes)")
            let written = value.json()
            #expect(try JSONValue(json: written) == value, "\(bytes)")
            #expect(String(validating: written, as: UTF8.self) != nil)
        }
        // Damage must not be so bad that nothing is ever read.
        #expect(readable > 1000)
    }

    @Test func duplicates() throws {
        var fuzzer = Fuzzer("json-duplicates")
        for _ in 0..<Fuzzer.rounds(5_000) {
            let bytes = fuzzer.mutated(Self.documents, tokens: Self.tokens)
            var duplicates: [String] = []
            let value = try? JSONValue(json: bytes, duplicates: &duplicates)
            #expect(value == (try? JSONValue(json: bytes)))
        }
    }

    @Test func protobufFields() {
        var fuzzer = Fuzzer("protobuf-fields")
        var writer = ProtobufWriter()
        writer.string(1, "text")
        var inner = ProtobufWriter()
        inner.string(2, "inner")
        writer.message(3, inner)
        let corpus = [
            writer.bytes, inner.bytes, [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        ]
        for _ in 0..<Fuzzer.rounds(20_000) {
            let bytes: [UInt8] = fuzzer.mutated(corpus)
            var reader = ProtobufReader(bytes)
            var fields = 0
            while let field = try? reader.nextField(), (try? reader.skip(field.wireType)) != nil {
                fields += 1
            }
            #expect(fields <= bytes.count && reader.offset <= bytes.count)
        }
    }

    @Test func base64() {
        var fuzzer = Fuzzer("base64")
        for _ in 0..<Fuzzer.rounds(5_000) {
            let text: String = fuzzer.mutated(
                ["aGVsbG8gd29ybGQ=", "AA==", "", "+/+/"], tokens: ["=", "\n", "-"])
            if let bytes = Base64.decode(text) {
                #expect(Base64.decode(String(decoding: Base64.encode(bytes), as: UTF8.self)) == bytes)
            }
        }
    }
}
