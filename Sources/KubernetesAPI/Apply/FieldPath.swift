import KubernetesJSON

/// The way from an object to one of its fields or list elements.
public struct FieldPath: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// One step of the way.
    public enum Step: Sendable, Hashable, Comparable {
        /// A field of a structure, or an entry of a map.
        case field(String)
        /// The element of a list whose key fields have these values; sorted by name.
        case key([KeyField])
        /// The element of a set that is this value.
        case value(JSONValue)
        /// The element of a list at this place.
        case index(Int)
    }

    /// A key field of a list element.
    public struct KeyField: Sendable, Hashable {
        /// The name of the field.
        public var name: String
        /// What the field is.
        public var value: JSONValue

        /// Makes a key field.
        public init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// The steps, the outermost first.
    public var steps: [Step]

    /// Makes a path of steps.
    public init(_ steps: [Step]) { self.steps = steps }

    /// Makes a path of names of fields.
    public init(_ names: String...) { steps = names.map { .field($0) } }

    /// The path as conflicts show it: `.spec.containers[name="web"].image`.
    public var description: String {
        var text = ""
        for step in steps { text += step.description }
        return text
    }

    public static func < (left: FieldPath, right: FieldPath) -> Bool {
        left.steps.lexicographicallyPrecedes(right.steps)
    }
}

extension FieldPath.Step: CustomStringConvertible {
    /// `.name`, `[name="web",port=80]`, `[="value"]` or `[0]`.
    public var description: String {
        switch self {
        case .field(let name): return ".\(name)"
        case .key(let fields):
            return "[" + fields.map { "\($0.name)=\(Self.text(of: $0.value))" }.joined(separator: ",") + "]"
        case .value(let value): return "[=\(Self.text(of: value))]"
        case .index(let index): return "[\(index)]"
        }
    }

    private static func text(of value: JSONValue) -> String {
        if case .string(let text) = value { return GoText.quoted(text) }
        return value.description
    }

    /// Fields come first, then elements by key, by value and by place, as upstream writes them.
    public static func < (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.field(let left), .field(let right)): return left < right
        case (.key(let left), .key(let right)):
            for (left, right) in zip(left, right) {
                if left.name != right.name { return left.name < right.name }
                if left.value != right.value { return precedes(left.value, right.value) }
            }
            return left.count < right.count
        case (.value(let left), .value(let right)): return precedes(left, right)
        case (.index(let left), .index(let right)): return left < right
        default: return left.rank < right.rank
        }
    }

    private var rank: Int {
        switch self {
        case .field: return 0
        case .key: return 1
        case .value: return 2
        case .index: return 3
        }
    }

    /// Numbers come before texts, and these before truth values; anything else is ordered by its JSON.
    private static func precedes(_ left: JSONValue, _ right: JSONValue) -> Bool {
        func rank(_ value: JSONValue) -> Int {
            switch value {
            case .integer, .number: return 0
            case .string: return 1
            case .bool: return 2
            case .array: return 3
            case .object: return 4
            case .null: return 5
            }
        }
        switch (left, right) {
        case (.integer(let left), .integer(let right)): return left < right
        case (.string(let left), .string(let right)): return left < right
        case (.bool(let left), .bool(let right)): return !left && right
        default:
            if let left = left.doubleValue, let right = right.doubleValue { return left < right }
            let (first, second) = (rank(left), rank(right))
            return first == second ? left.description < right.description : first < second
        }
    }
}
