import KubernetesAPI
import KubernetesJSON

/// The rules by which an object becomes the next state that is stored. Pure: what the world contributes
/// (time, identities, namespaces) comes in as arguments.
package enum Preparation {
    /// What the surroundings of a request contribute.
    package struct Surroundings: Sendable {
        package var now: Time
        package var namespace: String
        package init(now: Time, namespace: String) {
            self.now = now
            self.namespace = namespace
        }
    }

    // MARK: Create

    /// Puts the object into the namespace of the path.
    static func settle(
        _ metadata: inout ObjectMeta, isNamespaced: Bool, namespace: String
    ) throws(APIError) {
        guard isNamespaced else {
            metadata.namespace = ""
            return
        }
        if metadata.namespace.isEmpty { metadata.namespace = namespace }
        guard metadata.namespace == namespace else {
            throw .badRequest(
                "the namespace of the provided object does not match the namespace sent on the request")
        }
    }

    /// The name in the path is the object's.
    static func checkName(_ name: String, ofPath expected: String) throws(APIError) {
        if name.isEmpty {
            throw .badRequest(
                "the name of the object (\(expected) based on URL) was undeterminable: name must be provided")
        }
        guard name == expected else {
            throw .badRequest(
                "the name of the object (\(name)) does not match the name on the URL (\(expected))")
        }
    }

    /// Removes owners that are named twice.
    ///
    /// - Returns: the warning about it, if there were any.
    static func dedupOwners(_ metadata: inout ObjectMeta) -> [String] {
        guard metadata.ownerReferences.count > 1 else { return [] }
        var kept: [OwnerReference] = []
        var duplicates: [String] = []
        for owner in metadata.ownerReferences {
            if kept.contains(owner) { duplicates.append(owner.uid) } else { kept.append(owner) }
        }
        if duplicates.isEmpty { return [] }
        metadata.ownerReferences = kept
        return [
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, "
                + "and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) "
                + "observed: \(duplicates.joined(separator: ", "))"
        ]
    }

    /// The system's part of a new object's metadata, and the kind's own rules.
    package static func forCreate<Object>(
        _ object: inout Object, _ resource: Resource<Object>, uid: String, now: Time
    ) {
        // The identity first: kinds make labels of it.
        object.metadata.uid = uid
        resource.prepareForCreate(&object)
        object.metadata.creationTimestamp = now
        object.metadata.deletionTimestamp = nil
        object.metadata.deletionGracePeriodSeconds = nil
        object.metadata.selfLink = ""
        object.metadata.resourceVersion = ""
        object.metadata.generation = resource.generationDiffers == nil ? 0 : 1
    }

    // MARK: Update

    /// What an update may not change, and the kind's own rules.
    ///
    /// - Throws: `conflict` when the new state names another uid or revision than the present one.
    package static func forUpdate<Object>(
        _ object: inout Object, old: Object, _ resource: Resource<Object>
    ) throws(APIError) {
        try checkIdentity(of: object, old: old, resource)
        resource.prepareForUpdate(&object, old)
        carryOver(&object, old: old, resource)
        if let differs = resource.generationDiffers, differs(object, old) {
            object.metadata.generation = old.metadata.generation + 1
        }
    }

    /// The same for the `status` subresource.
    package static func forStatusUpdate<Object>(
        _ object: inout Object, old: Object, _ resource: Resource<Object>
    ) throws(APIError) {
        try checkIdentity(of: object, old: old, resource)
        resource.prepareForStatusUpdate?(&object, old)
        carryOver(&object, old: old, resource)
    }

    private static func checkIdentity<Object>(
        of object: Object, old: Object, _ resource: Resource<Object>
    ) throws(APIError) {
        let kind = Object.resource
        if !object.metadata.uid.isEmpty, object.metadata.uid != old.metadata.uid {
            throw wrongUID(object, found: old.metadata.uid, resource)
        }
        if object.metadata.resourceVersion.isEmpty {
            guard resource.updatesUnconditionally else {
                // Upstream names the resource here, not the kind, and shows the number as Go does.
                var named = kind
                named.kind = kind.plural
                throw .invalid(
                    named, old.metadata.name,
                    [
                        FieldError(
                            type: .invalid, field: "metadata.resourceVersion", shownValue: "0x0",
                            detail: "must be specified for an update")
                    ])
            }
        } else if object.metadata.resourceVersion != old.metadata.resourceVersion {
            throw .conflict(kind, old.metadata.name, APIError.modifiedMessage)
        }
    }

    /// 409 for an object that is not the one that the client means.
    static func wrongUID<Object>(_ object: Object, found: String, _ resource: Resource<Object>) -> APIError {
        let metadata = object.metadata
        var key = "/registry/\(resource.storageName ?? Object.resource.plural)/"
        if Object.resource.isNamespaced { key += "\(metadata.namespace)/" }
        return .conflict(
            Object.resource, metadata.name,
            "StorageError: invalid object, Code: 4, Key: \(key)\(metadata.name), ResourceVersion: 0, "
                + "AdditionalErrorMsg: Precondition failed: UID in precondition: \(metadata.uid), "
                + "UID in object meta: \(found)")
    }

    private static func carryOver<Object>(
        _ object: inout Object, old: Object, _ resource: Resource<Object>
    ) {
        object.metadata.uid = old.metadata.uid
        // Checked already; a client that gave none means the present one.
        object.metadata.resourceVersion = old.metadata.resourceVersion
        object.metadata.creationTimestamp = old.metadata.creationTimestamp
        // A deletion cannot be taken back. To begin one with an update is refused by the rules of metadata.
        if let deletion = old.metadata.deletionTimestamp { object.metadata.deletionTimestamp = deletion }
        if object.metadata.deletionGracePeriodSeconds == nil {
            object.metadata.deletionGracePeriodSeconds = old.metadata.deletionGracePeriodSeconds
        }
        object.metadata.generation = old.metadata.generation
        object.metadata.selfLink = ""
    }

    /// A write that changes nothing but when managers wrote changes nothing.
    static func forgetIdleTimes<Object: KubernetesObject>(_ object: inout Object, old: Object) {
        func timeless(_ entries: [ManagedFieldsEntry]) -> [ManagedFieldsEntry] {
            entries.map { entry in
                var entry = entry
                entry.time = nil
                return entry
            }
        }
        let (new, known) = (object.metadata.managedFields, old.metadata.managedFields)
        guard new != known, timeless(new) == timeless(known) else { return }
        object.metadata.managedFields = known
        if object != old { object.metadata.managedFields = new }
    }

    /// Whether an update was the last that held a deleted object back.
    package static func isReleased(_ metadata: ObjectMeta) -> Bool {
        metadata.deletionTimestamp != nil && metadata.finalizers.isEmpty
            && (metadata.deletionGracePeriodSeconds ?? 0) == 0
    }
}
