import KubernetesJSON
import SchemaLanguage

/// What server-side apply has to know of the types: which values are taken as one, and how the elements of lists
/// are told apart. Made of the schema once, since every write asks it.
public struct MergeSchema: Sendable {
    /// The types of the program.
    public static let shared = MergeSchema(.shared)

    /// How a value is merged.
    indirect enum Shape: Sendable {
        /// A text, number or truth value.
        case scalar(Scalar)
        /// Any JSON: objects are merged, all else is taken as one.
        case any
        /// A structure or a map taken as one, and what is in it.
        case atomic(Shape)
        /// A structure, by its place among the structures.
        case structure(Int)
        /// A map, and what its values are.
        case map(Shape)
        /// A list taken as one, and what its elements are.
        case atomicList(Shape)
        /// A list of different scalars.
        case set(Shape)
        /// A list whose elements have keys.
        case keyed([Key], Shape)
    }

    /// The types of scalars that upstream tells apart.
    enum Scalar: Sendable {
        case string, number, bool, any
    }

    /// A key field of the elements of a list.
    struct Key: Sendable {
        let name: String
        /// What an element has that lacks the field.
        let defaultValue: JSONValue?
    }

    /// The fields of a structure.
    struct Structure: Sendable {
        let fields: [String: Shape]
        /// What Go's zero value of the type is in JSON.
        let zero: JSONValue
        /// Whether the type has a field `status`.
        var hasStatus: Bool { fields["status"] != nil }
    }

    private let structures: [Structure]
    private let indexByName: [String: Int]

    /// Makes the merge rules of all types of a registry.
    public init(_ registry: SchemaRegistry) {
        var compiler = Compiler(registry: registry)
        for (index, type) in registry.types.enumerated() {
            compiler.indexByName[type.name] = index
            compiler.types[type.name] = type
        }
        structures = registry.types.map { compiler.structure($0) }
        indexByName = compiler.indexByName
    }

    /// The shape of a type; a type that the registry lacks may be anything.
    func shape(of type: SchemaType) -> Shape {
        guard let index = indexByName[type.name] else { return .any }
        return .structure(index)
    }

    func structure(_ index: Int) -> Structure { structures[index] }

    /// The structure of a type.
    func structure(of type: SchemaType) -> Structure? { indexByName[type.name].map { structures[$0] } }

    /// The shape of a member of an object of a shape, and whether the shape declares it by name.
    @inline(__always)
    func member(_ name: String, of shape: Shape) -> (shape: Shape, isDeclared: Bool) {
        switch shape {
        case .structure(let index):
            if let field = structures[index].fields[name] { return (field, true) }
            return (.any, false)
        case .map(let element): return (element, false)
        case .atomic(let inner): return member(name, of: inner)
        default: return (.any, false)
        }
    }

    /// The step that leads to an element of a list.
    func step(to element: JSONValue, _ shape: Shape) -> FieldPath.Step {
        guard case .keyed(let keys, _) = shape else { return .value(element) }
        var fields: [FieldPath.KeyField] = []
        fields.reserveCapacity(keys.count)
        for key in keys {
            if let value = element[key.name] ?? key.defaultValue {
                fields.append(FieldPath.KeyField(key.name, value))
            }
        }
        return .key(fields)
    }
}

/// Turns types of the schema into shapes.
private struct Compiler {
    let registry: SchemaRegistry
    var indexByName: [String: Int] = [:]
    var types: [String: SchemaType] = [:]
    private static let emptyObject = JSONValue.object(JSONObject())

    func structure(_ type: SchemaType) -> MergeSchema.Structure {
        var fields: [String: MergeSchema.Shape] = [:]
        for field in type.fields { fields[field.name] = shape(field) }
        if type.kind != nil {
            fields["apiVersion"] = .scalar(.string)
            fields["kind"] = .scalar(.string)
        }
        return MergeSchema.Structure(fields: fields, zero: zero(type, depth: 0))
    }

    private func shape(_ field: SchemaField) -> MergeSchema.Shape {
        let declaration = field.declaration
        if case .array(let element) = field.type { return list(declaration, element) }
        let inner = shape(field.type)
        if declaration.isAtomic, !inner.isAtomic { return .atomic(inner) }
        if declaration.isGranular, case .atomic(let parts) = inner { return parts }
        return inner
    }

    private func shape(_ type: FieldType) -> MergeSchema.Shape {
        switch type {
        case .int32, .int64, .double: return .scalar(.number)
        case .bool: return .scalar(.bool)
        case .quantity, .intOrString: return .scalar(.any)
        case .string, .bytes, .time, .microTime, .duration: return .scalar(.string)
        case .raw: return .any
        case .array(let element): return .atomicList(shape(element))
        case .map(let element): return .map(shape(element))
        case .named(let name):
            guard let index = indexByName[name], let type = types[name] else { return .any }
            return type.isAtomic ? .atomic(.structure(index)) : .structure(index)
        }
    }

    private func list(_ field: FieldDeclaration, _ element: FieldType) -> MergeSchema.Shape {
        switch field.listType {
        case .atomic: return .atomicList(shape(element))
        case .set: return .set(shape(element))
        case .map(let names): return keyed(names, element)
        case nil: break
        }
        // Older types say how they merge only by the strategy of their patches.
        guard field.strategies.contains("merge") else { return .atomicList(shape(element)) }
        guard let key = field.mergeKey else { return .set(shape(element)) }
        return keyed([key], element)
    }

    private func keyed(_ names: [String], _ element: FieldType) -> MergeSchema.Shape {
        guard case .named(let name) = element, let type = types[name], let index = indexByName[name] else {
            return .atomicList(shape(element))
        }
        let keys = names.sorted().map { name in
            let text = type.field(name)?.declaration.defaultValue
            return MergeSchema.Key(
                name: name, defaultValue: text.flatMap { try? JSONValue(json: Array($0.utf8)) })
        }
        // Elements of atomic types are owned as one, but found by key all the same.
        return .keyed(keys, type.isAtomic ? .atomic(.structure(index)) : .structure(index))
    }

    /// Upstream compares a new object with the zero value of its Go type, where structures that are no pointers
    /// are there already; nobody owns these.
    private func zero(_ type: SchemaType, depth: Int) -> JSONValue {
        var object = JSONObject()
        guard depth < 8 else { return Self.emptyObject }
        for field in type.fields {
            let declaration = field.declaration
            if declaration.presence == .optional {
                if declaration.isNullable { object[field.name] = .null }
                continue
            }
            switch field.type {
            case .named(let name):
                if let type = types[name] { object[field.name] = zero(type, depth: depth + 1) }
            case .quantity: object[field.name] = "0"
            case .intOrString: object[field.name] = 0
            case .time, .microTime, .array, .map, .raw, .bytes:
                if declaration.presence == .always || declaration.isNullable { object[field.name] = .null }
            case .string, .duration: if declaration.presence == .always { object[field.name] = "" }
            case .int32, .int64, .double: if declaration.presence == .always { object[field.name] = 0 }
            case .bool: if declaration.presence == .always { object[field.name] = false }
            }
        }
        return .object(object)
    }
}

extension MergeSchema.Shape {
    fileprivate var isAtomic: Bool {
        switch self {
        case .atomic, .atomicList, .scalar: return true
        default: return false
        }
    }
}
