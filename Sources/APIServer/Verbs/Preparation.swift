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
        resource.prepareForCreate(&object)
        object.metadata.uid = uid
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
                throw .invalid(
                    object,
                    [
                        FieldError(
                            .invalid, "metadata.resourceVersion", badValue: .integer(0),
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
        object.metadata.deletionTimestamp = old.metadata.deletionTimestamp
        object.metadata.deletionGracePeriodSeconds = old.metadata.deletionGracePeriodSeconds
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

    // MARK: Delete

    /// What a deletion does to an object.
    package enum Deletion: Sendable, Hashable {
        /// The object goes at once.
        case remove
        /// The object stays, marked; `changed` is false when the mark was there already.
        case mark(changed: Bool)
    }

    /// Marks an object for deletion as far as its kind, its finalizers and the options ask for it.
    package static func delete<Object>(
        _ object: inout Object, _ options: DeleteOptions, _ resource: Resource<Object>, now: Time
    ) -> Deletion {
        let before = object.metadata
        setPropagation(&object.metadata, options)
        if let gracePeriod = resource.gracePeriod {
            let seconds = gracePeriod(object, options.gracePeriodSeconds)
            if let pending = object.metadata.deletionGracePeriodSeconds,
                object.metadata.deletionTimestamp != nil
            {
                // Under way already: a later request can only shorten the time.
                if seconds > 0 || pending == 0 && !object.metadata.finalizers.isEmpty {
                    guard options.gracePeriodSeconds != nil, seconds < pending,
                        let deletion = object.metadata.deletionTimestamp
                    else { return .mark(changed: object.metadata != before) }
                    object.metadata.deletionTimestamp = Time(seconds: deletion.seconds - pending + seconds)
                    object.metadata.deletionGracePeriodSeconds = seconds
                    return .mark(changed: true)
                }
            } else if seconds > 0 {
                object.metadata.deletionTimestamp = Time(seconds: now.seconds + seconds)
                object.metadata.deletionGracePeriodSeconds = seconds
                if object.metadata.generation > 0 { object.metadata.generation += 1 }
                return .mark(changed: true)
            }
        }
        guard !object.metadata.finalizers.isEmpty else { return .remove }
        if object.metadata.deletionTimestamp == nil {
            object.metadata.deletionTimestamp = now
            if object.metadata.generation > 0 { object.metadata.generation += 1 }
        }
        object.metadata.deletionGracePeriodSeconds = 0
        return .mark(changed: object.metadata != before)
    }

    /// The garbage collector reads the policy from finalizers (DeleteOptions.propagationPolicy).
    private static func setPropagation(_ metadata: inout ObjectMeta, _ options: DeleteOptions) {
        var policy = options.propagationPolicy
        if policy == nil, let orphan = options.orphanDependents { policy = orphan ? "Orphan" : "Background" }
        guard let policy else { return }
        metadata.finalizers.removeAll { $0 == "orphan" || $0 == "foregroundDeletion" }
        if policy == "Orphan" { metadata.finalizers.append("orphan") }
        if policy == "Foreground" { metadata.finalizers.append("foregroundDeletion") }
    }

    /// Failures of the options themselves.
    package static func errors(of options: DeleteOptions) -> [FieldError] {
        var errors: [FieldError] = []
        if options.propagationPolicy != nil, options.orphanDependents != nil {
            errors.append(
                FieldError(
                    .invalid, "propagationPolicy", badValue: .string(options.propagationPolicy ?? ""),
                    detail: "orphanDependents and deletionPropagation cannot be both set"))
        }
        if let policy = options.propagationPolicy, !["Foreground", "Background", "Orphan"].contains(policy) {
            errors.append(
                FieldError(
                    .notSupported, "propagationPolicy", badValue: .string(policy),
                    detail: #"supported values: "Foreground", "Background", "Orphan", "nil""#))
        }
        _ = DryRun.read(options.dryRun, &errors)
        return errors
    }

    /// Whether the object is the one that the client means.
    package static func check<Object: KubernetesObject>(
        _ preconditions: Preconditions?, _ object: Object
    ) throws(APIError) {
        guard let preconditions else { return }
        func refuse(_ why: String) -> APIError {
            var kind = Object.resource
            // Upstream names the kind here, not the resource.
            kind.plural = kind.kind
            return .conflict(kind, object.metadata.name, why)
        }
        if let uid = preconditions.uid, uid != object.metadata.uid {
            throw refuse(
                "the UID in the precondition (\(uid)) does not match the UID in record "
                    + "(\(object.metadata.uid)). The object might have been deleted and then recreated")
        }
        if let version = preconditions.resourceVersion, version != object.metadata.resourceVersion {
            throw refuse(
                "the ResourceVersion in the precondition (\(version)) does not match the ResourceVersion "
                    + "in record (\(object.metadata.resourceVersion)). The object might have been modified")
        }
    }
}
