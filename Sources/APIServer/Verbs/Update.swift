import KubernetesAPI
import KubernetesJSON
import ObjectStore

extension ResourceVerbs {
    func update(_ part: Part = .whole) async throws(APIError) -> Answer {
        let options = try WriteQuery(context.query, kind: "UpdateOptions")
        let decoded = try BodyDecoder.decode(
            Object.self, try await context.body(),
            contentType: context.request.headers.first(name: "content-type"), options.fieldValidation)
        var object = decoded.object
        try Preparation.settle(
            &object.metadata, isNamespaced: kind.isNamespaced,
            namespace: kind.isNamespaced ? info.namespace : "")
        try Preparation.checkName(object.metadata.name, ofPath: info.name)
        let warnings = decoded.warnings + Preparation.dedupOwners(&object.metadata)
        let fields = try fieldManagement(options)
        guard core.store.get(key(info.name)) != nil else {
            guard part == .whole, resource.createsOnUpdate else { throw .notFound(kind, info.name) }
            guard object.metadata.uid.isEmpty else {
                throw Preparation.wrongUID(object, found: "", resource)
            }
            try checkMayCreate()
            object.metadata.resourceVersion = ""
            return try await create(
                fields.tracked(object, given: decoded.managedFields, live: nil), options, warnings: warnings)
        }
        let wanted = object
        // With a revision the client says what it knows; without one the update fits whatever is there.
        return try await modify(
            part, options, warnings: warnings, retries: object.metadata.resourceVersion.isEmpty
        ) { stored throws(APIError) in
            fields.tracked(wanted, given: decoded.managedFields, live: try tree(of: stored))
        }
    }

    /// Reads, changes and writes an object, again when others write in between.
    ///
    /// - Parameters:
    ///   - retries: whether a conflict with another writer is met by a further attempt.
    ///   - change: makes the new state of the present one.
    func modify(
        _ part: Part, _ options: WriteQuery, warnings: [String], retries: Bool,
        _ change: (StoredObject) throws(APIError) -> Object
    ) async throws(APIError) -> Answer {
        var attempt = 1
        while true {
            let stored = try stored(info.name)
            do {
                return try await write(
                    try change(stored), over: stored, part, options, warnings: warnings)
            } catch {
                guard retries, mayTryAgain(error, stored, attempt) else { throw error }
                attempt += 1
            }
        }
    }

    /// Writes a new state over the one it was made from.
    func write(
        _ draft: Object, over stored: StoredObject, _ part: Part, _ options: WriteQuery,
        warnings: [String] = []
    ) async throws(APIError) -> Answer {
        let old = try StoredForm.decode(stored, as: Object.self)
        var object = draft
        let admission = admissionRequest(
            .update, part.subresource, name: info.name, isDryRun: options.isDryRun)
        try core.admission.mutate(&object, old: old, admission, core)
        switch part {
        case .whole:
            try Preparation.forUpdate(&object, old: old, resource)
        case .status:
            try Preparation.forStatusUpdate(&object, old: old, resource)
        case .finalize:
            try finalize(&object, old)
        case .ephemeralContainers:
            try takeEphemeralContainers(&object, old)
        }
        try restrict(.update, new: object, old: old)
        Preparation.forgetIdleTimes(&object, old: old)
        let errors =
            part == .ephemeralContainers
            ? Validation.errors(ephemeralContainersOf: object, from: old)
            : resource.validation?(object, old)
                ?? Validation.errors(updating: object, from: old, part == .status)
        if !errors.isEmpty { throw .invalid(object, errors) }
        let advice = try core.admission.validate(object, old: old, admission, core)
        let prepared = object
        while true {
            object = prepared
            let reservation =
                part == .whole ? try resource.allocate?(&object, old, options.isDryRun) ?? .none : .none
            let warnings =
                standingWarnings + warnings + (part == .whole ? ownWarnings(object, old: old) : []) + advice
            if options.isDryRun {
                object.metadata.resourceVersion = old.metadata.resourceVersion
                return .value(object, warnings: warnings)
            }
            let isGone = isReleased(object)
            let companions = isGone ? resource.release?(old) ?? [] : reservation.companions
            do {
                if isGone {
                    // The last that held the object back is gone, and so is the object.
                    let gone = try await commit(
                        .delete(stored.key, expected: stored.revision), with: companions, new: nil, old: old)
                    reservation.confirm()
                    object.metadata.resourceVersion = "\(gone.revision)"
                    return .value(object, warnings: warnings)
                }
                let draft = try StoredForm.draft(of: object, resource)
                let result = try await commit(
                    .update(stored.key, draft, expected: stored.revision), with: companions, new: object,
                    old: old, subresource: part.subresource)
                reservation.confirm()
                return Answer(.object(result.bytes), warnings: warnings)
            } catch {
                reservation.cancel()
                // What was allocated went to somebody else at the last moment: allocate again.
                guard companions.isOvertaken(in: core.store),
                    core.store.get(stored.key)?.revision == stored.revision
                else { throw error }
            }
        }
    }

    private func ownWarnings(_ object: Object, old: Object) -> [String] {
        let isChanged = object.metadata.generation != old.metadata.generation
        return resource.warnings(object) + (isChanged ? resource.specWarnings(object) : [])
            + resource.changeWarnings(object, old)
    }

    private func isReleased(_ object: Object) -> Bool {
        guard Preparation.isReleased(object.metadata) else { return false }
        // A namespace also waits for its contents.
        if let namespace = object as? Namespace { return namespace.spec.finalizers.isEmpty }
        return true
    }

    /// `namespaces/finalize` changes only what holds the namespace back.
    private func finalize(_ object: inout Object, _ old: Object) throws(APIError) {
        guard let wanted = object as? Namespace, var namespace = old as? Namespace else {
            throw .resourceNotFound
        }
        try checkRevision(wanted.metadata, old.metadata)
        namespace.spec.finalizers = wanted.spec.finalizers
        namespace.metadata.managedFields = wanted.metadata.managedFields
        guard let result = namespace as? Object else { throw .resourceNotFound }
        object = result
    }

    /// `pods/ephemeralcontainers` changes only that list.
    private func takeEphemeralContainers(_ object: inout Object, _ old: Object) throws(APIError) {
        guard let wanted = object as? Pod, var pod = old as? Pod else { throw .resourceNotFound }
        try checkRevision(wanted.metadata, old.metadata)
        if pod.spec.ephemeralContainers != wanted.spec.ephemeralContainers {
            pod.spec.ephemeralContainers = wanted.spec.ephemeralContainers
            pod.metadata.generation += 1
        }
        pod.metadata.managedFields = wanted.metadata.managedFields
        guard let result = pod as? Object else { throw .resourceNotFound }
        object = result
    }

    private func checkRevision(_ wanted: ObjectMeta, _ old: ObjectMeta) throws(APIError) {
        guard wanted.resourceVersion.isEmpty || wanted.resourceVersion == old.resourceVersion else {
            throw .conflict(kind, old.name, APIError.modifiedMessage)
        }
    }
}
