import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// Keeps `metadata.managedFields` for the writes of one request: who set which fields (KEP-555).
///
/// As upstream, it looks at what the client sent with defaults applied; what admission and the kind's own rules
/// make of that afterwards is nobody's.
struct FieldManagement: Sendable {
    let type: SchemaType
    let manager: String
    let subresource: String
    let force: Bool
    let now: Time

    /// The object with its fields given to the manager.
    ///
    /// - Parameters:
    ///   - given: `metadata.managedFields` as sent.
    ///   - live: the object before the write; nil for a new one.
    func tracked<Object: KubernetesObject>(
        _ object: Object, given: JSONValue?, live: JSONValue?
    ) -> Object {
        var object = object
        object.metadata.managedFields = []
        var new = object.jsonValue
        new["metadata"]?["managedFields"] = given
        let result = ManagedFields.updating(
            live: live, new: new, type: type, manager: manager, subresource: subresource, now: now)
        object.metadata.managedFields = ManagedFields.entries(of: result)
        return object
    }

    /// The object with a configuration applied to it.
    func applied(_ configuration: JSONValue, to live: JSONValue?) throws(APIError) -> JSONValue {
        try ServerSideApply.apply(
            configuration, to: live, type, manager: manager, force: force, subresource: subresource, now: now)
    }
}

extension ResourceVerbs {
    /// Who writes what with this request.
    ///
    /// - Parameter type: the kind of what is written: the object, or a view of it.
    func fieldManagement(
        _ options: WriteQuery, of type: ResourceKind? = nil
    ) throws(APIError) -> FieldManagement {
        let agent = context.request.headers.first(name: "user-agent") ?? ""
        return FieldManagement(
            type: try SchemaRegistry.shared.type(of: type ?? kind),
            manager: ManagedFields.manager(named: options.fieldManager, userAgent: agent),
            subresource: info.subresource, force: options.force, now: core.now())
    }

    /// A stored object as a tree.
    func tree(of stored: StoredObject) throws(APIError) -> JSONValue {
        do {
            return try JSONValue(json: stored.bytes)
        } catch {
            throw .internalError("stored \(stored.key) cannot be read: \(error)")
        }
    }
}
