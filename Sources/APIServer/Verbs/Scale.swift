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
        guard wanted.metadata.name.isEmpty || wanted.metadata.name == info.name else {
            throw .badRequest(
                "the name of the object (\(wanted.metadata.name)) does not match the name on the URL (\(info.name))"
            )
        }
        return try await setScale(options, warnings: decoded.warnings) { _ throws(APIError) in wanted }
    }

    func patchScale() async throws(APIError) -> Answer {
        let type = try PatchType(contentType: context.request.headers.first(name: "content-type"))
        let options = try WriteQuery(context.query, kind: "PatchOptions")
        let (patch, warnings) = try BodyDecoder.patch(try await context.body(), options.fieldValidation)
        return try await setScale(options, warnings: warnings) { scale throws(APIError) in
            let value = try type.apply(patch, to: scale.jsonValue, of: Scale.resource)
            return try BodyDecoder.object(Scale.self, value, options.fieldValidation).object
        }
    }

    private func setScale(
        _ options: WriteQuery, warnings: [String], _ change: (Scale) throws(APIError) -> Scale
    ) async throws(APIError) -> Answer {
        guard let rules = resource.scale else { throw .resourceNotFound }
        var namesRevision = false
        let answer = try await modify(.whole, options, warnings: warnings, retries: true) {
            stored throws(APIError) in
            var object = try StoredForm.decode(stored, as: Object.self)
            let wanted = try change(try scale(of: object))
            namesRevision =
                !wanted.metadata.resourceVersion.isEmpty
                && wanted.metadata.resourceVersion != object.metadata.resourceVersion
            if namesRevision { throw .conflict(kind, info.name, APIError.modifiedMessage) }
            guard wanted.spec.replicas >= 0 else {
                throw .invalid(
                    wanted,
                    [
                        FieldError(
                            .invalid, "spec.replicas", badValue: .integer(Int64(wanted.spec.replicas)),
                            detail: "must be greater than or equal to 0")
                    ])
            }
            rules.set(&object, wanted.spec.replicas)
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
}
