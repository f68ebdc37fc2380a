import KubernetesJSON
import Yams

/// What stands in a scenario file.
struct ScenarioContent {
    struct Mistake: Error, CustomStringConvertible {
        let description: String
    }

    let name: String
    let value: JSONValue

    init(name: String, yaml: String) throws {
        self.name = name
        guard let root = try Yams.compose(yaml: yaml) else {
            throw Mistake(description: "\(name): a scenario is no empty file")
        }
        value = Self.value(root)
    }

    func steps() throws -> [JSONValue] {
        guard let steps = value["steps"]?.arrayValue, !steps.isEmpty else {
            throw Mistake(description: "\(name): a scenario has a list of steps")
        }
        return steps
    }

    /// - Throws: ``Mistake`` when there is a key in the object that means nothing.
    static func check(_ object: JSONValue, _ words: Set<String>, _ what: String) throws {
        for (key, _) in object.objectValue ?? [:] where !words.contains(key) {
            throw Mistake(description: "\(what): \"\(key)\" is no word here")
        }
    }

    /// The JSON value of a YAML node.
    private static func value(_ node: Yams.Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, item) in mapping { object[key.string ?? ""] = value(item) }
            return .object(object)
        case .sequence(let sequence): return .array(sequence.map(value))
        case .scalar(let scalar):
            if scalar.style != .plain { return .string(scalar.string) }
            if let number = Int64(scalar.string) { return .integer(number) }
            switch scalar.string {
            case "true": return true
            case "false": return false
            case "null", "~", "": return .null
            default: return .string(scalar.string)
            }
        case .alias: return .null
        }
    }
}
