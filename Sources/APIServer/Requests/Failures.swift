import KubernetesAPI
import KubernetesJSON

/// Failures that only the API server tells, in upstream's words.
extension APIError {
    /// 403 for somebody who may not do what the request asks for.
    ///
    /// - Parameter reason: what the authorizer has to say about it.
    static func forbidden(_ user: User, _ attributes: AccessAttributes, reason: String = "") -> APIError {
        var why = AccessMessage.refusal(user, attributes)
        if !reason.isEmpty { why += ": \(reason)" }
        guard attributes.isResourceRequest else {
            return APIError(
                code: 403, reason: "Forbidden", message: "forbidden: \(why)", details: StatusDetails())
        }
        var resource = attributes.resource
        if !attributes.group.isEmpty { resource += "." + attributes.group }
        let subject = attributes.name.isEmpty ? resource : "\(resource) \"\(attributes.name)\""
        return APIError(
            code: 403, reason: "Forbidden", message: "\(subject) is forbidden: \(why)",
            details: StatusDetails(
                name: attributes.name, group: attributes.group, kind: attributes.resource))
    }

    /// 422 for an object.
    static func invalid<Object: KubernetesObject>(_ object: Object, _ errors: [FieldError]) -> APIError {
        .invalid(Object.resource, object.metadata.displayName, errors)
    }

    /// 422 for the options of a request.
    static func invalid(options kind: String, _ errors: [FieldError]) -> APIError {
        .invalid(
            ResourceKind(
                group: "meta.k8s.io", version: "v1", kind: kind, plural: "", singular: "",
                isNamespaced: false), "", errors)
    }

    /// 504 for a revision that has not happened.
    static func futureRevision(_ asked: UInt64, current: UInt64) -> APIError {
        APIError(
            code: 504, reason: "Timeout",
            message: "Timeout: Too large resource version: \(asked), current: \(current)",
            details: StatusDetails(
                causes: [
                    StatusCause(
                        reason: "ResourceVersionTooLarge", message: "Too large resource version", field: "")
                ], retryAfterSeconds: 1))
    }
}

extension FieldError {
    init(
        _ type: FailureType, _ field: String, badValue: JSONValue? = nil, detail: String = ""
    ) {
        self.init(type: type, field: field, badValue: badValue, detail: detail)
    }

    /// An invalid list of texts, shown as Go shows it.
    static func invalid(_ field: String, list: [String], _ detail: String) -> FieldError {
        let quoted = list.map { JSONValue.string($0).description }.joined(separator: ", ")
        return FieldError(.invalid, field, detail: "[]string{\(quoted)}: \(detail)")
    }
}

extension ObjectMeta {
    /// The name, or what it will be made from: how failures on objects without a name yet refer to them.
    var displayName: String { name.isEmpty ? generateName : name }
}
