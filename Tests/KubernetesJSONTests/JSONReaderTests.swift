import KubernetesJSON
import Testing

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct JSONReaderTests {
    @Test(arguments: [
        #"null"#, #"true"#, #"-12"#, #"1.5"#, #""a\"b\\c\n\u0001é🙂""#, #"[]"#, #"{}"#,
        #"[1,[2,{"a":null}],"x"]"#, #"{"b":1,"a":{"c":[true,false]}}"#, #"9223372036854775807"#,
        #"-9223372036854775808"#,
    ])
    func writesWhatItRead(_ text: String) throws {
        let value = try JSONValue(json: bytes(text))
        let written = String(decoding: value.json(), as: UTF8.self)
        #expect(written == text)
        #expect(try JSONValue(json: bytes(written)) == value)
    }

    @Test func readsEscapes() throws {
        let value = try JSONValue(json: bytes(#""\u0041\ud83d\ude42\/\b\f\r\t\ud800x""#))
        #expect(value == .string("A🙂/\u{8}\u{c}\r\t\u{FFFD}x"))
    }

    @Test func readsNumbers() throws {
        #expect(try JSONValue(json: bytes("[1e3,1.0,1.5]")) == [1000, 1, .number(1.5)])
        #expect(try JSONValue(json: bytes("9223372036854775808")) == .number(9_223_372_036_854_775_808))
        #expect(JSONValue.number(1e21).description == "1e+21")
        #expect(JSONValue.number(1e-7).description == "1e-7")
        #expect(JSONValue.number(123456.789).description == "123456.789")
        #expect(JSONValue.number(0.00012).description == "0.00012")
        #expect(JSONValue.number(-1.5e20).description == "-150000000000000000000")
        #expect(JSONValue.number(.infinity).description == "null")
    }

    @Test(arguments: [
        ("", "unexpected end of JSON input"), ("{", "unexpected end of JSON input"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        (#"{"a":1,}"#, "invalid character '}' looking for beginning of object key string"),
        (#"{"a" 1}"#, "invalid character '1' after object key"),
        (#"{"a":1 "b":2}"#, "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("nul", "unexpected end of JSON input"),
        ("nulx", "invalid character 'x' in literal null (expecting 'l')"),
        ("01", "invalid character '1' after top-level value"), ("-", "unexpected end of JSON input"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1e+", "unexpected end of JSON input"),
        ("\"\u{1}\"", #"invalid character '\x01' in string literal"#),
        (#""\q""#, "invalid character 'q' in string escape code"),
        (#""\u12g4""#, #"invalid character 'g' in \u hexadecimal character escape"#),
        ("a", "invalid character 'a' looking for beginning of value"),
        ("1 x", "invalid character 'x' after top-level value"),
    ])
    func refusesWhatIsNoJSON(_ text: String, _ message: String) {
        do {
            let value = try JSONValue(json: bytes(text))
            Issue.record("read \(value)")
        } catch {
            #expect(error.message == message)
        }
    }

    @Test func refusesWhatIsNotUTF8() {
        for text: [UInt8] in [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
        ] {
            #expect(throws: JSONError.self) { try JSONValue(json: text) }
            var reader = JSONReader(text)
            #expect(throws: JSONError.self) { try reader.skipValue() }
        }
    }

    @Test func refusesDeepNesting() {
        let deep = [UInt8](repeating: UInt8(ascii: "["), count: 100_000)
        do {
            _ = try JSONValue(json: deep)
            Issue.record("read it")
        } catch {
            #expect(error.code == .tooDeep)
        }
    }

    @Test func namesDuplicates() throws {
        var duplicates: [String] = []
        let text = #"{"spec":{"ports":[{"port":1},{"port":2,"port":3}],"a":1,"a":2},"spec":{}}"#
        let value = try JSONValue(json: bytes(text), duplicates: &duplicates)
        #expect(duplicates == ["spec.ports[1].port", "spec.a", "spec"])
        #expect(value == ["spec": [:]])
    }

    @Test func pullsOnlyWhatIsAsked() throws {
        var reader = JSONReader(
            bytes(#" { "skip" : [1,{"x":"\u00e9"}] , "na\u006de" : "web", "raw": [ 1 ] } "#))
        var name = ""
        var raw: Range<Int>?
        #expect(try reader.beginObject())
        while try reader.nextKey() {
            if reader.isKey("name") {
                #expect(reader.keyLength == 4)
                name = try reader.string()
            } else if reader.isKey("raw") {
                raw = try reader.rawValue()
            } else {
                #expect(try reader.keyString() == "skip")
                try reader.skipValue()
            }
        }
        try reader.finish()
        #expect(name == "web")
        let range = try #require(raw)
        #expect(String(decoding: reader.bytes[range], as: UTF8.self) == "[ 1 ]")
    }

    @Test func refusesOtherTypes() {
        func code(_ text: String, _ read: (inout JSONReader) throws -> Void) -> JSONError.Code? {
            var reader = JSONReader(bytes(text))
            do {
                try read(&reader)
                return nil
            } catch let error as JSONError {
                return error.code
            } catch {
                return nil
            }
        }
        #expect(code("1") { _ = try $0.string() } == .typeMismatch)
        #expect(code("\"1\"") { _ = try $0.int() } == .typeMismatch)
        #expect(code("{}") { _ = try $0.beginArray() } == .typeMismatch)
        #expect(code("1.5") { _ = try $0.int() } == .outOfRange)
        #expect(code("9223372036854775808") { _ = try $0.int() } == .outOfRange)
        #expect(code("2147483648") { _ = try $0.int32() } == .outOfRange)
        #expect(code("1e400") { _ = try $0.double() } == .outOfRange)
        #expect(code("\"*\"") { _ = try $0.base64() } == .invalidValue)
        #expect(code("null") { _ = try $0.int() } == nil)
    }

    /// Mutates documents at random: whatever comes out, reading ends without a crash, and what is read can be
    /// written and read again.
    @Test func survivesMutations() throws {
        var random = SeededGenerator(seed: 7)
        let seeds = [
            #"{"metadata":{"name":"web","labels":{"a":"b","c":"\u00e9\n"}},"spec":{"n":[1,-2.5e3,null,true]}}"#,
            #"[[[[{"a":[{}]}]]],"\ud83d\ude42",0.1,false]"#,
        ].map(bytes)
        var accepted = 0
        for round in 0..<20000 {
            var text = seeds[round % seeds.count]
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: text[index] = UInt8.random(in: 0...255, using: &random)
                case 1: text.remove(at: index)
                case 2: text.insert(text[Int.random(in: 0..<text.count, using: &random)], at: index)
                default: text.removeSubrange(index...)
                }
                if text.isEmpty { text = [UInt8(ascii: "1")] }
            }
            var reader = JSONReader(text)
            let isSkipped = (try? reader.skipValue()) != nil && (try? reader.finish()) != nil
            guard let value = try? JSONValue(json: text) else { continue }
            accepted += 1
            #expect(isSkipped)
            #expect(try JSONValue(json: value.json()) == value)
        }
        #expect(accepted > 100)
    }
}

/// A repeatable source of random numbers (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
