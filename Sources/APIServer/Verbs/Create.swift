import KubernetesAPI
import KubernetesJSON
import ObjectStore

extension ResourceVerbs {
    func create() async throws(APIError) -> Answer {
        let options = try WriteQuery(context.query, kind: "CreateOptions")
        let decoded = try BodyDecoder.decode(
            Object.self, try await context.body(),
            contentType: context.request.headers.first(name: "content-type"), options.fieldValidation)
        var object = decoded.object
        try Preparation.settle(
            &object.metadata, isNamespaced: kind.isNamespaced, namespace: info.namespace)
        let warnings = decoded.warnings + Preparation.dedupOwners(&object.metadata)
        object = try fieldManagement(options).tracked(object, given: decoded.managedFields, live: nil)
        return try await create(object, options, warnings: warnings)
    }

    /// Creates an object that was read from a body, in the namespace of the path and with its managers.
    func create(
        _ template: Object, _ options: WriteQuery, warnings: [String]
    ) async throws(APIError) -> Answer {
        guard template.metadata.resourceVersion.isEmpty else {
            // Upstream's storage says so, and what storage says has no reason.
            throw APIError(
                code: 500, reason: "",
                message: "resourceVersion should not be set on objects to be created")
        }
        if let key = resource.prerequisite(template, info.namespace),
            core.namespace(info.namespace)?.metadata.deletionTimestamp == nil
        {
            await core.waitForObject(key, atMost: .seconds(3))
        }
        let isNameless = template.metadata.name.isEmpty && !template.metadata.generateName.isEmpty
        var attempt = 1
        while true {
            do {
                return try await createOnce(template, isNameless: isNameless, options, warnings)
            } catch {
                // A made-up name met one that exists: make up another.
                guard isNameless, error.status.reason == "AlreadyExists" else { throw error }
                guard attempt < Self.maximumAttempts else {
                    throw .generatedNameConflict(kind, error.status.details?.name ?? "")
                }
                attempt += 1
            }
        }
    }

    private func alreadyExists(_ present: StoredObject) -> APIError {
        var error = APIError.alreadyExists(kind, present.key.name)
        if let object = try? Object(json: present.bytes), object.metadata.deletionTimestamp != nil {
            error.status.message = "object is being deleted: \(error.status.message)"
        }
        return error
    }

    private func createOnce(
        _ template: Object, isNameless: Bool, _ options: WriteQuery, _ warnings: [String]
    ) async throws(APIError) -> Answer {
        var object = template
        var generator = SystemRandomNumberGenerator()
        try restrict(.create, new: object, old: nil)
        var admission = admissionRequest(.create, name: object.metadata.name, isDryRun: options.isDryRun)
        try core.admission.mutate(&object, old: nil, admission, core)
        if isNameless {
            object.metadata.name = RandomName.generate(
                from: object.metadata.generateName, using: &generator)
        }
        Preparation.forCreate(
            &object, resource, uid: RandomName.uuid(using: &generator), now: core.now())
        let errors = resource.validation?(object, nil) ?? Validation.errors(creating: object)
        if !errors.isEmpty { throw .invalid(object, errors) }
        admission.name = object.metadata.name
        let advice = try core.admission.validate(object, old: nil, admission, core)
        let key = key(object.metadata.name)
        // Before anything is allocated for it: a name that is taken must not cost an address.
        if let present = core.store.get(key) { throw alreadyExists(present) }
        let prepared = object
        while true {
            object = prepared
            let reservation = try resource.allocate?(&object, nil, options.isDryRun) ?? .none
            let ownWarnings =
                resource.warnings(object) + resource.creationWarnings(object) + resource.specWarnings(object)
                + resource.changeWarnings(object, nil)
            let warnings = standingWarnings + warnings + ownWarnings + advice
            if options.isDryRun {
                return .value(object, status: .created, warnings: warnings)
            }
            do {
                let draft = try StoredForm.draft(of: object, resource)
                let stored = try await commit(
                    .create(key, draft), with: reservation.companions, new: object, old: nil)
                reservation.confirm()
                return Answer(.object(stored.bytes), status: .created, warnings: warnings)
            } catch {
                reservation.cancel()
                // What was allocated went to somebody else at the last moment: allocate again.
                guard reservation.companions.isOvertaken(in: core.store) else { throw error }
            }
        }
    }
}
