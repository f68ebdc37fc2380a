import KubernetesAPI
import KubernetesJSON

/// The patch languages by content type, in the order in which upstream names them.
package enum PatchType: String, Sendable, CaseIterable {
    case json = "application/json-patch+json"
    case merge = "application/merge-patch+json"
    case strategic = "application/strategic-merge-patch+json"
    /// Server-side apply (KEP-555): the fields that the manager wants to have.
    case apply = "application/apply-patch+yaml"

    /// - Throws: `unsupportedMediaType`.
    init(contentType: String?) throws(APIError) {
        let text = contentType ?? ""
        let essence = text.prefix { $0 != ";" }
        guard let type = PatchType(rawValue: String(essence)) else {
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
                return try StrategicMergePatch.apply(
                    patch, to: value, try SchemaRegistry.shared.type(of: kind))
            case .apply: throw APIError.internalError("an applied configuration is no patch")
            }
        } catch let error as PatchError {
            switch error.code {
            case .malformed: throw .badRequest(error.message)
            case .rejected: throw .rejectedPatch
            case .tooLarge: throw .requestEntityTooLarge(error.message)
            case .failed: throw APIError(code: 500, reason: "", message: error.message)
            }
        } catch let error as APIError {
            throw error
        } catch {
            throw .internalError("\(error)")
        }
    }
}

extension SchemaRegistry {
    /// The type of a kind that is served.
    func type(of kind: ResourceKind) throws(APIError) -> SchemaType {
        guard let type = type(group: kind.group, version: kind.version, kind: kind.kind) else {
            throw .internalError("the schema has no kind \(kind.groupKind)")
        }
        return type
    }
}
