extension SchemaFile {
    /// Parses the text of an `.api` file. The language is described in `Schema/README.md`.
    public init(parsing text: String) throws(SchemaError) {
        self.init()
        var parser = SchemaParser()
        var number = 0
        for line in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            try parser.read(LineScanner(Array(line), line: number))
        }
        if let type = parser.current {
            throw SchemaError(message: "\(type.name) lacks its closing brace", line: number)
        }
        types = parser.types
    }
}

/// The state between lines.
struct SchemaParser {
    var types: [TypeDeclaration] = []
    var current: TypeDeclaration?
    private var package = ""
    private var group = ""
    private var version = ""
    private var names: Set<String> = []
    private var fieldNumbers: Set<Int> = []
    private var fieldNames: Set<String> = []

    mutating func read(_ start: LineScanner) throws(SchemaError) {
        var line = start
        if line.isAtEnd { return }
        if current != nil {
            try readField(&line)
        } else {
            try readDeclaration(&line)
        }
        if !line.isAtEnd { throw line.error("unexpected text at the end of the line") }
    }

    // MARK: Outside of types

    private mutating func readDeclaration(_ line: inout LineScanner) throws(SchemaError) {
        let word = try line.word("a declaration")
        switch word {
        case "package": package = try line.word("a package name")
        case "group":
            group = try line.quoted()
            guard try line.word("version") == "version" else { throw line.error("expected version") }
            version = try line.word("a version")
        case "type", "kind":
            try readType(&line, isKind: word == "kind")
        default: throw line.error("expected package, group, type or kind, found \(word)")
        }
    }

    private mutating func readType(_ line: inout LineScanner, isKind: Bool) throws(SchemaError) {
        var type = TypeDeclaration()
        var kind = KindDeclaration()
        type.name = try line.word("a type name")
        type.swiftName = type.name
        type.package = package
        kind.group = group
        kind.version = version
        while line.startsWord {
            let word = try line.word("an attribute")
            switch word {
            case "swift": type.swiftName = try line.word("a Swift type name")
            case "structType":
                guard try line.parenthesised() == "atomic" else { throw line.error("expected (atomic)") }
                type.isAtomic = true
            case "plural": kind.plural = try line.word("a plural")
            case "singular": kind.singular = try line.word("a singular")
            case "short": kind.shortNames = Self.list(try line.word("short names"))
            case "categories": kind.categories = Self.list(try line.word("categories"))
            case "namespaced": kind.isNamespaced = true
            case "version": kind.version = try line.word("a version")
            case "group": kind.group = try line.quoted()
            default: throw line.error("unknown attribute \(word) of a type")
            }
        }
        if line.startsQuote { type.documentation = try line.quoted() }
        if isKind { type.kind = kind }
        guard names.insert(type.swiftName).inserted else {
            throw line.error("\(type.swiftName) is declared twice")
        }
        guard line.take("{") else { throw line.error("expected {") }
        if line.take("}") {
            types.append(type)
            return
        }
        fieldNumbers = []
        fieldNames = []
        current = type
    }

    // MARK: Inside a type

    private mutating func readField(_ line: inout LineScanner) throws(SchemaError) {
        if line.take("}") {
            if let type = current { types.append(type) }
            current = nil
            return
        }
        var field = FieldDeclaration()
        if line.startsWord {
            guard try line.word("a field") == "inline" else {
                throw line.error("expected a field number, inline or }")
            }
            field.isInline = true
        }
        field.number = try line.number()
        if field.isInline {
            field.name = try line.word("a type name")
            field.type = .named(field.name)
        } else {
            field.name = try line.word("a field name")
            field.type = try readFieldType(&line, depth: 0)
        }
        if line.take("?") {
            field.presence = .nonEmpty
        } else if line.take("*") {
            field.presence = .optional
        }
        while line.startsWord { try readAttribute(&line, &field) }
        if line.startsQuote { field.documentation = try line.quoted() }
        guard field.number == 0 || fieldNumbers.insert(field.number).inserted else {
            throw line.error("field number \(field.number) is used twice")
        }
        guard fieldNames.insert(field.name).inserted else {
            throw line.error("field \(field.name) is declared twice")
        }
        current?.fields.append(field)
    }

    private func readFieldType(_ line: inout LineScanner, depth: Int) throws(SchemaError) -> FieldType {
        guard depth < 8 else { throw line.error("the type is nested too deep") }
        if line.take("[") {
            let element = try readFieldType(&line, depth: depth + 1)
            guard line.take("]") else { throw line.error("expected ]") }
            return .array(element)
        }
        let name = try line.word("a type")
        switch name {
        case "string": return .string
        case "int32": return .int32
        case "int64": return .int64
        case "bool": return .bool
        case "double": return .double
        case "bytes": return .bytes
        case "Time": return .time
        case "MicroTime": return .microTime
        case "Quantity": return .quantity
        case "IntOrString": return .intOrString
        case "Duration": return .duration
        case "Raw": return .raw
        case "map":
            guard line.take("<") else { throw line.error("expected <") }
            let value = try readFieldType(&line, depth: depth + 1)
            guard line.take(">") else { throw line.error("expected >") }
            return .map(value)
        default: return .named(name)
        }
    }

    private func readAttribute(
        _ line: inout LineScanner, _ field: inout FieldDeclaration
    ) throws(SchemaError) {
        let word = try line.word("an attribute")
        switch word {
        case "optional": field.isOptional = true
        case "required": field.isRequired = true
        case "nullable": field.isNullable = true
        case "deprecated": field.isDeprecated = true
        case "default": field.defaultValue = try line.parenthesised()
        case "enum":
            field.enumeration = try line.parenthesised().split(
                separator: "|", omittingEmptySubsequences: false
            ).map(String.init)
        case "merge": field.mergeKey = try line.parenthesised()
        case "strategy": field.strategies = Self.list(try line.parenthesised())
        case "list": field.listType = try listType(&line)
        case "mapType", "structType":
            let value = try line.parenthesised()
            guard value == "atomic" || value == "granular" else {
                throw line.error("expected (atomic) or (granular)")
            }
            field.isAtomic = value == "atomic"
            field.isGranular = value == "granular"
        default: throw line.error("unknown attribute \(word) of a field")
        }
    }

    private func listType(_ line: inout LineScanner) throws(SchemaError) -> FieldDeclaration.ListType {
        let text = try line.parenthesised()
        switch text {
        case "atomic": return .atomic
        case "set": return .set
        default:
            guard text.hasPrefix("map:") else { throw line.error("expected atomic, set or map:key,…") }
            return .map(keys: Self.list(String(text.dropFirst(4))))
        }
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map(String.init)
    }
}
