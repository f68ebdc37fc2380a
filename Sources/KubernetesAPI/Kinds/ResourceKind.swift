import KubernetesJSON

/// A kind of object and the resource under which the API server serves it.
public struct ResourceKind: Sendable, Hashable {
    /// The API group; empty for the core group.
    public var group: String
    /// The version in the group.
    public var version: String
    /// The kind: `Deployment`.
    public var kind: String
    /// The resource in paths: `deployments`. Empty for kinds that are no resource, such as Status.
    public var plural: String
    /// The singular of the resource: `deployment`.
    public var singular: String
    /// Abbreviations that kubectl takes: `deploy`.
    public var shortNames: [String]
    /// Groups of resources that kubectl takes: `all`.
    public var categories: [String]
    /// Whether objects live in namespaces.
    public var isNamespaced: Bool

    /// Makes a kind of its parts.
    public init(
        group: String, version: String, kind: String, plural: String, singular: String,
        shortNames: [String] = [], categories: [String] = [], isNamespaced: Bool
    ) {
        self.group = group
        self.version = version
        self.kind = kind
        self.plural = plural
        self.singular = singular
        self.shortNames = shortNames
        self.categories = categories
        self.isNamespaced = isNamespaced
    }

    /// Group and version as objects carry them: `v1`, `apps/v1`.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    /// Resource and group as errors and stores name them: `pods`, `deployments.apps`.
    public var groupResource: String { group.isEmpty ? plural : "\(plural).\(group)" }
    /// Kind and group as validation errors name them: `Pod`, `Deployment.apps`.
    public var groupKind: String { group.isEmpty ? kind : "\(kind).\(group)" }
    /// The kind of a list of these objects: `DeploymentList`.
    public var listKind: String { "\(kind)List" }
}

/// A value that names its kind when it is written.
public protocol KubernetesKind: JSONCodable {
    /// The kind of all values of this type.
    static var resource: ResourceKind { get }
}

/// An object of the API: a Pod, a Service, a Deployment …
public protocol KubernetesObject: KubernetesKind {
    /// What every object carries.
    var metadata: ObjectMeta { get set }
}
