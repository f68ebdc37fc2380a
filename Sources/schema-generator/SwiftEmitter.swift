import SchemaLanguage

/// Writes the Swift of one type: properties, initialisers, JSON in and out.
struct SwiftEmitter {
    private let type: TypeDeclaration
    private let layout: TypeLayout
    private let fields: [FieldDeclaration]
    /// Lists that must be written are `null` when empty, as upstream, except in what the server itself says.
    private let emptyListsAreNull: Bool

    init(_ type: TypeDeclaration, _ layout: TypeLayout) {
        self.type = type
        self.layout = layout
        self.fields = layout.fields(of: type)
        self.emptyListsAreNull =
            !type.package.hasSuffix("meta.v1") && !type.package.hasPrefix("io.k8s.api.apidiscovery")
    }

    private var conformance: String {
        guard type.kind != nil else { return "JSONCodable" }
        let isObject = fields.contains { $0.name == "metadata" && $0.type == .named("ObjectMeta") }
        return isObject ? "KubernetesObject" : "KubernetesKind"
    }

    func text() -> String {
        var lines: [String] = ["/// \(type.documentation)"]
        lines.append("public struct \(type.swiftName): \(conformance) {")
        if let kind = type.kind { lines += resource(kind) }
        for field in fields { lines += property(field) }
        lines += initializers()
        lines += reading()
        lines += writing()
        return lines.joined(separator: "\n") + "\n}\n"
    }

    private func resource(_ kind: KindDeclaration) -> [String] {
        func list(_ values: [String]) -> String {
            "[" + values.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
        }
        return [
            "    public static let resource = ResourceKind(",
            "        group: \"\(kind.group)\", version: \"\(kind.version)\", kind: \"\(type.name)\",",
            "        plural: \"\(kind.plural)\", singular: \"\(kind.singular)\",",
            "        shortNames: \(list(kind.shortNames)), categories: \(list(kind.categories)),",
            "        isNamespaced: \(kind.isNamespaced))", "",
        ]
    }

    // MARK: Properties

    static func swiftType(_ type: FieldType) -> String {
        switch type {
        case .string: return "String"
        case .int32, .int64: return "Int"
        case .bool: return "Bool"
        case .double: return "Double"
        case .bytes: return "[UInt8]"
        case .time: return "Time"
        case .microTime: return "MicroTime"
        case .quantity: return "Quantity"
        case .intOrString: return "IntOrString"
        case .duration: return "MetaDuration"
        case .raw: return "JSONValue"
        case .array(let element): return "[\(swiftType(element))]"
        case .map(let value): return "[String: \(swiftType(value))]"
        case .named(let name): return name
        }
    }

    private func isOptional(_ field: FieldDeclaration) -> Bool {
        switch field.type {
        case .time, .microTime: return true
        case .map, .bytes: return false
        default: return field.presence == .optional
        }
    }

    private func propertyType(_ field: FieldDeclaration) -> String {
        Self.swiftType(field.type) + (isOptional(field) ? "?" : "")
    }

    private func zero(_ field: FieldDeclaration) -> String {
        if isOptional(field) { return "nil" }
        switch field.type {
        case .string: return "\"\""
        case .int32, .int64, .double: return "0"
        case .bool: return "false"
        case .bytes, .array: return "[]"
        case .map: return "[:]"
        case .raw: return ".null"
        default: return Self.swiftType(field.type) + "()"
        }
    }

    private static let reserved: Set<String> = [
        "as", "break", "case", "catch", "class", "continue", "default", "defer", "do", "else", "enum",
        "extension", "fallthrough", "false", "for", "func", "guard", "if", "import", "in", "init", "inout",
        "internal", "is", "let", "nil", "operator", "private", "protocol", "public", "repeat", "return",
        "self", "static", "struct", "subscript", "super", "switch", "throw", "true", "try", "var", "where",
        "while",
    ]

    /// The JSON name without what Swift does not allow, and its form where a name stands.
    private func bareName(_ field: FieldDeclaration) -> String {
        String(field.name.map { $0.isLetter || $0.isNumber ? $0 : "_" })
    }

    private func name(_ field: FieldDeclaration) -> String {
        let name = bareName(field)
        return Self.reserved.contains(name) ? "`\(name)`" : name
    }

    private func property(_ field: FieldDeclaration) -> [String] {
        var lines = ["    /// \(field.documentation)"]
        guard layout.isBoxed(field) else {
            return lines + ["    public var \(name(field)): \(propertyType(field)) = \(zero(field))"]
        }
        let box = isOptional(field) ? "OptionalBox" : "Box"
        lines += [
            "    public var \(name(field)): \(propertyType(field)) {",
            "        _read { yield _\(bareName(field)).value }",
            "        _modify { yield &_\(bareName(field)).value }",
            "    }",
            "    private var _\(bareName(field)): \(box)<\(Self.swiftType(field.type))> = .init()",
        ]
        return lines
    }

    private func initializers() -> [String] {
        var lines = ["", "    /// Makes a value whose fields are all empty.", "    public init() {}"]
        if fields.isEmpty { return lines }
        lines += ["", "    /// Makes a value of its fields.", "    public init("]
        for (index, field) in fields.enumerated() {
            let comma = index + 1 < fields.count ? "," : ""
            lines.append("        \(name(field)): \(propertyType(field)) = \(zero(field))\(comma)")
        }
        lines.append("    ) {")
        for field in fields {
            if layout.isBoxed(field) {
                lines.append("        self._\(bareName(field)) = .init(\(name(field)))")
            } else {
                lines.append("        self.\(name(field)) = \(name(field))")
            }
        }
        lines.append("    }")
        return lines
    }

    // MARK: Reading

    private func reading() -> [String] {
        var lines = [
            "", "    public init(reading reader: inout JSONReader) throws(JSONError) {",
            "        guard try reader.beginObject() else { return }",
            "        while try reader.nextKey() {",
        ]
        var byLength: [Int: [FieldDeclaration]] = [:]
        for field in fields { byLength[field.name.utf8.count, default: []].append(field) }
        if !fields.isEmpty {
            lines.append("            switch reader.keyLength {")
            for length in byLength.keys.sorted() {
                lines.append("            case \(length):")
                for field in byLength[length] ?? [] {
                    lines.append("                if reader.isKey(\"\(field.name)\") {")
                    lines += readStatements(field).map { "                    " + $0 }
                    lines += ["                    continue", "                }"]
                }
            }
            lines += ["            default: break", "            }"]
        }
        return lines + ["            try reader.skipValue()", "        }", "    }"]
    }

    private func readStatements(_ field: FieldDeclaration) -> [String] {
        let target = layout.isBoxed(field) ? "_\(bareName(field)).value" : "self.\(name(field))"
        if isOptional(field) {
            return ["if try reader.readNull() {", "    \(target) = nil", "} else {"]
                + readStatements(target, field.type).map { "    " + $0 } + ["}"]
        }
        if layout.isBoxed(field) { return ["_\(bareName(field)) = .init(\(readExpression(field.type)))"] }
        return readStatements(target, field.type)
    }

    private func readStatements(_ target: String, _ type: FieldType) -> [String] {
        switch type {
        case .array(.string), .array(.int32), .array(.int64), .map(.string):
            return ["\(target) = \(readExpression(type))"]
        case .array(let element):
            return [
                "var elements: \(Self.swiftType(type)) = []",
                "if try reader.beginArray() {",
                "    while try reader.nextElement() { elements.append(\(readExpression(element))) }",
                "}",
                "\(target) = elements",
            ]
        case .map(let value):
            return [
                "var members: \(Self.swiftType(type)) = [:]",
                "if try reader.beginObject() {",
                "    while try reader.nextKey() {",
                "        let key = try reader.keyString()",
                "        members[key] = \(readExpression(value))",
                "    }",
                "}",
                "\(target) = members",
            ]
        default: return ["\(target) = \(readExpression(type))"]
        }
    }

    private func readExpression(_ type: FieldType) -> String {
        switch type {
        case .string: return "try reader.string()"
        case .int32: return "try reader.int32()"
        case .int64: return "try reader.int()"
        case .bool: return "try reader.bool()"
        case .double: return "try reader.double()"
        case .bytes: return "try reader.base64()"
        case .raw: return "try reader.value()"
        case .array(.string): return "try reader.strings()"
        case .array(.int32), .array(.int64): return "try reader.ints()"
        case .map(.string): return "try reader.stringMap()"
        default: return "try \(Self.swiftType(type))(reading: &reader)"
        }
    }

    // MARK: Writing

    private func writing() -> [String] {
        var lines = [
            "", "    public func write(to writer: inout JSONWriter) {", "        writer.beginObject()",
        ]
        if let kind = type.kind {
            let version = kind.group.isEmpty ? kind.version : "\(kind.group)/\(kind.version)"
            lines += [
                "        writer.key(\"kind\")", "        writer.string(\"\(type.name)\")",
                "        writer.key(\"apiVersion\")", "        writer.string(\"\(version)\")",
            ]
        }
        for field in fields { lines += writeField(field).map { "        " + $0 } }
        return lines + ["        writer.endObject()", "    }"]
    }

    private func writeField(_ field: FieldDeclaration) -> [String] {
        let property = "self.\(name(field))"
        let key = "writer.key(\"\(field.name)\")"
        if isOptional(field) {
            let isTime = field.type == .time || field.type == .microTime
            let writesNull = field.isNullable || (isTime && field.presence != .optional)
            var lines = ["if let value = \(property) {", "    \(key)"]
            lines += write("value", field.type).map { "    " + $0 }
            if writesNull { lines += ["} else {", "    \(key)", "    writer.null()"] }
            return lines + ["}"]
        }
        let present: String?
        switch field.type {
        case .string, .bytes, .array, .map: present = "!\(property).isEmpty"
        case .int32, .int64, .double: present = "\(property) != 0"
        case .bool: present = property
        case .raw: present = "!\(property).isNull"
        default: present = nil
        }
        if field.presence != .always, let present {
            return ["if \(present) {", "    \(key)"] + write(property, field.type).map { "    " + $0 } + ["}"]
        }
        switch field.type {
        case .bytes, .array, .map:
            guard emptyListsAreNull else { break }
            return [key, "if \(property).isEmpty {", "    writer.null()", "} else {"]
                + write(property, field.type).map { "    " + $0 } + ["}"]
        default: break
        }
        return [key] + write(property, field.type)
    }

    private func write(_ value: String, _ type: FieldType) -> [String] {
        switch type {
        case .string: return ["writer.string(\(value))"]
        case .int32, .int64: return ["writer.int(\(value))"]
        case .bool: return ["writer.bool(\(value))"]
        case .double: return ["writer.double(\(value))"]
        case .bytes: return ["writer.base64(\(value))"]
        case .array(.string): return ["writer.strings(\(value))"]
        case .array(.int32), .array(.int64): return ["writer.ints(\(value))"]
        case .map(.string): return ["writer.stringMap(\(value))"]
        case .array(let element):
            return ["writer.beginArray()", "for element in \(value) {"]
                + write("element", element).map { "    " + $0 } + ["}", "writer.endArray()"]
        case .map(let element):
            return [
                "writer.beginObject()",
                "for (key, member) in \(value).sorted(by: { $0.key < $1.key }) {", "    writer.key(key)",
            ] + write("member", element).map { "    " + $0 } + ["}", "writer.endObject()"]
        default: return ["\(value).write(to: &writer)"]
        }
    }
}
