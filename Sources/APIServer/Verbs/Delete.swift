import HTTPService
import KubernetesAPI
import KubernetesJSON
import ObjectStore

extension ResourceVerbs {
    func delete() async throws(APIError) -> Answer {
        let options = try await deleteOptions()
        return try await delete(info.name, options)
    }

    /// Options come in the body, or else in the query.
    private func deleteOptions() async throws(APIError) -> DeleteOptions {
        var options = DeleteOptions()
        let bytes = try await context.body()
        if !bytes.isEmpty {
            options = try BodyDecoder.options(
                bytes, contentType: context.request.headers.first(name: "content-type"))
        } else {
            options.gracePeriodSeconds = try context.query.integer("gracePeriodSeconds")
            options.orphanDependents = context.query.boolean("orphanDependents")
            options.propagationPolicy = context.query.first("propagationPolicy")
        }
        if options.dryRun.isEmpty { options.dryRun = context.query.all("dryRun") }
        let errors = Preparation.errors(of: options)
        if !errors.isEmpty { throw .invalid(options: "DeleteOptions", errors) }
        return options
    }

    func delete(_ name: String, _ options: DeleteOptions) async throws(APIError) -> Answer {
        var attempt = 1
        while true {
            let stored = try stored(name)
            do {
                return try await deleteOnce(stored, options)
            } catch {
                // Somebody wrote in between: look again, unless the client named the state it means.
                guard error.status.reason == "Conflict", attempt < Self.maximumAttempts,
                    core.store.get(stored.key)?.revision != stored.revision,
                    options.preconditions?.resourceVersion == nil
                else { throw error }
                attempt += 1
            }
        }
    }

    private func deleteOnce(_ stored: StoredObject, _ options: DeleteOptions) async throws(APIError) -> Answer
    {
        let old = try StoredForm.decode(stored, as: Object.self)
        try restrict(.delete, new: nil, old: old)
        let isDryRun = options.dryRun.contains("All")
        _ = try core.admission.validate(
            Object?.none, old: old, admissionRequest(.delete, name: stored.key.name, isDryRun: isDryRun), core
        )
        try Preparation.check(options.preconditions, old)
        var object = old
        var outcome = Preparation.delete(&object, options, resource, now: core.now())
        markNamespace(&object, old, &outcome)
        switch outcome {
        case .remove:
            if isDryRun { return goneAnswer(stored.bytes, uid: stored.uid, name: stored.key.name) }
            let gone = try await commit(.delete(stored.key, expected: stored.revision))
            resource.deallocate?(old)
            return goneAnswer(gone.bytes, uid: gone.uid, name: gone.key.name)
        case .mark(let changed):
            guard changed, !isDryRun else {
                return changed
                    ? .value(object, warnings: standingWarnings)
                    : Answer(.object(stored.bytes), warnings: standingWarnings)
            }
            let draft = try StoredForm.draft(of: object, resource)
            let result = try await commit(.update(stored.key, draft, expected: stored.revision))
            return Answer(.object(result.bytes), warnings: standingWarnings)
        }
    }

    /// A namespace goes in two steps: marked and Terminating, then, once the namespace controller has
    /// emptied it and taken its finalizer, removed.
    private func markNamespace(_ object: inout Object, _ old: Object, _ outcome: inout Preparation.Deletion) {
        guard var namespace = object as? Namespace, !namespace.spec.finalizers.isEmpty else { return }
        if namespace.metadata.deletionTimestamp == nil {
            namespace.metadata.deletionTimestamp = core.now()
        }
        namespace.status.phase = "Terminating"
        guard let marked = namespace as? Object else { return }
        object = marked
        outcome = .mark(changed: object != old)
    }

    private func goneAnswer(_ bytes: [UInt8], uid: String, name: String) -> Answer {
        guard !resource.returnsDeletedObject else {
            return Answer(.object(bytes), warnings: standingWarnings)
        }
        return .value(
            Status(
                status: "Success",
                details: StatusDetails(name: name, group: kind.group, kind: kind.plural, uid: uid)),
            warnings: standingWarnings)
    }

    /// Deletes what a list with the same query shows.
    func deleteCollection() async throws(APIError) -> Answer {
        let options = try await deleteOptions()
        let query = try ListQuery(context.query, isWatch: false, selectable: fieldLabels)
        let page = try await page(query)
        for stored in page.objects {
            do {
                _ = try await delete(stored.key.name, options)
            } catch {
                // Somebody else deleted it first: that is what was asked for.
                guard error.status.reason == "NotFound" else { throw error }
            }
        }
        return Answer(.list(page), warnings: standingWarnings)
    }
}
