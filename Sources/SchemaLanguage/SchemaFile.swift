/// One `.api` file: a part of the Kubernetes API as data.
public struct SchemaFile: Sendable, Hashable {
    /// The types in the order of the file.
    public var types: [TypeDeclaration] = []

    /// Makes an empty file.
    public init() {}
}

/// A type: an object with fields, and what makes it a kind if it is one.
public struct TypeDeclaration: Sendable, Hashable {
    /// The name upstream gives the type.
    public var name = ""
    /// The name of the Swift type, unique over all files.
    public var swiftName = ""
    /// The prefix of its OpenAPI definition name: `io.k8s.api.core.v1`.
    public var package = ""
    /// What makes it a kind; nil for a type that is only part of others.
    public var kind: KindDeclaration?
    /// One sentence.
    public var documentation = ""
    /// The fields in the order in which they are written.
    public var fields: [FieldDeclaration] = []
    /// Server-side apply takes the whole value as one (`structType(atomic)`).
    public var isAtomic = false

    /// Makes a type without fields.
    public init() {}

    /// The name of the OpenAPI definition: `io.k8s.api.core.v1.Pod`.
    public var definitionName: String { package.isEmpty ? name : "\(package).\(name)" }
}

/// What the API server must know to serve a kind.
public struct KindDeclaration: Sendable, Hashable {
    /// The API group; empty for the core group.
    public var group = ""
    /// The version within the group.
    public var version = ""
    /// The resource in paths; empty for kinds that are no resource, such as Status.
    public var plural = ""
    /// The singular of the resource.
    public var singular = ""
    /// Abbreviations for kubectl.
    public var shortNames: [String] = []
    /// Groups of resources for kubectl, such as `all`.
    public var categories: [String] = []
    /// Whether objects live in namespaces.
    public var isNamespaced = false

    /// Makes a kind that is no resource.
    public init() {}
}

/// A field of a type.
public struct FieldDeclaration: Sendable, Hashable {
    /// When a field is written.
    public enum Presence: Sendable, Hashable {
        /// Always.
        case always
        /// Unless it is empty or zero (`?`, Go's omitempty).
        case nonEmpty
        /// When it is there: a pointer upstream (`*`).
        case optional
    }

    /// How server-side apply merges a list.
    public enum ListType: Sendable, Hashable {
        case atomic
        case set
        case map(keys: [String])
    }

    /// The protobuf field number.
    public var number = 0
    /// The JSON name; for an inlined type, the name of that type.
    public var name = ""
    /// The type.
    public var type = FieldType.string
    /// When it is written.
    public var presence = Presence.always
    /// The fields of the type appear in JSON as fields of the outer type; in protobuf it is nested.
    public var isInline = false
    /// The default as JSON text.
    public var defaultValue: String?
    /// The values known today, if the type is an enumeration.
    public var enumeration: [String] = []
    /// The key by which a strategic merge patch tells elements apart.
    public var mergeKey: String?
    /// What a strategic merge patch does: `merge`, `replace`, `retainKeys`.
    public var strategies: [String] = []
    /// How server-side apply merges the list.
    public var listType: ListType?
    /// Server-side apply takes the map or structure as one.
    public var isAtomic = false
    /// Server-side apply takes the structure apart, although its type is atomic elsewhere.
    public var isGranular = false
    /// A client may leave it out although it is always written.
    public var isOptional = false
    /// A client must give it although it could be absent.
    public var isRequired = false
    /// An absent pointer is written as `null`.
    public var isNullable = false
    /// Users should not use it any more.
    public var isDeprecated = false
    /// One sentence.
    public var documentation = ""

    /// Makes a field to be filled in.
    public init() {}

    /// Whether OpenAPI lists the field among the required ones.
    public var mustBeGiven: Bool {
        if isRequired { return true }
        return presence == .always && !isOptional && !isInline
    }
}

/// The type of a field.
public indirect enum FieldType: Sendable, Hashable {
    case string, int32, int64, bool, double, bytes
    case time, microTime, quantity, intOrString, duration
    /// Any JSON.
    case raw
    case array(FieldType)
    /// Keys are strings.
    case map(FieldType)
    /// A declared type, by its Swift name.
    case named(String)
}

/// Where and why an `.api` file is wrong.
public struct SchemaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was expected and what was found.
    public var message: String
    /// The line, from 1.
    public var line: Int

    public var description: String { "line \(line): \(message)" }
}
