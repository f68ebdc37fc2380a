import Glibc
import KubernetesJSON

/// Numbers that look random and are the same every time.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        // SplitMix64.
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Damages good input in ways that parsers stumble over.
///
/// The same seed makes the same inputs. `FUZZ_ROUNDS` makes tests try so many times as many; with `FUZZ_KEEP`,
/// the name of a folder, the input that is being tried is in a file there, for when it ends the process.
public struct Fuzzer: Sendable {
    public var generator: SeededGenerator
    private let name: String

    public init(_ name: String, seed: UInt64 = 1) {
        self.name = name
        generator = SeededGenerator(seed: seed)
    }

    /// How many inputs to try where a test by itself tries `count`.
    public static func rounds(_ count: Int) -> Int {
        count * max(1, getenv("FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 1)
    }

    /// Keeps an input that is about to be tried.
    public func keep(_ bytes: [UInt8]) {
        guard let folder = getenv("FUZZ_KEEP").map({ String(cString: $0) }),
            let file = fopen("\(folder)/\(name)", "w")
        else { return }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    public mutating func index(below count: Int) -> Int {
        Int.random(in: 0..<max(count, 1), using: &generator)
    }

    public mutating func chance(oneIn count: Int) -> Bool { index(below: count) == 0 }

    // MARK: Bytes

    /// One of the corpus, with some bytes of it changed.
    ///
    /// - Parameter tokens: words of the language, put in here and there.
    public mutating func mutated(_ corpus: [[UInt8]], tokens: [String] = []) -> [UInt8] {
        guard var bytes = corpus.randomElement(using: &generator) else { return [] }
        for _ in 0...index(below: 4) { mutate(&bytes, corpus, tokens) }
        keep(bytes)
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8], _ corpus: [[UInt8]], _ tokens: [String]) {
        let at = index(below: bytes.count + 1)
        let length = index(below: min(bytes.count - at, 64) + 1)
        switch index(below: 9) {
        case 0 where at < bytes.count: bytes[at] = UInt8.random(in: 0...255, using: &generator)
        case 1 where at < bytes.count: bytes[at] ^= 1 << UInt8(index(below: 8))
        case 2: bytes.removeSubrange(at..<(at + length))
        case 3: bytes.insert(contentsOf: Array(bytes[at..<(at + length)]), at: at)
        case 4: bytes.removeLast(bytes.count - at)
        case 5:
            guard let other = corpus.randomElement(using: &generator), !other.isEmpty else { return }
            bytes = Array(bytes.prefix(at)) + other.dropFirst(index(below: other.count))
        case 6:
            let odd: [[UInt8]] = [
                [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0], [0x7F],
                [0xE2, 0x80, 0xA8],
            ]
            bytes.insert(contentsOf: odd.randomElement(using: &generator) ?? [], at: at)
        case 7:
            let piece = Array(bytes[at..<(at + min(length, 8))])
            for _ in 0..<index(below: 300) { bytes.insert(contentsOf: piece, at: at) }
        default:
            guard let token = tokens.randomElement(using: &generator) else { return }
            bytes.replaceSubrange(at..<(at + length / 8), with: token.utf8)
        }
    }

    /// A text, with some bytes of it changed.
    public mutating func mutated(_ corpus: [String], tokens: [String] = []) -> String {
        let corpus = corpus.map { Array($0.utf8) }
        let bytes: [UInt8] = mutated(corpus, tokens: tokens)
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Trees

    /// A value, with some of the values inside of it changed: it stays well-formed.
    public mutating func mutated(_ value: JSONValue) -> JSONValue {
        var value = value
        for _ in 0...index(below: 3) { mutate(&value, depth: 0) }
        keep(value.json())
        return value
    }

    private mutating func mutate(_ value: inout JSONValue, depth: Int) {
        // The deeper, the likelier that it is this one that changes.
        if chance(oneIn: max(2, 8 - depth)) {
            value = replacement(value)
            return
        }
        switch value {
        case .object(var object):
            guard let key = object.keys.randomElement(using: &generator), var member = object[key] else {
                value = replacement(value)
                return
            }
            switch index(below: 12) {
            case 0: object.removeValue(forKey: key)
            case 1: object[key + "x"] = member
            case 2: object[oddText()] = member
            default:
                mutate(&member, depth: depth + 1)
                object[key] = member
            }
            value = .object(object)
        case .array(var elements):
            guard !elements.isEmpty else {
                value = replacement(value)
                return
            }
            let at = index(below: elements.count)
            switch index(below: 6) {
            case 0: elements.remove(at: at)
            case 1: elements.insert(elements[at], at: at)
            default: mutate(&elements[at], depth: depth + 1)
            }
            value = .array(elements)
        default: value = replacement(value)
        }
    }

    private mutating func oddText() -> String {
        let texts = [
            "", " ", "/", "~1", "a/b", "-", ".", "\u{0}", "é", "👩‍👩‍👧", "{}", "0", "-1", "1e400",
            "9223372036854775808", "%",
            "$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers",
            "metadata", "kind", "name", "k8s.io/x", "1Ki", "100000000000000000000", "0.0000000001n", "1h",
            "-1h1m",
            "2020-01-01T00:00:00Z", "9999-99-99T99:99:99Z", "10.96.0.1", "::1", "0.0.0.0/33", "replace",
            "delete",
            "merge", String(repeating: "a", count: 64), String(repeating: "a", count: 254),
        ]
        return texts.randomElement(using: &generator) ?? ""
    }

    private mutating func replacement(_ old: JSONValue) -> JSONValue {
        switch index(below: 11) {
        case 0: return .null
        case 1: return .bool(chance(oneIn: 2))
        case 2:
            let numbers: [Int64] = [
                0, -1, 1, 65536, 4_294_967_296, .max, .min, 2_147_483_647, -2_147_483_648, 999_999,
            ]
            return .integer(numbers.randomElement(using: &generator) ?? 0)
        case 3:
            return .number(
                [0.5, -0.0, 1e300, .leastNonzeroMagnitude, 1.5e9].randomElement(using: &generator) ?? 0)
        case 4: return .array([])
        case 5: return .array([old])
        case 6: return [:]
        case 7: return .object([oddText(): old])
        case 8:
            var nested = old
            for _ in 0..<index(below: 150) { nested = .array([nested]) }
            return nested
        default: return .string(oddText())
        }
    }
}
