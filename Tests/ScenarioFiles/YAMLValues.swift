public import KubernetesJSON
public import Yams

extension JSONValue {
    /// What a YAML node says, with the words for scalars that YAML shares with JSON: a plain `true`, `12` or `null` is
    /// what it looks like, and all else is text.
    public init(yaml node: Yams.Node) {
        switch node {
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, value) in mapping { object[key.string ?? ""] = JSONValue(yaml: value) }
            self = .object(object)
        case .sequence(let sequence):
            self = .array(sequence.map { JSONValue(yaml: $0) })
        case .scalar(let scalar):
            guard scalar.style == .plain else {
                self = .string(scalar.string)
                return
            }
            switch scalar.string {
            case "true": self = true
            case "false": self = false
            case "null", "~", "": self = .null
            default: self = Int64(scalar.string).map { .integer($0) } ?? .string(scalar.string)
            }
        // Composed nodes hold what an alias stands for.
        case .alias:
            self = .null
        }
    }
}
