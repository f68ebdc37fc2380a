import KubernetesJSON

/// Looks for what is wrong with an applied configuration: fields that the schema lacks, values of a wrong type,
/// and elements of lists that cannot be told apart. Says it in upstream's words.
struct ConfigurationCheck {
    let walk: ObjectWalk
    private(set) var problems: [String] = []
    private var path: [FieldPath.Step] = []

    init(_ walk: ObjectWalk) { self.walk = walk }

    /// All problems as one text; nil if there are none.
    var message: String? {
        guard let first = problems.first else { return nil }
        return problems.count == 1 ? first : "errors:\n" + problems.map { "  \($0)" }.joined(separator: "\n")
    }

    private mutating func report(_ problem: String) {
        let place = FieldPath(path).description
        problems.append(place.isEmpty ? problem : "\(place): \(problem)")
    }

    private mutating func inside(_ step: FieldPath.Step, _ body: (inout Self) -> Void) {
        path.append(step)
        body(&self)
        path.removeLast()
    }

    mutating func check(_ value: JSONValue, _ shape: MergeSchema.Shape) {
        if case .null = value { return }
        switch shape {
        case .scalar(let scalar): check(value, scalar)
        case .any: return
        case .atomic(let inner): check(value, inner)
        case .structure, .map:
            guard case .object(let object) = value else {
                report("expected map, got \(GoValue.pointer(value))")
                return
            }
            check(object, shape)
        case .atomicList(let inner):
            guard let elements = list(value) else { return }
            for (index, element) in elements.enumerated() {
                inside(.index(index)) { $0.check(element, inner) }
            }
        case .set(let inner), .keyed(_, let inner):
            guard let elements = list(value) else { return }
            check(elements, shape, inner)
        }
    }

    private mutating func list(_ value: JSONValue) -> [JSONValue]? {
        if case .array(let elements) = value { return elements }
        report("expected list, got \(GoValue.pointer(value))")
        return nil
    }

    private mutating func check(_ object: JSONObject, _ shape: MergeSchema.Shape) {
        for (name, member) in object {
            let (inner, isDeclared) = walk.schema.member(name, of: shape)
            if case .structure = shape, !isDeclared {
                inside(.field(name)) { $0.report("field not declared in schema") }
                return
            }
            inside(.field(name)) { $0.check(member, inner) }
        }
    }

    private mutating func check(
        _ elements: [JSONValue], _ shape: MergeSchema.Shape, _ inner: MergeSchema.Shape
    ) {
        var seen: Set<FieldPath.Step> = []
        for (index, element) in elements.enumerated() {
            if let problem = problem(with: element, shape) {
                report("element \(index): \(problem)")
                return
            }
            let step = walk.schema.step(to: element, shape)
            if !seen.insert(step).inserted { report("duplicate entries for key \(step)") }
            inside(step) { $0.check(element, inner) }
        }
    }

    /// Why an element has no key.
    private func problem(with element: JSONValue, _ shape: MergeSchema.Shape) -> String? {
        guard case .keyed(let keys, _) = shape else {
            switch element {
            case .object: return "associative list without keys has an element that's a map type"
            case .array: return "not supported: associative list with lists as elements"
            case .null: return "associative list without keys has an element that's an explicit null"
            default: return nil
            }
        }
        switch element {
        case .null: return "associative list with keys may not have a null element"
        case .object: break
        default: return "associative list with keys may not have non-map elements"
        }
        guard case .key(let fields) = walk.schema.step(to: element, shape), fields.isEmpty else { return nil }
        let names = keys.map { GoText.quoted($0.name) }.joined(separator: " ")
        return "associative list with keys has an element that omits all key fields [\(names)] "
            + "(and doesn't have default values for any key fields)"
    }

    private mutating func check(_ value: JSONValue, _ scalar: MergeSchema.Scalar) {
        switch (scalar, value) {
        case (.string, .string), (.number, .integer), (.number, .number), (.bool, .bool), (.any, .string),
            (.any, .integer), (.any, .number), (.any, .bool):
            return
        case (.string, _):
            report("expected string, got &value.valueUnstructured{Value:\(GoValue.text(of: value))}")
        case (.number, _): report("expected numeric (int or float), got \(GoValue.type(of: value))")
        case (.bool, _): report("expected boolean, got \(GoValue.pointer(value))")
        case (.any, _): report("expected any scalar, got \(GoValue.pointer(value))")
        }
    }
}
