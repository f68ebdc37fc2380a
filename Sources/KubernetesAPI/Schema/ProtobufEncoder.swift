import KubernetesJSON
import SchemaLanguage

/// Writes messages by the schema.
struct ProtobufEncoder {
    let registry: SchemaRegistry

    /// Writes the fields of a type, or of a type inlined in it, which `path` leads to.
    func structure(
        _ object: JSONObject, _ type: SchemaType, _ path: [Int]
    ) throws(ProtobufError) -> ProtobufWriter {
        var writer = ProtobufWriter()
        var inlined: [Int] = []
        for field in type.fields {
            if field.protobufPath.count > path.count, field.protobufPath.starts(with: path) {
                let number = field.protobufPath[path.count]
                if !inlined.contains(number) { inlined.append(number) }
            }
            guard field.protobufPath == path, let value = object[field.name], !value.isNull else { continue }
            switch field.type {
            case .array(let element):
                guard case .array(let elements) = value else { throw wrong(value, field.name, "an array") }
                for inner in elements { try self.value(inner, element, field.number, field.name, &writer) }
            case .map(let element):
                guard case .object(let members) = value else { throw wrong(value, field.name, "an object") }
                for (key, inner) in members {
                    var entry = ProtobufWriter()
                    entry.string(1, key)
                    try self.value(inner, element, 2, field.name, &entry)
                    writer.message(field.number, entry)
                }
            default: try self.value(value, field.type, field.number, field.name, &writer)
            }
        }
        for number in inlined { writer.message(number, try structure(object, type, path + [number])) }
        return writer
    }

    private func wrong(_ value: JSONValue, _ name: String, _ expected: String) -> ProtobufError {
        ProtobufError(
            code: .invalidValue, message: "field \(name): expected \(expected), found \(value)", offset: 0)
    }

    private func integer(_ value: JSONValue, _ name: String) throws(ProtobufError) -> Int {
        guard let number = value.integerValue else { throw wrong(value, name, "a whole number") }
        return number
    }

    private func text(_ value: JSONValue, _ name: String) throws(ProtobufError) -> String {
        guard let text = value.stringValue else { throw wrong(value, name, "a string") }
        return text
    }

    private func value(
        _ value: JSONValue, _ type: FieldType, _ number: Int, _ name: String, _ writer: inout ProtobufWriter
    ) throws(ProtobufError) {
        switch type {
        case .string: writer.string(number, value.isNull ? "" : try text(value, name))
        case .int32, .int64: writer.int(number, try integer(value, name))
        case .bool:
            guard let truth = value.boolValue else { throw wrong(value, name, "true or false") }
            writer.bool(number, truth)
        case .double:
            guard let double = value.doubleValue else { throw wrong(value, name, "a number") }
            writer.double(number, double)
        case .bytes:
            guard let bytes = Base64.decode(value.isNull ? "" : try text(value, name)) else {
                throw wrong(value, name, "base64")
            }
            writer.data(number, bytes)
        case .named(let inner):
            guard let type = registry.type(named: inner) else { return }
            guard value.isNull || value.objectValue != nil else { throw wrong(value, name, "an object") }
            writer.message(number, try structure(value.objectValue ?? JSONObject(), type, []))
        case .array(let element):
            var list = ProtobufWriter()
            for item in value.arrayValue ?? [] { try self.value(item, element, 1, name, &list) }
            writer.message(number, list)
        case .map: throw wrong(value, name, "no map inside a map")
        default: writer.message(number, try special(value, type, name))
        }
    }

    /// Types with a wire form of their own.
    private func special(
        _ value: JSONValue, _ type: FieldType, _ name: String
    ) throws(ProtobufError) -> ProtobufWriter {
        var message = ProtobufWriter()
        if value.isNull { return message }
        switch type {
        case .time:
            guard let time = Time(try text(value, name)) else { throw wrong(value, name, "a time") }
            message.int(1, time.seconds)
            message.int(2, 0)
        case .microTime:
            guard let time = CivilTime(parsing: try text(value, name)) else {
                throw wrong(value, name, "a time")
            }
            message.int(1, time.seconds)
            message.int(2, time.nanoseconds / 1000 * 1000)
        case .duration:
            guard let span = MetaDuration(try text(value, name)) else {
                throw wrong(value, name, "a duration")
            }
            message.int(1, span.nanoseconds)
        case .quantity:
            do {
                message.string(1, try Quantity(value).description)
            } catch {
                throw wrong(value, name, "a quantity")
            }
        case .intOrString:
            if let text = value.stringValue {
                message.int(1, 1)
                message.int(2, 0)
                message.string(3, text)
            } else {
                message.int(1, 0)
                message.int(2, try integer(value, name))
                message.string(3, "")
            }
        default: message.data(1, value.json())
        }
        return message
    }
}
