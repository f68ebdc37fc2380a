import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// The patch languages by content type.
package enum PatchType: String, Sendable, CaseIterable {
    case json = "application/json-patch+json"
    case merge = "application/merge-patch+json"
    case strategic = "application/strategic-merge-patch+json"

    /// - Throws: `unsupportedMediaType`; server-side apply is not served yet.
    init(contentType: String?) throws(APIError) {
        let essence = (contentType ?? "").split(separator: ";").first.map { String($0.trimmed()) } ?? ""
        guard let type = PatchType(rawValue: essence.asciiLowercased()) else {
            throw .unsupportedMediaType(PatchType.allCases.map(\.rawValue))
        }
        self = type
    }

    /// The state that a patch makes of another.
    func apply(
        _ patch: JSONValue, to value: JSONValue, of kind: ResourceKind
    ) throws(APIError) -> JSONValue {
        do {
            switch self {
            case .json: return try JSONPatch.apply(patch, to: value)
            case .merge: return MergePatch.apply(patch, to: value)
            case .strategic:
                guard
                    let schema = SchemaRegistry.shared.type(
                        group: kind.group, version: kind.version, kind: kind.kind)
                else { throw APIError.internalError("the schema has no kind \(kind.groupKind)") }
                return try StrategicMergePatch.apply(patch, to: value, schema)
            }
        } catch let error as PatchError {
            throw error.code == .rejected ? .rejectedPatch : .badRequest(error.message)
        } catch let error as APIError {
            throw error
        } catch {
            throw .internalError("\(error)")
        }
    }
}

extension ResourceVerbs {
    func patch(_ part: Part = .whole) async throws(APIError) -> Answer {
        let type = try PatchType(contentType: context.request.headers.first(name: "content-type"))
        let options = try WriteQuery(context.query, kind: "PatchOptions")
        let (patch, duplicates) = try BodyDecoder.patch(try await context.body(), options.fieldValidation)
        let namesRevision = patch.value(at: "metadata", "resourceVersion")?.stringValue != nil
        var warnings: [String] = []
        var attempt = 1
        while true {
            let stored = try stored(info.name)
            warnings = duplicates
            let object = try patched(stored, type, patch, options, &warnings)
            do {
                return try await write(object, over: stored, part, options, warnings: warnings)
            } catch {
                guard !namesRevision, error.status.reason == "Conflict", attempt < Self.maximumAttempts,
                    core.store.get(stored.key)?.revision != stored.revision
                else { throw error }
                attempt += 1
            }
        }
    }

    /// The object that a patch makes of the stored one.
    private func patched(
        _ stored: StoredObject, _ type: PatchType, _ patch: JSONValue, _ options: WriteQuery,
        _ warnings: inout [String]
    ) throws(APIError) -> Object {
        let before: JSONValue
        do {
            before = try JSONValue(json: stored.bytes)
        } catch {
            throw .internalError("stored \(stored.key) cannot be read: \(error)")
        }
        var value = try type.apply(patch, to: before, of: kind)
        // Neither kind nor identity is a patch's to change.
        value["kind"] = .string(kind.kind)
        value["apiVersion"] = .string(kind.apiVersion)
        let decoded = try BodyDecoder.object(Object.self, value, options.fieldValidation)
        warnings += decoded.warnings
        var object = decoded.object
        guard object.metadata.name == info.name else {
            throw .badRequest(
                "the name of the object (\(object.metadata.name)) does not match the name on the URL (\(info.name))"
            )
        }
        if kind.isNamespaced {
            try Preparation.settle(&object.metadata, isNamespaced: true, namespace: info.namespace)
        }
        return object
    }
}
