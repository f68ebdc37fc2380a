import KubernetesJSON
import ScenarioFiles
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
        value = JSONValue(yaml: root)
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
}
