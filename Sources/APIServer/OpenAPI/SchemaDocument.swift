import KubernetesAPI
import KubernetesJSON

/// The types of the schema as OpenAPI definitions.
package struct SchemaDocument: Sendable {
    /// Versions 2 and 3 differ in where definitions are and in how a reference carries more than itself.
    package enum Dialect: Sendable, Hashable { case v2, v3 }

    let dialect: Dialect
    let schema: SchemaRegistry

    package init(_ dialect: Dialect, _ schema: SchemaRegistry = .shared) {
        self.dialect = dialect
        self.schema = schema
    }

    private static let meta = "io.k8s.apimachinery.pkg.apis.meta.v1"
    private static let time = meta + ".Time"
    private static let microTime = meta + ".MicroTime"
    private static let duration = meta + ".Duration"
    private static let fields = meta + ".FieldsV1"
    private static let raw = "io.k8s.apimachinery.pkg.runtime.RawExtension"
    private static let quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity"
    private static let intOrString = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

    func reference(_ definition: String) -> String {
        (dialect == .v2 ? "#/definitions/" : "#/components/schemas/") + definition
    }

    /// The definitions that the named types need, by name, sorted.
    package func definitions(roots: [String]) -> JSONObject {
        var found: [String: JSONValue] = [:]
        var waiting = roots
        while let name = waiting.popLast() {
            if let type = schema.type(named: name) {
                guard found[type.definitionName] == nil else { continue }
                found[type.definitionName] = definition(type)
                for field in type.fields { collect(field.type, named: field.name, &waiting, &found) }
            }
        }
        var object = JSONObject()
        for (name, value) in found.sorted(by: { $0.key < $1.key }) { object[name] = value }
        return object
    }

    private func collect(
        _ type: SchemaFieldType, named field: String, _ waiting: inout [String],
        _ found: inout [String: JSONValue]
    ) {
        switch type {
        case .named(let name): waiting.append(name)
        case .array(let element), .map(let element): collect(element, named: field, &waiting, &found)
        case .time: found[Self.time] = text("A time in RFC 3339 form.", format: "date-time")
        case .microTime:
            found[Self.microTime] = text("A time in RFC 3339 form with microseconds.", format: "date-time")
        case .duration: found[Self.duration] = text("A duration such as 1h30m.", format: nil)
        case .quantity: found[Self.quantity] = quantityDefinition
        case .intOrString: found[Self.intOrString] = intOrStringDefinition
        case .raw:
            let name = field == "fieldsV1" ? Self.fields : Self.raw
            found[name] = ["description": "Any JSON object.", "type": "object"]
        default: break
        }
    }

    private func text(_ description: String, format: String?) -> JSONValue {
        var value: JSONValue = ["description": .string(description), "type": "string"]
        if let format { value["format"] = .string(format) }
        return value
    }

    private var quantityDefinition: JSONValue {
        let description: JSONValue = "A number with an optional suffix: 500m, 2, 64Mi, 1e3."
        if dialect == .v2 { return ["description": description, "type": "string"] }
        return ["description": description, "oneOf": [["type": "string"], ["type": "number"]]]
    }

    private var intOrStringDefinition: JSONValue {
        let description: JSONValue = "A number, or a text such as a name or a percentage."
        if dialect == .v2 {
            return ["description": description, "type": "string", "format": "int-or-string"]
        }
        return [
            "description": description, "format": "int-or-string",
            "oneOf": [["type": "integer"], ["type": "string"]],
        ]
    }

    // MARK: One type

    private func definition(_ type: SchemaType) -> JSONValue {
        var properties: [(String, JSONValue)] = type.fields.map { ($0.name, property($0)) }
        if type.kind != nil {
            properties.append(
                (
                    "apiVersion",
                    ["description": "Group and version of the kind, such as apps/v1.", "type": "string"]
                ))
            properties.append(("kind", ["description": "The kind of the object.", "type": "string"]))
        }
        var members = JSONObject()
        for (name, value) in properties.sorted(by: { $0.0 < $1.0 }) { members[name] = value }
        var value: JSONValue = ["description": .string(type.documentation)]
        let required = type.fields.filter(\.declaration.mustBeGiven).map(\.name).sorted()
        if !required.isEmpty { value["required"] = .array(required.map { .string($0) }) }
        value["type"] = "object"
        if !members.isEmpty { value["properties"] = .object(members) }
        if let kind = type.kind {
            value["x-kubernetes-group-version-kind"] = [SchemaDocument.groupVersionKind(kind)]
        }
        if type.isAtomic { value["x-kubernetes-map-type"] = "atomic" }
        return value
    }

    static func groupVersionKind(_ kind: ResourceKind) -> JSONValue {
        [
            "group": .string(kind.group), "kind": .string(kind.kind), "version": .string(kind.version),
        ]
    }

    private func property(_ field: SchemaField) -> JSONValue {
        let declaration = field.declaration
        var value = self.value(field.type, named: field.name)
        if let reference = value["$ref"], dialect == .v3 {
            // Beside a reference nothing else counts (OpenAPI 3.0), so it is wrapped.
            value = ["allOf": [["$ref": reference]]]
        }
        var object = JSONObject()
        object["description"] = .string(declaration.documentation)
        if let members = value.objectValue { for (key, member) in members { object[key] = member } }
        if let text = declaration.defaultValue, let standard = try? JSONValue(json: Array(text.utf8)) {
            object["default"] = standard
        }
        if !declaration.enumeration.isEmpty, case .string = field.type {
            object["enum"] = .array(declaration.enumeration.sorted().map { .string($0) })
        }
        if let list = declaration.listType {
            switch list {
            case .atomic: object["x-kubernetes-list-type"] = "atomic"
            case .set: object["x-kubernetes-list-type"] = "set"
            case .map(let keys):
                object["x-kubernetes-list-map-keys"] = .array(keys.map { .string($0) })
                object["x-kubernetes-list-type"] = "map"
            }
        }
        if declaration.isAtomic { object["x-kubernetes-map-type"] = "atomic" }
        if declaration.isGranular { object["x-kubernetes-map-type"] = "granular" }
        if let key = declaration.mergeKey { object["x-kubernetes-patch-merge-key"] = .string(key) }
        if !declaration.strategies.isEmpty {
            object["x-kubernetes-patch-strategy"] = .string(declaration.strategies.joined(separator: ","))
        }
        return .object(object)
    }

    private func value(_ type: SchemaFieldType, named field: String) -> JSONValue {
        switch type {
        case .string: ["type": "string"]
        case .bool: ["type": "boolean"]
        case .int32: ["type": "integer", "format": "int32"]
        case .int64: ["type": "integer", "format": "int64"]
        case .double: ["type": "number", "format": "double"]
        case .bytes: ["type": "string", "format": "byte"]
        case .time: referring(Self.time)
        case .microTime: referring(Self.microTime)
        case .duration: referring(Self.duration)
        case .quantity: referring(Self.quantity)
        case .intOrString: referring(Self.intOrString)
        case .raw: referring(field == "fieldsV1" ? Self.fields : Self.raw)
        case .array(let element): ["type": "array", "items": value(element, named: field)]
        case .map(let element): ["type": "object", "additionalProperties": value(element, named: field)]
        case .named(let name): referring(schema.type(named: name)?.definitionName ?? name)
        }
    }

    private func referring(_ definition: String) -> JSONValue { ["$ref": .string(reference(definition))] }
}
