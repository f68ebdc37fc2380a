import KubernetesJSON

/// Values as Go prints them, which is what upstream's messages hold.
package enum GoValue {
    /// `&{text}`
    static func pointer(_ value: JSONValue) -> String { "&{\(text(of: value))}" }

    /// The value as `%v` prints it: `map[a:1 b:[2 3]]`.
    package static func text(of value: JSONValue) -> String {
        switch value {
        case .null: return "<nil>"
        case .string(let text): return text
        case .array(let elements): return "[" + elements.map(text(of:)).joined(separator: " ") + "]"
        case .object(let object):
            let members = object.sorted { $0.key < $1.key }
            return "map[" + members.map { "\($0.key):\(text(of: $0.value))" }.joined(separator: " ") + "]"
        default: return value.description
        }
    }

    static func type(of value: JSONValue) -> String {
        switch value {
        case .null: return "<nil>"
        case .bool: return "bool"
        case .string: return "string"
        case .integer: return "int64"
        case .number: return "float64"
        case .array: return "[]interface {}"
        case .object: return "map[string]interface {}"
        }
    }
}
