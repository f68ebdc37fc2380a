import KubernetesJSON
import Testing

@Suite struct JSONValueTests {
    @Test func changesMembers() {
        var value: JSONValue = ["metadata": ["name": "a"]]
        value["metadata"]?["labels"] = ["x": "y"]
        value["spec"] = ["n": 1]
        value["metadata"]?["name"] = nil
        #expect(value == ["spec": ["n": 1], "metadata": ["labels": ["x": "y"]]])
        #expect(value.value(at: "metadata", "labels", "x")?.stringValue == "y")
        #expect(value.value(at: "metadata", "nope", "x") == nil)
        var number: JSONValue = 5
        number["a"]?["b"] = 1
        #expect(number == 5)
    }

    @Test func comparesObjectsWithoutOrder() {
        let left: JSONValue = ["a": 1, "b": ["c": [1, 2]]]
        let right: JSONValue = ["b": ["c": [1, 2]], "a": 1]
        #expect(left == right)
        #expect(left.hashValue == right.hashValue)
        #expect(left != ["a": 1, "b": ["c": [2, 1]]])
        #expect(left != ["a": 1])
    }

    @Test func findsMembersOfLargeObjects() {
        var object = JSONObject()
        for index in 0..<1000 { object["key\(index)"] = .integer(Int64(index)) }
        for index in stride(from: 0, to: 1000, by: 2) { object.removeValue(forKey: "key\(index)") }
        #expect(object.count == 500)
        #expect(object["key501"] == 501)
        #expect(object["key500"] == nil)
        #expect(object.keys.first == "key1")
        object["key501"] = "changed"
        #expect(object["key501"] == "changed")
        #expect(object.count == 500)
    }

    @Test func base64RoundTrip() {
        for count in 0..<20 {
            let data = (0..<count).map { UInt8($0 * 37 % 256) }
            #expect(Base64.decode(String(decoding: Base64.encode(data), as: UTF8.self)) == data)
        }
        #expect(String(decoding: Base64.encode(Array("hello".utf8)), as: UTF8.self) == "aGVsbG8=")
        for wrong in ["a", "ab", "abc", "ab=c", "=", "ab==cd", "a*bc", "abcd="] {
            #expect(Base64.decode(wrong) == nil, "\(wrong)")
        }
    }
}

@Suite struct ProtobufTests {
    @Test func roundTrip() throws {
        var inner = ProtobufWriter()
        inner.string(1, "é")
        var writer = ProtobufWriter()
        writer.int(1, -1)
        writer.bool(2, true)
        writer.double(3, 1.5)
        writer.message(4, inner)
        writer.varint(536_870_911, .max)

        var reader = ProtobufReader(writer.bytes)
        #expect(try reader.nextField() == .init(number: 1, wireType: .varint))
        #expect(try reader.varint() == .max)
        #expect(try reader.nextField()?.number == 2)
        #expect(try reader.varint() == 1)
        #expect(try reader.nextField()?.wireType == .fixed64)
        #expect(Double(bitPattern: try reader.fixed64()) == 1.5)
        #expect(try reader.nextField()?.wireType == .lengthDelimited)
        var message = try reader.message()
        #expect(try message.nextField()?.number == 1)
        #expect(try message.string() == "é")
        #expect(message.isAtEnd)
        #expect(try reader.nextField()?.number == 536_870_911)
        try reader.skip(.varint)
        #expect(try reader.nextField() == nil)
    }

    @Test(
        arguments: [
            [0x08], [0x0A, 0x05, 0x61], [0x00, 0x01], [0x0B], [0x09, 1, 2], [0x0D, 1],
            [0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F], [0x0E],
        ] as [[UInt8]])
    func refusesBrokenMessages(_ bytes: [UInt8]) {
        #expect(throws: ProtobufError.self) {
            var reader = ProtobufReader(bytes)
            while let field = try reader.nextField() { try reader.skip(field.wireType) }
        }
    }

    @Test func survivesRandomBytes() {
        var random = SeededGenerator(seed: 3)
        var complete = 0
        for _ in 0..<20000 {
            let bytes = (0..<Int.random(in: 0..<40, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            var reader = ProtobufReader(bytes)
            do {
                while let field = try reader.nextField() { try reader.skip(field.wireType) }
                complete += 1
                #expect(reader.offset == bytes.count)
            } catch {
                #expect(reader.offset <= bytes.count)
            }
        }
        #expect(complete > 0)
    }
}
