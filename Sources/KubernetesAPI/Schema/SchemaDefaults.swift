import KubernetesJSON
import SchemaLanguage

/// The defaults that the schema declares: those that hold whatever the other fields are.
public enum SchemaDefaults {
    /// Fills in absent fields. A field of a structure that is absent itself stays absent.
    public static func apply(
        to value: inout JSONValue, _ type: SchemaType, registry: SchemaRegistry = .shared
    ) {
        guard case .object(var object) = value else { return }
        value = .null
        for field in type.fields {
            if let text = field.declaration.defaultValue, isAbsent(object[field.name], field) {
                if let filled = try? JSONValue(json: Array(text.utf8)) { object[field.name] = filled }
            }
            guard contains(field.type, registry), var member = object[field.name] else { continue }
            object[field.name] = .null
            apply(to: &member, field.type, registry)
            object[field.name] = member
        }
        value = .object(object)
    }

    /// Upstream defaults what has the zero value of its Go type: a pointer that is nil, a text that is empty.
    private static func isAbsent(_ value: JSONValue?, _ field: SchemaField) -> Bool {
        guard let value, !value.isNull else { return true }
        if field.declaration.presence == .optional { return false }
        switch value {
        case .string(let text): return text.isEmpty
        case .integer(let number): return number == 0
        case .bool(let truth): return !truth
        default: return false
        }
    }

    private static func contains(_ type: FieldType, _ registry: SchemaRegistry) -> Bool {
        switch type {
        case .named: return true
        case .array(let element), .map(let element): return contains(element, registry)
        default: return false
        }
    }

    private static func apply(to value: inout JSONValue, _ type: FieldType, _ registry: SchemaRegistry) {
        switch type {
        case .named(let name):
            if let inner = registry.type(named: name) { apply(to: &value, inner, registry: registry) }
        case .array(let element):
            guard case .array(var elements) = value else { return }
            value = .null
            for index in elements.indices { apply(to: &elements[index], element, registry) }
            value = .array(elements)
        case .map(let element):
            guard case .object(var members) = value else { return }
            value = .null
            for key in members.keys {
                guard var member = members[key] else { continue }
                apply(to: &member, element, registry)
                members[key] = member
            }
            value = .object(members)
        default: return
        }
    }
}
