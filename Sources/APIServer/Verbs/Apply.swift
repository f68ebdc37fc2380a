import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// Server-side apply: a patch that also creates.
extension ResourceVerbs {
    func apply(
        _ configuration: PatchBody.Decoded, _ options: WriteQuery, _ part: Part
    ) async throws(APIError) -> Answer {
        let fields = try fieldManagement(options)
        let warnings = options.fieldValidation == .warn ? configuration.problems : []
        let namesRevision =
            configuration.value.value(at: "metadata", "resourceVersion")?.stringValue != nil
        var attempt = 1
        while true {
            let stored = core.store.get(key(info.name))
            if stored == nil, part != .whole { throw .notFound(kind, info.name) }
            do {
                let live = try stored.map { stored throws(APIError) in try tree(of: stored) }
                var object = try applied(configuration.value, to: live, fields)
                guard let stored else {
                    return try await createApplied(object, options, warnings: warnings)
                }
                try checkIdentity(&object, stored)
                let warnings = warnings + Preparation.dedupOwners(&object.metadata)
                return try await write(object, over: stored, part, options, warnings: warnings)
            } catch {
                guard !namesRevision, mayTryAgain(error, stored, attempt) else { throw error }
                attempt += 1
            }
        }
    }

    private func applied(
        _ configuration: JSONValue, to live: JSONValue?, _ fields: FieldManagement
    ) throws(APIError) -> Object {
        let value = try fields.applied(configuration, to: live)
        do {
            var object = try BodyDecoder.fit(Object.self, value, .ignore, isRestored: true).object
            object.metadata.managedFields = ManagedFields.entries(of: value)
            return object
        } catch {
            let version = kind.group.isEmpty ? "/\(kind.version)" : kind.apiVersion
            throw APIError(
                code: 500, reason: "",
                message: "failed to convert new typed object (\(info.namespace)/\(info.name); \(version), "
                    + "Kind=\(kind.kind)) to object: \(error.message)")
        }
    }

    private func createApplied(
        _ draft: Object, _ options: WriteQuery, warnings: [String]
    ) async throws(APIError) -> Answer {
        var object = draft
        if !object.metadata.uid.isEmpty {
            throw .conflict(
                kind, info.name,
                "uid mismatch: the provided object specified uid \(object.metadata.uid), "
                    + "and no existing object was found")
        }
        try Preparation.settle(
            &object.metadata, isNamespaced: kind.isNamespaced,
            namespace: kind.isNamespaced ? info.namespace : "")
        try Preparation.checkName(object.metadata.name, ofPath: info.name)
        try checkMayCreate()
        object.metadata.resourceVersion = ""
        return try await create(object, options, warnings: warnings)
    }

    /// Whoever creates by another verb must be allowed to create.
    func checkMayCreate() throws(APIError) {
        var attributes = AccessAttributes(info)
        attributes.verb = "create"
        let decision = core.authorizer.decide(context.user, attributes)
        guard decision.isAllowed else {
            throw .forbidden(context.user, attributes, reason: decision.reason)
        }
    }
}
