import HTTPService
import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// A version in which a kind is served beside the one that it is stored in.
package struct ServedVersion: Sendable {
    package let conversion: VersionConversion
    /// Reads a body as an object of the served version.
    let read: @Sendable ([UInt8], String?, FieldValidation) throws(APIError) -> (JSONValue, [String])
    /// Takes what a patch made for an object of the served version.
    let take:
        @Sendable (JSONValue, PatchBody.Decoded, PatchType, FieldValidation) throws(APIError) -> (
            JSONValue, [String]
        )

    init<Served: KubernetesObject>(_ type: Served.Type, _ conversion: VersionConversion) {
        self.conversion = conversion
        read = { bytes, contentType, validation throws(APIError) in
            let decoded = try BodyDecoder.decode(type, bytes, contentType: contentType, validation)
            return (decoded.object.jsonValue, decoded.warnings)
        }
        take = { tree, patch, language, validation throws(APIError) in
            let decoded = try PatchBody.object(type, tree, patch, language, validation)
            return (decoded.object.jsonValue, decoded.warnings)
        }
    }
}

/// Carries out the verbs on a kind in a version that it is not stored in: puts the request into the stored
/// version's terms and leaves the rest to `ResourceVerbs`. `AnswerWriter` puts the answer back.
struct VersionedVerbs<Object: KubernetesObject>: Sendable {
    let core: ServerCore
    let resource: Resource<Object>
    let version: ServedVersion
    let context: RequestContext

    func run() async throws(APIError) -> Answer {
        switch context.info.verb {
        case "create", "update": return try await write()
        case "patch": return try await patch()
        default: return try await verbs(try selecting()).run()
        }
    }

    private func verbs(_ request: HTTPRequest, verb: String? = nil) -> ResourceVerbs<Object> {
        var info = context.info
        info.verb = verb ?? info.verb
        return ResourceVerbs(
            core: core, resource: resource,
            context: RequestContext(request: request, info: info, user: context.user, form: context.form))
    }

    /// The request with an object of the stored version, or a part of it, as its body.
    private func request(_ tree: JSONValue, contentType: String = "application/json") -> HTTPRequest {
        var request = context.request
        request.headers.replaceOrAdd(name: "content-type", value: contentType)
        request.body = .bytes(version.conversion.toStored(tree).json())
        return request
    }

    private func write() async throws(APIError) -> Answer {
        let options = try WriteQuery(context.query, kind: "UpdateOptions")
        let (tree, warnings) = try version.read(
            try await context.body(), context.request.headers.first(name: "content-type"),
            options.fieldValidation)
        var answer = try await verbs(request(tree)).run()
        answer.warnings = warnings + answer.warnings
        return answer
    }

    /// A patch is in the served version's terms, so it is made a change of the whole object.
    private func patch() async throws(APIError) -> Answer {
        let language = try PatchType(contentType: context.request.headers.first(name: "content-type"))
        let bytes = try await context.body()
        let options = try WriteQuery(context.query, kind: "PatchOptions", patch: language)
        let patch = try PatchBody.decode(bytes, language, options.fieldValidation)
        if language == .apply {
            return try await verbs(request(patch.value, contentType: language.rawValue)).run()
        }
        let namesRevision = patch.value.value(at: "metadata", "resourceVersion")?.stringValue != nil
        var attempt = 1
        while true {
            let stored = try verbs(context.request).stored(context.info.name)
            let before: JSONValue
            do {
                before = version.conversion.toServed(try JSONValue(json: stored.bytes))
            } catch {
                throw .internalError("stored \(stored.key) cannot be read: \(error)")
            }
            var after = try language.apply(patch.value, to: before, of: version.conversion.served)
            after["kind"] = .string(version.conversion.served.kind)
            after["apiVersion"] = .string(version.conversion.served.apiVersion)
            let (tree, warnings) = try version.take(after, patch, language, options.fieldValidation)
            do {
                var answer = try await verbs(request(tree), verb: "update").run()
                answer.warnings = warnings + answer.warnings
                return answer
            } catch {
                guard !namesRevision, error.status.reason == "Conflict",
                    attempt < ResourceVerbs<Object>.maximumWriteAttempts,
                    core.store.get(stored.key)?.revision != stored.revision
                else { throw error }
                attempt += 1
            }
        }
    }

    /// The request with a field selector in the stored version's terms.
    private func selecting() throws(APIError) -> HTTPRequest {
        var request = context.request
        guard let text = context.query.first("fieldSelector"), !text.isEmpty else { return request }
        let labels = version.conversion.fieldLabels
        var selector = try Selectors.fields(
            text, selectable: ["metadata.name", "metadata.namespace"] + labels.keys)
        for index in selector.requirements.indices {
            let field = selector.requirements[index].field
            selector.requirements[index].field = labels[field] ?? field
        }
        for index in request.query.items.indices where request.query.items[index].name == "fieldSelector" {
            request.query.items[index].value = selector.description
        }
        return request
    }
}
