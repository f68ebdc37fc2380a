import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// The `scale` subresource: `autoscaling/v1` Scale as a view of the object.
extension ResourceVerbs {
    func getScale() throws(APIError) -> Answer {
        let object = try StoredForm.decode(try stored(info.name), as: Object.self)
        return .value(try scale(of: object))
    }

    private func scale(of object: Object) throws(APIError) -> Scale {
        guard let rules = resource.scale else { throw .resourceNotFound }
        let metadata = ObjectMeta(
            name: object.metadata.name, namespace: object.metadata.namespace, uid: object.metadata.uid,
            resourceVersion: object.metadata.resourceVersion,
            creationTimestamp: object.metadata.creationTimestamp)
        return Scale(
            metadata: metadata, spec: ScaleSpec(replicas: rules.wanted(object)),
            status: ScaleStatus(replicas: rules.present(object), selector: rules.selector(object)))
    }

    func updateScale() async throws(APIError) -> Answer {
        let options = try WriteQuery(context.query, kind: "UpdateOptions")
        let decoded = try BodyDecoder.decode(
            Scale.self, try await context.body(),
            contentType: context.request.headers.first(name: "content-type"), options.fieldValidation)
        let wanted = decoded.object
        if !wanted.metadata.name.isEmpty {
            try Preparation.checkName(wanted.metadata.name, ofPath: info.name)
        }
        let fields = try fieldManagement(options, of: Scale.resource)
        return try await setScale(options, warnings: decoded.warnings) { live throws(APIError) in
            fields.tracked(wanted, given: decoded.managedFields, live: live)
        }
    }

    func patchScale() async throws(APIError) -> Answer {
        let language = try PatchType(contentType: context.request.headers.first(name: "content-type"))
        let bytes = try await context.body()
        let options = try WriteQuery(context.query, kind: "PatchOptions", patch: language)
        let patch = try PatchBody.decode(bytes, language, options.fieldValidation)
        let fields = try fieldManagement(options, of: Scale.resource)
        let warnings = options.fieldValidation == .warn ? patch.problems : []
        return try await setScale(options, warnings: warnings) { live throws(APIError) in
            guard language != .apply else {
                let value = try fields.applied(patch.value, to: live)
                var scale = try PatchBody.object(Scale.self, value, patch, language, .ignore).object
                scale.metadata.managedFields = ManagedFields.entries(of: value)
                return scale
            }
            let value = try language.apply(patch.value, to: live, of: Scale.resource)
            let decoded = try PatchBody.object(Scale.self, value, patch, language, options.fieldValidation)
            return fields.tracked(decoded.object, given: decoded.managedFields, live: live)
        }
    }

    /// Writes the scale that is made of the present one, which shows the managers of the number of replicas.
    private func setScale(
        _ options: WriteQuery, warnings: [String], _ change: (JSONValue) throws(APIError) -> Scale
    ) async throws(APIError) -> Answer {
        guard let rules = resource.scale else { throw .resourceNotFound }
        let answer = try await modify(.whole, options, warnings: warnings, retries: true) {
            stored throws(APIError) in
            var object = try StoredForm.decode(stored, as: Object.self)
            let managers = try tree(of: stored).value(at: "metadata", "managedFields")
            var live = try scale(of: object).jsonValue
            live["metadata"]?["managedFields"] = ScaleFields.ofScale(parent: managers)
            let wanted = try change(live)
            try check(wanted, object)
            rules.set(&object, wanted.spec.replicas)
            let merged = ScaleFields.ofParent(
                scale: .array(wanted.metadata.managedFields.map(\.jsonValue)), parent: managers,
                apiVersion: kind.apiVersion)
            object.metadata.managedFields = ManagedFields.entries(
                of: ["metadata": ["managedFields": merged ?? .null]])
            return object
        }
        guard case .object(let bytes) = answer.content else { return answer }
        do {
            return .value(try scale(of: try Object(json: bytes)), warnings: answer.warnings)
        } catch let error as APIError {
            throw error
        } catch {
            throw .internalError("\(error)")
        }
    }

    private func check(_ wanted: Scale, _ object: Object) throws(APIError) {
        let (new, old) = (wanted.metadata, object.metadata)
        guard new.uid.isEmpty || new.uid == old.uid else {
            throw .conflict(
                kind, info.name,
                "Precondition failed: UID in precondition: \(new.uid), UID in object meta: \(old.uid)")
        }
        guard new.resourceVersion.isEmpty || new.resourceVersion == old.resourceVersion else {
            throw .conflict(kind, info.name, APIError.modifiedMessage)
        }
        guard wanted.spec.replicas >= 0 else {
            throw .invalid(
                wanted,
                [
                    .invalid(
                        "spec.replicas", .integer(Int64(wanted.spec.replicas)),
                        "must be greater than or equal to 0")
                ])
        }
    }
}
