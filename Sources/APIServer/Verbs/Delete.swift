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
                guard error.status.reason == "Conflict", attempt < Self.maximumWriteAttempts,
                    core.store.get(stored.key)?.revision != stored.revision,
                    options.preconditions?.resourceVersion == nil
                else { throw error }
                attempt += 1
            }
        }
    }

    private func deleteOnce(_ stored: StoredObject, _ options: DeleteOptions) async throws(APIError) -> Answer
    {
        let name = stored.key.name
        let old = try StoredForm.decode(stored, as: Object.self)
        try restrict(.delete, new: nil, old: old)
        let isDryRun = options.dryRun.contains("All")
        _ = try core.admission.validate(
            Object?.none, old: old, admissionRequest(.delete, name: name, isDryRun: isDryRun), core
        )
        try Preparation.check(options.preconditions, old)
        var object = old
        var outcome = Preparation.delete(&object, options, resource, now: core.now())
        markNamespace(&object, old, &outcome)
        var warnings = standingWarnings
        if let warning = resource.propagationWarning, options.propagationPolicy == nil,
            options.orphanDependents == nil
        {
            warnings.append(warning)
        }
        switch outcome {
        case .remove:
            if isDryRun { return goneAnswer(stored.bytes, uid: stored.uid, name: name, warnings) }
            let gone = try await remove(stored, old)
            return goneAnswer(gone.bytes, uid: gone.uid, name: name, warnings)
        case .mark(let changed):
            // Only those who asked in the oldest way are told that it is not done yet.
            let status: HTTPResponseStatus = options.orphanDependents == false ? .accepted : .ok
            guard changed, !isDryRun else {
                return changed
                    ? .value(object, status: status, warnings: warnings)
                    : Answer(.object(stored.bytes), status: status, warnings: warnings)
            }
            let draft = try StoredForm.draft(of: object, resource)
            let result = try await commit(
                .update(stored.key, draft, expected: stored.revision), new: object, old: old)
            return Answer(.object(result.bytes), status: status, warnings: warnings)
        }
    }

    /// Deletes an object together with what was allocated for it.
    private func remove(_ stored: StoredObject, _ old: Object) async throws(APIError) -> StoredObject {
        while true {
            let companions = resource.release?(old) ?? []
            do {
                return try await commit(
                    .delete(stored.key, expected: stored.revision), with: companions, new: nil, old: old)
            } catch {
                // Somebody else was at what was allocated, not at the object: look again.
                guard companions.isOvertaken(in: core.store),
                    core.store.get(stored.key)?.revision == stored.revision
                else { throw error }
            }
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

    private func goneAnswer(
        _ bytes: [UInt8], uid: String, name: String, _ warnings: [String]
    ) -> Answer {
        guard !resource.returnsDeletedObject else { return Answer(.object(bytes), warnings: warnings) }
        return .value(
            Status(
                status: "Success",
                details: StatusDetails(name: name, group: kind.group, kind: kind.plural, uid: uid)),
            warnings: warnings)
    }

    /// Deletes what a list with the same query shows.
    func deleteCollection() async throws(APIError) -> Answer {
        let options = try await deleteOptions()
        let query = try ListQuery(context.query, isWatch: false, selectable: fieldLabels)
        let page = try await page(query)
        let refusal = await withTaskGroup(of: APIError?.self) { group in
            var left = page.objects.map(\.key.name)[...]
            for name in left.prefix(Self.deletionsAtOnce) {
                group.addTask { await self.remove(name, options) }
            }
            left = left.dropFirst(Self.deletionsAtOnce)
            var first: APIError?
            while let refusal = await group.next() {
                first = first ?? refusal
                guard first == nil, let name = left.popFirst() else { continue }
                group.addTask { await self.remove(name, options) }
            }
            return first
        }
        if let refusal { throw refusal }
        return Answer(.list(page), warnings: standingWarnings)
    }

    /// As many as the store commits together.
    private static var deletionsAtOnce: Int { 64 }

    private func remove(_ name: String, _ options: DeleteOptions) async -> APIError? {
        do {
            _ = try await delete(name, options)
            return nil
        } catch {
            // Somebody else deleted it first: that is what was asked for.
            return error.status.reason == "NotFound" ? nil : error
        }
    }
}
