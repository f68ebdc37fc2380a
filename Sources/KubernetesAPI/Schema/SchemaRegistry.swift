import SchemaLanguage

/// The schema of all types at run time: what OpenAPI, patches, protobuf and unknown-field checks are driven by.
public struct SchemaRegistry: Sendable {
    /// The types of the program, parsed at first use from the text of the schema.
    public static let shared = SchemaRegistry(parsing: SchemaText.files)

    /// All types in the order of their files.
    public let types: [SchemaType]
    private let indexByName: [String: Int]
    private let indexByKind: [String: Int]

    /// The name of the type of lists of a kind is that of the kind with `List`.
    private static let listMeta = "ListMeta"

    init(parsing texts: [String]) {
        var declarations: [TypeDeclaration] = []
        for text in texts {
            do {
                declarations += try SchemaFile(parsing: text).types
            } catch {
                // The generator has parsed this very text; the tests parse it again.
                assertionFailure("\(error)")
            }
        }
        self.init(declarations)
    }

    /// Makes a registry of declarations, and of the lists of all resources among them.
    public init(_ declarations: [TypeDeclaration]) {
        var byName: [String: TypeDeclaration] = [:]
        for declaration in declarations { byName[declaration.swiftName] = declaration }
        var all = declarations
        for declaration in declarations {
            guard let kind = declaration.kind, !kind.plural.isEmpty else { continue }
            let list = Self.list(of: declaration, kind)
            if byName[list.swiftName] == nil { all.append(list) }
        }
        for declaration in all { byName[declaration.swiftName] = declaration }
        types = all.map { SchemaType($0, among: byName) }
        var indexByName: [String: Int] = [:]
        var indexByKind: [String: Int] = [:]
        for (index, type) in types.enumerated() {
            indexByName[type.name] = index
            if let kind = type.kind { indexByKind[Self.key(kind.group, kind.version, kind.kind)] = index }
        }
        self.indexByName = indexByName
        self.indexByKind = indexByKind
    }

    private static func key(_ group: String, _ version: String, _ kind: String) -> String {
        "\(group)/\(version)/\(kind)"
    }

    private static func list(of item: TypeDeclaration, _ kind: KindDeclaration) -> TypeDeclaration {
        var list = TypeDeclaration()
        list.name = item.name + "List"
        list.swiftName = item.swiftName + "List"
        list.package = item.package
        list.documentation = "A list of objects of kind \(item.name)."
        var listKind = KindDeclaration()
        listKind.group = kind.group
        listKind.version = kind.version
        list.kind = listKind
        var metadata = FieldDeclaration()
        metadata.number = 1
        metadata.name = "metadata"
        metadata.type = .named(listMeta)
        metadata.presence = .nonEmpty
        metadata.documentation = "The version of the store that the list shows, and where it continues."
        var items = FieldDeclaration()
        items.number = 2
        items.name = "items"
        items.type = .array(.named(item.swiftName))
        items.documentation = "The objects."
        list.fields = [metadata, items]
        return list
    }

    /// The type of that Swift name.
    public func type(named name: String) -> SchemaType? {
        guard let index = indexByName[name] else { return nil }
        return types[index]
    }

    /// The type of a kind.
    public func type(group: String, version: String, kind: String) -> SchemaType? {
        guard let index = indexByKind[Self.key(group, version, kind)] else { return nil }
        return types[index]
    }

    /// The type of a kind, by the fields an object carries.
    public func type(apiVersion: String, kind: String) -> SchemaType? {
        let parts = apiVersion.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2 { return type(group: String(parts[0]), version: String(parts[1]), kind: kind) }
        return type(group: "", version: apiVersion, kind: kind)
    }

    /// The kind, if the schema has it.
    public func kind(group: String, version: String, kind: String) -> ResourceKind? {
        type(group: group, version: version, kind: kind)?.kind
    }

    /// The kinds that are resources, in the order of the schema.
    public var resources: [ResourceKind] {
        types.compactMap { $0.kind }.filter { !$0.plural.isEmpty }
    }
}
