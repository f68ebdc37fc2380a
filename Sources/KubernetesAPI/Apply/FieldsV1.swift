import KubernetesJSON

/// FieldsV1, the JSON form of a set of fields in `metadata.managedFields`: an object for each step, with keys
/// like `f:spec`, `k:{"name":"web"}`, `v:"text"` and `i:0`; the key `.` says that the path itself is in the set.
extension FieldSet {
    /// The set in its JSON form.
    public var fieldsV1: JSONValue { fieldsV1(withSelf: false) }

    private func fieldsV1(withSelf: Bool) -> JSONValue {
        var object = JSONObject()
        if withSelf { object["."] = .object(JSONObject()) }
        for node in nodes {
            let isBoth = node.isMember && !node.children.isEmpty
            object[node.step.fieldsV1Key] = node.children.fieldsV1(withSelf: isBoth)
        }
        return .object(object)
    }

    /// Reads a set from its JSON form. Steps of a kind that is not known are left out.
    /// - Throws: `APIError` (400) if a key is no step.
    public init(fieldsV1 value: JSONValue) throws(APIError) {
        self.init()
        guard case .object(let object) = value else {
            if value.isNull { return }
            throw .badRequest("fieldsV1 must be an object, found \(value)")
        }
        for (key, inner) in object where key != "." {
            guard let step = try FieldPath.Step(fieldsV1Key: key) else { continue }
            let children = try FieldSet(fieldsV1: inner)
            // An object that holds nothing is the end of a path.
            let isMember = children.isEmpty || inner["."] != nil
            insert(Node(step: step, isMember: isMember, children: children))
        }
    }
}

extension FieldPath.Step {
    /// The step as a key of FieldsV1.
    var fieldsV1Key: String {
        switch self {
        case .field(let name): return "f:\(name)"
        case .key(let fields):
            var object = JSONObject()
            for field in fields { object[field.name] = field.value }
            return "k:" + Self.escaped(JSONValue.object(object))
        case .value(let value): return "v:" + Self.escaped(value)
        case .index(let index): return "i:\(index)"
        }
    }

    /// Upstream's JSON writer escapes what HTML would take for markup, and such keys are compared as text.
    private static func escaped(_ value: JSONValue) -> String {
        let text = value.description
        guard text.utf8.contains(where: { $0 == 0x3C || $0 == 0x3E || $0 == 0x26 }) else { return text }
        var output = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "<": output += "\\u003c"
            case ">": output += "\\u003e"
            case "&": output += "\\u0026"
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output
    }

    /// Reads a key of FieldsV1; nil for a step of a kind that is not known.
    init?(fieldsV1Key key: String) throws(APIError) {
        let text = key.utf8
        guard text.count >= 2, text[text.index(after: text.startIndex)] == UInt8(ascii: ":"),
            let kind = text.first
        else { throw .badRequest("\(GoText.quoted(key)) is no path element: expected f:, k:, v: or i:") }
        let content = String(Substring(text.dropFirst(2)))
        switch kind {
        case UInt8(ascii: "f"): self = .field(content)
        case UInt8(ascii: "v"): self = .value(try Self.json(content))
        case UInt8(ascii: "k"):
            guard case .object(let object) = try Self.json(content) else {
                throw .badRequest("\(GoText.quoted(key)) is no path element: expected an object after k:")
            }
            let fields = object.map { FieldPath.KeyField($0.key, $0.value) }
            self = .key(fields.count > 1 ? fields.sorted { $0.name < $1.name } : fields)
        case UInt8(ascii: "i"):
            guard let index = Int(content) else {
                throw .badRequest("\(GoText.quoted(key)) is no path element: expected a number after i:")
            }
            self = .index(index)
        default: return nil
        }
    }

    private static func json(_ text: String) throws(APIError) -> JSONValue {
        do {
            return try JSONValue(json: Array(text.utf8))
        } catch {
            throw .badRequest("\(GoText.quoted(text)) in a path element is no JSON: \(error)")
        }
    }
}
