import SchemaLanguage

/// A type of the API at run time.
public struct SchemaType: Sendable {
    /// The name of the Swift type, which is unique.
    public let name: String
    /// The name of the type upstream, as messages show it.
    public let upstreamName: String
    /// The name of its OpenAPI definition: `io.k8s.api.core.v1.Pod`.
    public let definitionName: String
    /// One sentence.
    public let documentation: String
    /// The kind, if the type is one.
    public let kind: ResourceKind?
    /// The fields in writing order, with those of inlined types in their place.
    public let fields: [SchemaField]
    /// Server-side apply takes the whole value as one.
    public let isAtomic: Bool
    private let index: [String: Int]
    /// Fields by the numbers that lead to them in protobuf.
    private let protobufIndex: [[Int]: Int]
    /// The numbers that lead to messages of inlined types.
    private let inlinePaths: Set<[Int]>

    init(_ declaration: TypeDeclaration, among types: [String: TypeDeclaration]) {
        name = declaration.swiftName
        upstreamName = declaration.name
        definitionName = declaration.definitionName
        documentation = declaration.documentation
        isAtomic = declaration.isAtomic
        kind = declaration.kind.map {
            ResourceKind(
                group: $0.group, version: $0.version, kind: declaration.name, plural: $0.plural,
                singular: $0.singular, shortNames: $0.shortNames, categories: $0.categories,
                isNamespaced: $0.isNamespaced)
        }
        fields = Self.flatten(declaration, [], types)
        var index: [String: Int] = [:]
        for (position, field) in fields.enumerated() { index[field.name] = position }
        self.index = index
        var protobufIndex: [[Int]: Int] = [:]
        var inlinePaths: Set<[Int]> = []
        for (position, field) in fields.enumerated() {
            protobufIndex[field.protobufPath + [field.number]] = position
            for count in field.protobufPath.indices {
                inlinePaths.insert(Array(field.protobufPath[...count]))
            }
        }
        self.protobufIndex = protobufIndex
        self.inlinePaths = inlinePaths
    }

    /// The field at the end of protobuf numbers.
    func field(protobufPath: [Int]) -> SchemaField? {
        guard let position = protobufIndex[protobufPath] else { return nil }
        return fields[position]
    }

    /// Whether the numbers lead to the message of an inlined type.
    func isInlined(_ protobufPath: [Int]) -> Bool { inlinePaths.contains(protobufPath) }

    private static func flatten(
        _ declaration: TypeDeclaration, _ path: [Int], _ types: [String: TypeDeclaration]
    ) -> [SchemaField] {
        var fields: [SchemaField] = []
        for field in declaration.fields {
            if field.isInline, case .named(let name) = field.type, let inner = types[name], path.count < 4 {
                fields += flatten(inner, path + [field.number], types)
            } else {
                fields.append(SchemaField(declaration: field, protobufPath: path))
            }
        }
        return fields
    }

    /// The field of that JSON name.
    public func field(_ name: String) -> SchemaField? {
        guard let position = index[name] else { return nil }
        return fields[position]
    }
}

/// A field of a type at run time.
public struct SchemaField: Sendable {
    /// What the schema says about the field.
    public let declaration: FieldDeclaration
    /// The numbers of the protobuf messages in which the field is nested, because its type is inlined in JSON.
    public let protobufPath: [Int]

    /// The JSON name.
    public var name: String { declaration.name }
    /// The protobuf field number.
    public var number: Int { declaration.number }
    /// The type.
    public var type: FieldType { declaration.type }
}

/// The type of a field, under a name that needs no import of the schema language.
public typealias SchemaFieldType = FieldType
