import KubernetesAPI
import KubernetesJSON
import ObjectStore

extension ResourceVerbs {
    func patch(_ part: Part = .whole) async throws(APIError) -> Answer {
        let language = try PatchType(contentType: context.request.headers.first(name: "content-type"))
        let bytes = try await context.body()
        let options = try WriteQuery(context.query, kind: "PatchOptions", patch: language)
        let patch = try PatchBody.decode(bytes, language, options.fieldValidation)
        if language == .apply { return try await apply(patch, options, part) }
        let fields = try fieldManagement(options)
        let namesRevision = patch.value.value(at: "metadata", "resourceVersion")?.stringValue != nil
        var attempt = 1
        while true {
            let stored = try stored(info.name)
            let before = try tree(of: stored)
            var decoded = try patched(before, language, patch, options)
            try checkIdentity(&decoded.object, stored)
            let warnings = decoded.warnings + Preparation.dedupOwners(&decoded.object.metadata)
            let object = fields.tracked(decoded.object, given: decoded.managedFields, live: before)
            do {
                return try await write(object, over: stored, part, options, warnings: warnings)
            } catch {
                guard !namesRevision, mayTryAgain(error, stored, attempt) else { throw error }
                attempt += 1
            }
        }
    }

    /// The object that a patch makes of the stored one.
    private func patched(
        _ before: JSONValue, _ language: PatchType, _ patch: PatchBody.Decoded, _ options: WriteQuery
    ) throws(APIError) -> BodyDecoder.Decoded<Object> {
        var value = try language.apply(patch.value, to: before, of: kind)
        if language == .json || language == .merge { try PatchBody.checkKind(value, kind) }
        // The kind is not a patch's to change.
        value["kind"] = .string(kind.kind)
        value["apiVersion"] = .string(kind.apiVersion)
        return try PatchBody.object(Object.self, value, patch, language, options.fieldValidation)
    }

    /// Which object it is is not a patch's to change either.
    func checkIdentity(_ object: inout Object, _ stored: StoredObject) throws(APIError) {
        try Preparation.settle(
            &object.metadata, isNamespaced: kind.isNamespaced,
            namespace: kind.isNamespaced ? info.namespace : "")
        try Preparation.checkName(object.metadata.name, ofPath: info.name)
        guard object.metadata.uid.isEmpty || object.metadata.uid == stored.uid else {
            throw .invalid(
                object, [.invalid("metadata.uid", .string(object.metadata.uid), "field is immutable")])
        }
    }

    /// Whether a failure is only that somebody else wrote in between.
    func mayTryAgain(_ error: APIError, _ stored: StoredObject?, _ attempt: Int) -> Bool {
        guard attempt < Self.maximumWriteAttempts else { return false }
        guard error.status.reason == "Conflict" || error.status.reason == "AlreadyExists" else {
            return false
        }
        return core.store.get(key(info.name))?.revision != stored?.revision
    }
}
