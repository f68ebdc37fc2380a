import KubernetesJSON
import Yams

import struct KubernetesAPI.APIError

/// How often a document refers to what it said before. Each alias may stand for something that holds others, so
/// few of them make a huge value, and comparing mappings' keys walks through it before anybody can count.
private struct YAMLAliases {
    let areFew: Bool

    init(_ bytes: [UInt8]) {
        var count = 0
        var previous = UInt8(ascii: "\n")
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "*"), Self.precedes(previous), index + 1 < bytes.count,
                Self.isName(bytes[index + 1])
            {
                count += 1
            }
            previous = byte
        }
        // Two aliases a level double the value; a good deal of work is allowed.
        let doublings = count / 2
        areFew = doublings < 20 && bytes.count << doublings <= 1 << 26
    }

    /// Whether an alias may begin behind this byte.
    private static func precedes(_ byte: UInt8) -> Bool {
        " \t\r\n[{,:-?".utf8.contains(byte)
    }

    private static func isName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: byte >= 0x80
        }
    }
}

/// YAML bodies and answers.
package enum YAML {
    /// Reads one YAML document (and so also JSON) as a JSON value. Keys that occur twice in a mapping are
    /// reported, as `fieldValidation` wants to know them.
    package static func decode(_ bytes: [UInt8]) throws(APIError) -> JSONValue {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .badRequest("error converting YAML to JSON: yaml: invalid UTF-8")
        }
        guard YAMLAliases(bytes).areFew else {
            throw .badRequest("error converting YAML to JSON: yaml: document contains excessive aliasing")
        }
        let node: Node?
        do {
            node = try Yams.compose(yaml: text)
        } catch {
            throw .badRequest("error converting YAML to JSON: yaml: \(reason(error))")
        }
        guard let node else { return .null }
        // Only aliases make more values than there are bytes, and a small document of them a huge one.
        var budget = 1000 + 4 * bytes.count
        return try value(node, depth: 0, &budget)
    }

    /// Writes a value, keys sorted, as people read it.
    package static func encode(_ value: JSONValue) -> [UInt8] {
        guard let text = try? Yams.serialize(node: node(value), sortKeys: true) else { return [] }
        return Array(text.utf8)
    }

    private static func reason(_ error: any Error) -> String {
        guard let error = error as? YamlError else { return "\(error)" }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _):
            return "line \(mark.line): \(problem)"
        default:
            return "\(error)"
        }
    }

    private static func value(_ node: Node, depth: Int, _ budget: inout Int) throws(APIError) -> JSONValue {
        budget -= 1
        guard budget > 0 else {
            throw .badRequest("error converting YAML to JSON: yaml: document is too large")
        }
        guard depth < 200 else { throw .badRequest("error converting YAML to JSON: nested too deeply") }
        switch node {
        case .scalar(let scalar):
            return self.scalar(scalar, node)
        case .sequence(let sequence):
            var elements: [JSONValue] = []
            for element in sequence { elements.append(try value(element, depth: depth + 1, &budget)) }
            return .array(elements)
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, member) in mapping {
                guard let name = key.scalar?.string else {
                    throw .badRequest("error converting YAML to JSON: only scalars can be keys")
                }
                object[name] = try value(member, depth: depth + 1, &budget)
            }
            return .object(object)
        case .alias:
            // Aliases are resolved while composing; one that is left has no meaning here.
            return .null
        }
    }

    private static func scalar(_ scalar: Node.Scalar, _ node: Node) -> JSONValue {
        let tag = node.tag
        if tag == Tag(.null) { return .null }
        if tag == Tag(.bool) { return node.bool.map { .bool($0) } ?? .string(scalar.string) }
        if tag == Tag(.int) { return node.int.map { .integer(Int64($0)) } ?? .string(scalar.string) }
        if tag == Tag(.float), let number = node.float, number.isFinite {
            // 3.0 and 1e3 are the same numbers as 3 and 1000, as in JSON.
            if let whole = Int64(exactly: number), number.magnitude < 1e15 { return .integer(whole) }
            return .number(number)
        }
        return .string(scalar.string)
    }

    private static func node(_ value: JSONValue) -> Node {
        switch value {
        case .null: return Node("null", Tag(.null))
        case .bool(let flag): return Node(flag ? "true" : "false", Tag(.bool))
        case .integer(let number): return Node("\(number)", Tag(.int))
        case .number(let number): return Node("\(number)", Tag(.float))
        case .string(let text):
            if text.contains("\n") { return Node(text, Tag(.str), .literal) }
            return .scalar(text.represented())
        case .array(let elements): return Node(elements.map(node), Tag(.seq))
        case .object(let object):
            let pairs = object.map { (Node.scalar($0.key.represented()), node($0.value)) }
            return Node(pairs, Tag(.map))
        }
    }
}
