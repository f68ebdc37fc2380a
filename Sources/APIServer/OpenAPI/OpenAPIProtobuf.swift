import KubernetesJSON

/// The version 2 document as protobuf, message `openapi.v2.Document` of gnostic: the only form in which
/// kubectl before 1.27 asks for it.
package enum OpenAPIProtobuf {
    /// Encodes what `OpenAPIDocuments.v2` holds; members the message lacks are vendor extensions.
    package static func encode(_ document: JSONValue) -> [UInt8] {
        var writer = ProtobufWriter()
        writer.string(1, document["swagger"]?.stringValue ?? "2.0")
        var info = ProtobufWriter()
        info.string(1, document.value(at: "info", "title")?.stringValue ?? "")
        info.string(2, document.value(at: "info", "version")?.stringValue ?? "")
        writer.message(2, info)
        var paths = ProtobufWriter()
        for (path, item) in members(document["paths"]) {
            paths.message(2, named(path, pathItem(item)))
        }
        writer.message(8, paths)
        var definitions = ProtobufWriter()
        for (name, value) in members(document["definitions"]) {
            definitions.message(1, named(name, schema(value)))
        }
        writer.message(9, definitions)
        return writer.bytes
    }

    private static func members(_ value: JSONValue?) -> JSONObject { value?.objectValue ?? JSONObject() }

    /// `NamedX`: a map's entry.
    private static func named(_ name: String, _ value: ProtobufWriter) -> ProtobufWriter {
        var entry = ProtobufWriter()
        entry.string(1, name)
        entry.message(2, value)
        return entry
    }

    /// `Any`: the value as YAML, of which JSON is a part.
    private static func any(_ value: JSONValue) -> ProtobufWriter {
        var writer = ProtobufWriter()
        writer.string(2, value.description + "\n")
        return writer
    }

    private static func extensions(_ value: JSONValue, _ number: Int, _ writer: inout ProtobufWriter) {
        for (key, member) in members(value) where key.hasPrefix("x-") {
            writer.message(number, named(key, any(member)))
        }
    }

    private static func strings(_ value: JSONValue?, _ number: Int, _ writer: inout ProtobufWriter) {
        for element in value?.arrayValue ?? [] { writer.string(number, element.stringValue ?? "") }
    }

    // MARK: Paths

    private static let methods: [(name: String, number: Int)] = [
        ("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("options", 6), ("head", 7), ("patch", 8),
    ]

    private static func pathItem(_ value: JSONValue) -> ProtobufWriter {
        var writer = ProtobufWriter()
        for (name, number) in methods {
            if let operation = value[name] { writer.message(number, self.operation(operation)) }
        }
        for parameter in value["parameters"]?.arrayValue ?? [] {
            writer.message(9, parametersItem(parameter))
        }
        return writer
    }

    private static func operation(_ value: JSONValue) -> ProtobufWriter {
        var writer = ProtobufWriter()
        strings(value["tags"], 1, &writer)
        writer.string(5, value["operationId"]?.stringValue ?? "")
        strings(value["produces"], 6, &writer)
        strings(value["consumes"], 7, &writer)
        for parameter in value["parameters"]?.arrayValue ?? [] {
            writer.message(8, parametersItem(parameter))
        }
        var responses = ProtobufWriter()
        for (code, response) in members(value["responses"]) {
            var body = ProtobufWriter()
            body.string(1, response["description"]?.stringValue ?? "")
            if let schema = response["schema"] {
                var item = ProtobufWriter()
                item.message(1, self.schema(schema))
                body.message(2, item)
            }
            var choice = ProtobufWriter()
            choice.message(1, body)
            responses.message(1, named(code, choice))
        }
        writer.message(9, responses)
        strings(value["schemes"], 10, &writer)
        extensions(value, 13, &writer)
        return writer
    }

    private static func parametersItem(_ value: JSONValue) -> ProtobufWriter {
        var parameter = ProtobufWriter()
        let place = value["in"]?.stringValue ?? ""
        if place == "body" {
            var body = ProtobufWriter()
            body.string(2, value["name"]?.stringValue ?? "")
            body.string(3, place)
            body.bool(4, value["required"]?.boolValue ?? false)
            if let schema = value["schema"] { body.message(5, self.schema(schema)) }
            parameter.message(1, body)
        } else {
            // The two places differ only in the numbers behind allow_empty_value, which paths lack.
            let isPath = place == "path"
            var plain = ProtobufWriter()
            if value["required"]?.boolValue == true { plain.bool(1, true) }
            plain.string(2, place)
            plain.string(3, value["description"]?.stringValue ?? "")
            plain.string(4, value["name"]?.stringValue ?? "")
            plain.string(isPath ? 5 : 6, value["type"]?.stringValue ?? "string")
            if value["uniqueItems"]?.boolValue == true { plain.bool(isPath ? 19 : 20, true) }
            var choice = ProtobufWriter()
            choice.message(isPath ? 4 : 3, plain)
            parameter.message(2, choice)
        }
        var item = ProtobufWriter()
        item.message(1, parameter)
        return item
    }

    // MARK: Definitions

    private static func schema(_ value: JSONValue) -> ProtobufWriter {
        var writer = ProtobufWriter()
        if let reference = value["$ref"]?.stringValue { writer.string(1, reference) }
        if let format = value["format"]?.stringValue { writer.string(2, format) }
        if let text = value["description"]?.stringValue { writer.string(4, text) }
        if let standard = value["default"] { writer.message(5, any(standard)) }
        strings(value["required"], 19, &writer)
        for element in value["enum"]?.arrayValue ?? [] { writer.message(20, any(element)) }
        if let inner = value["additionalProperties"] {
            var item = ProtobufWriter()
            item.message(1, schema(inner))
            writer.message(21, item)
        }
        if let type = value["type"]?.stringValue {
            var item = ProtobufWriter()
            item.string(1, type)
            writer.message(22, item)
        }
        if let inner = value["items"] {
            var item = ProtobufWriter()
            item.message(1, schema(inner))
            writer.message(23, item)
        }
        if let properties = value["properties"] {
            var map = ProtobufWriter()
            for (name, property) in members(properties) { map.message(1, named(name, schema(property))) }
            writer.message(25, map)
        }
        extensions(value, 31, &writer)
        return writer
    }
}
