import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct FieldSetTests {
    /// FieldsV1 and the paths in it, as conflicts show them.
    @Test(arguments: [
        ("{}", []), (#"{"f:a":{}}"#, [".a"]), (#"{"f:a":{"f:b":{}}}"#, [".a.b"]),
        (#"{"f:a":{".":{},"f:b":{}}}"#, [".a", ".a.b"]),
        (
            #"{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{}}}}}"#,
            [#".spec.containers[name="web"]"#, #".spec.containers[name="web"].image"#]
        ),
        (
            #"{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{}}}"#,
            [#".ports[port=80,protocol="TCP"]"#]
        ),
        (#"{"f:finalizers":{"v:\"a/b\"":{}}}"#, [#".finalizers[="a/b"]"#]),
        (#"{"f:a":{"i:3":{}}}"#, [".a[3]"]),
        (#"{"f:a:b":{}}"#, [".a:b"]), (#"{"v:12":{},"v:true":{}}"#, ["[=12]", "[=true]"]),
        (#"{"v:\"\\u003c\\u0026\"":{}}"#, [#"[="<&"]"#]),
    ])
    func readsAndWrites(_ text: String, _ paths: [String]) throws {
        let set = try FieldSet(fieldsV1: JSONValue(json: Array(text.utf8)))
        #expect(set.paths.map(\.description) == paths)
        #expect(set.fieldsV1.description == text)
        #expect(set.count == paths.count)
        #expect(FieldSet(set.paths) == set)
        for path in set.paths { #expect(set.contains(path)) }
        #expect(!set.contains(FieldPath("nothing")))
        #expect(!set.contains(FieldPath([])))
    }

    @Test(arguments: [
        // In another order, with keys of unknown kinds, with a place for what has nothing in it.
        (#"{"f:b":{},"f:a":{}}"#, #"{"f:a":{},"f:b":{}}"#), (#"{"x:b":{},"f:a":{}}"#, #"{"f:a":{}}"#),
        (#"{"f:a":{".":{}}}"#, #"{"f:a":{}}"#), (#"{"f:a":{"x:b":{}}}"#, #"{"f:a":{}}"#),
        (
            #"{"k:{\"protocol\":\"TCP\",\"port\":80}":{}}"#,
            #"{"k:{\"port\":80,\"protocol\":\"TCP\"}":{}}"#
        ),
        (#"{".":{},"f:a":null}"#, #"{"f:a":{}}"#), ("null", "{}"),
        // Kinds of steps in their order, and values in theirs.
        (
            #"{"i:0":{},"v:true":{},"v:\"a\"":{},"v:10":{},"v:9":{},"k:{\"a\":1}":{},"f:z":{}}"#,
            #"{"f:z":{},"k:{\"a\":1}":{},"v:9":{},"v:10":{},"v:\"a\"":{},"v:true":{},"i:0":{}}"#
        ),
    ])
    func normalizes(_ text: String, _ normal: String) throws {
        #expect(try FieldSet(fieldsV1: JSONValue(json: Array(text.utf8))).fieldsV1.description == normal)
    }

    @Test(arguments: [
        #"{"a":{}}"#, #"{"fa":{}}"#, #"{"":{}}"#, #"{"k:name":{}}"#, #"{"k:[1]":{}}"#, #"{"v:":{}}"#,
        #"{"v:1 2":{}}"#, #"{"i:x":{}}"#, #"{"f:a":{"oops":{}}}"#, #"{"f:a":1}"#, "[]", #""f:a""#,
    ])
    func refuses(_ text: String) throws {
        let value = try JSONValue(json: Array(text.utf8))
        #expect(throws: APIError.self) { try FieldSet(fieldsV1: value) }
    }

    @Test func mutatedFieldsNeverCrash() throws {
        let seed = Array(
            #"{"f:spec":{"f:ports":{"k:{\"port\":80}":{".":{},"f:x":{}}},"f:l":{"v:\"a\"":{},"i:1":{}}}}"#
                .utf8)
        var random = SeededGenerator(seed: 7)
        var understood = 0
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(
                    in: 0x20...0x7E, using: &random)
            }
            guard let value = try? JSONValue(json: bytes), let set = try? FieldSet(fieldsV1: value) else {
                continue
            }
            understood += 1
            #expect(try FieldSet(fieldsV1: set.fieldsV1) == set)
        }
        #expect(understood > 100)
    }

    /// What the operations mean, told path by path.
    @Test func operationsAreThoseOfSets() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<500 {
            let (left, right) = (randomSet(&random), randomSet(&random))
            let (a, b) = (Set(left.paths), Set(right.paths))
            #expect(Set(left.union(right).paths) == a.union(b))
            #expect(Set(left.intersection(right).paths) == a.intersection(b))
            #expect(Set(left.subtracting(right).paths) == a.subtracting(b))
            let below = a.filter { path in
                !b.contains { path.steps.starts(with: $0.steps) }
            }
            #expect(Set(left.subtractingTrees(right).paths) == below)
            #expect(left.isEmpty == a.isEmpty)
            #expect(left.union(left) == left)
            #expect(left.subtracting(left).isEmpty)
            #expect(left.intersection(right) == right.intersection(left))
        }
    }

    private func randomSet(_ random: inout SeededGenerator) -> FieldSet {
        FieldSet(
            (0..<Int.random(in: 0...8, using: &random)).map { _ in
                FieldPath(
                    (0..<Int.random(in: 1...3, using: &random)).map { _ in
                        let number = Int.random(in: 0...2, using: &random)
                        switch Int.random(in: 0...3, using: &random) {
                        case 0: return .key([FieldPath.KeyField("k", .integer(Int64(number)))])
                        case 1: return .value(.string("v\(number)"))
                        default: return .field("f\(number)")
                        }
                    })
            })
    }
}

/// Numbers that are the same in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
