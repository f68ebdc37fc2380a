import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// One kind as the server offers it: what can be done with it, and the rules that are its own.
///
/// Everything here is a value or a pure function; `ResourceVerbs` acts on it. A kind is added by
/// describing it in `Schema/`, registering one of these, and writing its rules.
package struct Resource<Object: KubernetesObject>: Sendable, AnyResource {
    /// What discovery says can be done, sorted.
    package var verbs = ResourceVerb.all
    /// The columns of `kubectl get`.
    package var table = TablePrinter<Object>.basic
    /// The field labels, beside `metadata.name` and `metadata.namespace`, that objects can be
    /// selected by.
    package var fieldLabels: [String] = []
    /// The values of `fieldLabels`.
    package var fields: @Sendable (Object) -> [String: String] = { _ in [:] }
    /// Subresources by name, in the order of discovery.
    package var subresources: [Subresource] = []
    /// Clears what a client may not set in a new object, and sets what the server decides.
    package var prepareForCreate: @Sendable (inout Object) -> Void = { _ in }
    /// Carries over what a client may not change with an update of the main resource.
    package var prepareForUpdate: @Sendable (inout Object, _ old: Object) -> Void = { _, _ in }
    /// Carries over everything but what the `status` subresource may change.
    package var prepareForStatusUpdate: (@Sendable (inout Object, _ old: Object) -> Void)?
    /// Whether two states differ in what `metadata.generation` counts; nil for kinds without generation.
    package var generationDiffers: (@Sendable (Object, Object) -> Bool)?
    /// The scale of the object, for kinds with a `scale` subresource.
    package var scale: ScaleRules<Object>?
    /// Seconds that an object stays after it was deleted, given the client's wish; nil for kinds that go
    /// at once.
    package var gracePeriod: (@Sendable (Object, _ wish: Int?) -> Int)?
    /// What admission of a new object needs and what may be a moment late because a controller makes it: the
    /// request waits a little for it.
    package var prerequisite: @Sendable (Object, _ namespace: String) -> ObjectKey? = { _, _ in nil }
    /// Allocation of what is unique in the cluster, such as Service addresses.
    package var allocate:
        (@Sendable (inout Object, _ old: Object?, _ isDryRun: Bool) throws(APIError) -> Reservation)?
    /// What is to be deleted together with an object, because it was allocated for it.
    package var release: (@Sendable (Object) -> [Mutation])?
    /// Messages for the client about an object that is valid and yet questionable.
    package var warnings: @Sendable (Object) -> [String] = { _ in [] }
    /// Messages about what is wanted: of a new object, and of one whose generation grows.
    package var specWarnings: @Sendable (Object) -> [String] = { _ in [] }
    /// Messages about a new object only.
    package var creationWarnings: @Sendable (Object) -> [String] = { _ in [] }
    /// Messages about what a write brings that was not there before.
    package var changeWarnings: @Sendable (Object, _ old: Object?) -> [String] = { _, _ in [] }
    /// Set when the kind is served in another version than the one that it is stored in.
    package var version: ServedVersion?
    /// What is wrong with a new object, or with the successor of another one, where the version that is served
    /// judges otherwise than the kind itself.
    package var validation: (@Sendable (Object, _ old: Object?) -> [FieldError])?
    /// Set for kinds whose every use is answered with a deprecation warning.
    package var deprecation: String?
    /// Whether PUT of an object that does not exist creates it.
    package var createsOnUpdate = false
    /// Whether PUT works without a resourceVersion.
    package var updatesUnconditionally = true
    /// What becomes of an object's dependants when it is deleted without a policy.
    package var defaultPropagation = DefaultPropagation.background
    /// What a client is told that deletes without a policy.
    package var propagationWarning: String?
    /// What upstream calls the kind in its store, where that is not its plural; conflicts show it.
    package var storageName: String?
    /// Whether a deletion is answered with the object in place of a Status.
    package var returnsDeletedObject = false

    package init() {}

    package var definition: Resource<Object> { self }
}

/// A `Resource` of whatever kind; open it to reach the typed one.
package protocol AnyResource: Sendable {
    associatedtype Object: KubernetesObject
    var definition: Resource<Object> { get }
}

extension AnyResource {
    /// The kind as it is served.
    package var kind: ResourceKind { definition.version?.conversion.served ?? Object.resource }
    /// The kind as it is stored.
    package var storedKind: ResourceKind { Object.resource }
    package var subresources: [Subresource] { definition.subresources }
}

/// The verbs of API resources.
package enum ResourceVerb {
    package static let all = [
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    ]
}

/// A subresource as discovery describes it.
package struct Subresource: Sendable, Hashable {
    package var name: String
    package var kind: String
    package var verbs: [String]
    /// Group and version of `kind` where they differ from the resource's.
    package var group: String?
    package var version: String?
    package var groupVersionOfKind: (group: String, version: String)? {
        guard let group, let version else { return nil }
        return (group, version)
    }

    package init(_ name: String, kind: String, verbs: [String], group: String? = nil, version: String? = nil)
    {
        self.name = name
        self.kind = kind
        self.verbs = verbs
        self.group = group
        self.version = version
    }

    static func status(_ kind: String) -> Subresource {
        Subresource("status", kind: kind, verbs: ["get", "patch", "update"])
    }

    static func proxy(_ kind: String) -> Subresource {
        Subresource("proxy", kind: kind, verbs: ["create", "delete", "get", "patch", "update"])
    }

    static let scale = Subresource(
        "scale", kind: "Scale", verbs: ["get", "patch", "update"], group: "autoscaling", version: "v1")
}

/// How a kind shows itself as `autoscaling/v1` Scale.
package struct ScaleRules<Object>: Sendable {
    package var wanted: @Sendable (Object) -> Int
    package var present: @Sendable (Object) -> Int
    package var selector: @Sendable (Object) -> String
    package var set: @Sendable (inout Object, Int) -> Void

    package init(
        wanted: @escaping @Sendable (Object) -> Int, present: @escaping @Sendable (Object) -> Int,
        selector: @escaping @Sendable (Object) -> String,
        set: @escaping @Sendable (inout Object, Int) -> Void
    ) {
        self.wanted = wanted
        self.present = present
        self.selector = selector
        self.set = set
    }
}

/// Something taken out of a pool for an object that is about to be written. Exactly one of the two is
/// called: `confirm` once it is written, `cancel` when it is not.
package struct Reservation: Sendable {
    /// What is to be committed together with the object.
    package var companions: [Mutation]
    package var confirm: @Sendable () -> Void
    package var cancel: @Sendable () -> Void

    package init(
        companions: [Mutation] = [], confirm: @escaping @Sendable () -> Void,
        cancel: @escaping @Sendable () -> Void
    ) {
        self.companions = companions
        self.confirm = confirm
        self.cancel = cancel
    }

    package static let none = Reservation(confirm: {}, cancel: {})
}

extension [Mutation] {
    /// Whether somebody else has been at one of the objects meanwhile, so that these cannot be committed.
    func isOvertaken(in store: ObjectStore) -> Bool {
        contains { mutation in
            switch mutation {
            case .create(let key, _): store.get(key) != nil
            case .update(let key, _, let expected): store.get(key)?.revision != expected
            case .delete(let key, let expected):
                expected == nil ? store.get(key) == nil : store.get(key)?.revision != expected
            }
        }
    }
}
