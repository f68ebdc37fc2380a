import KubernetesJSON

/// Where two values differ, for messages about fields that may not change.
enum SpecDifference {
    /// One line for each differing field: its path, the old and the new value.
    static func fields(_ old: JSONValue, _ new: JSONValue, path: String = "spec") -> [String] {
        if old == new { return [] }
        switch (old, new) {
        case (.object(let before), .object(let after)):
            let keys = Set(before.map(\.key)).union(after.map(\.key)).sorted()
            return keys.flatMap { fields(before[$0] ?? .null, after[$0] ?? .null, path: "\(path).\($0)") }
        case (.array(let before), .array(let after)) where before.count == after.count:
            return zip(before, after).enumerated().flatMap {
                fields($0.element.0, $0.element.1, path: "\(path)[\($0.offset)]")
            }
        default: return ["\(path): \(old) -> \(new)"]
        }
    }
}
