import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// Which stored objects a list or watch is about: looked up in what is kept beside the bytes.
package struct ObjectFilter: Sendable {
    package var labels: Selector
    package var fields: FieldSelector

    package init(labels: Selector, fields: FieldSelector) {
        self.labels = labels
        self.fields = fields
    }

    package var isEverything: Bool { labels.selectsEverything && fields.selectsEverything }

    package func matches(_ stored: StoredObject) -> Bool {
        if !labels.selectsEverything, !labels.matches(stored.labels) { return false }
        if fields.selectsEverything { return true }
        var values = stored.fields
        values["metadata.name"] = stored.key.name
        values["metadata.namespace"] = stored.key.namespace
        return fields.matches(values)
    }
}

extension ResourceVerbs {
    var fieldLabels: [String] { ["metadata.name", "metadata.namespace"] + resource.fieldLabels }

    var namespaceOfPath: String? { kind.isNamespaced && !info.namespace.isEmpty ? info.namespace : nil }

    func list() async throws(APIError) -> Answer {
        let query = try listQuery(isWatch: false)
        return Answer(.list(try await page(query)), warnings: standingWarnings)
    }

    /// What a list or watch asks for; one of a single object may name it in its path.
    func listQuery(isWatch: Bool) throws(APIError) -> ListQuery {
        var query = try ListQuery(context.query, isWatch: isWatch, selectable: fieldLabels)
        guard !info.name.isEmpty, info.isLegacyWatch || !query.fields.selectsEverything else { return query }
        if query.fields.selectsEverything {
            query.fields = FieldSelector([.init(field: "metadata.name", value: info.name)])
        } else if query.fields.exactValue(of: "metadata.name") != info.name {
            throw .badRequest("fieldSelector metadata.name doesn't match requested name")
        }
        return query
    }

    /// One page of the list that the query asks for.
    func page(_ query: ListQuery) async throws(APIError) -> ListAnswer {
        var startAfter: ObjectKey?
        var at: Revision?
        if !query.continuation.isEmpty {
            let token: ContinueToken
            do {
                token = try ContinueToken(decoding: query.continuation)
            } catch {
                throw .badRequest("invalid continue token: \(error.status.message)")
            }
            startAfter = ObjectKey(
                resource: kind.groupResource, namespace: token.namespace, name: token.name)
            at = token.revision
        } else {
            switch query.moment {
            case .latest, .any: break
            case .notOlderThan(let revision): try await core.wait(for: revision)
            case .exact(let revision): at = revision
            }
        }
        do {
            return try page(query, startAfter: startAfter, at: at)
        } catch {
            guard case .compacted = error.code else {
                if case .future(let current) = error.code {
                    throw .futureRevision(at ?? 0, current: current)
                }
                throw failure(error, key(""))
            }
            throw expired(startAfter)
        }
    }

    private func page(
        _ query: ListQuery, startAfter: ObjectKey?, at: Revision?
    ) throws(StoreError) -> ListAnswer {
        let filter = ObjectFilter(labels: query.labels, fields: query.fields)
        let limit = query.limit > 0 ? query.limit : nil
        var found: [StoredObject] = []
        var startAfter = startAfter
        var at = at
        while true {
            let page = try core.store.list(
                resource: kind.groupResource, namespace: namespaceOfPath, startAfter: startAfter,
                limit: limit, at: at)
            at = page.revision
            if filter.isEverything {
                return answer(page.objects, page.revision, remaining: page.remaining, isFiltered: false)
            }
            for stored in page.objects where filter.matches(stored) {
                found.append(stored)
                if found.count == limit {
                    // Whether anything that matches follows is not known without looking; upstream's
                    // clients ask and may get an empty last page.
                    let isLast = page.remaining == 0 && stored.key == page.objects.last?.key
                    return answer(found, page.revision, remaining: isLast ? 0 : 1, isFiltered: true)
                }
            }
            guard page.remaining > 0, let last = page.objects.last else {
                return answer(found, page.revision, remaining: 0, isFiltered: true)
            }
            startAfter = last.key
        }
    }

    private func answer(
        _ objects: [StoredObject], _ revision: Revision, remaining: Int, isFiltered: Bool
    ) -> ListAnswer {
        var answer = ListAnswer(objects: objects, revision: revision)
        if remaining > 0, let last = objects.last {
            answer.continuation =
                ContinueToken(revision: revision, namespace: last.key.namespace, name: last.key.name).encoded
            // With a selector the number is not known (ListMeta.remainingItemCount).
            if !isFiltered { answer.remaining = remaining }
        }
        return answer
    }

    /// A page's snapshot is gone: the answer carries a token with which the client may go on all the same.
    private func expired(_ startAfter: ObjectKey?) -> APIError {
        guard let startAfter else {
            return .expired("The resourceVersion for the provided list is too old.")
        }
        var error = APIError.expired(
            "The provided continue parameter is too old to display a consistent list result. You can start "
                + "a new list without the continue parameter, or use the continue token in this response to "
                + "retrieve the remainder of the results. Continuing with the provided token results in an "
                + "inconsistent list - objects that were created, modified, or deleted between the time the "
                + "first chunk was returned and now may show up in the list.")
        error.status.metadata.`continue` =
            ContinueToken(revision: nil, namespace: startAfter.namespace, name: startAfter.name).encoded
        return error
    }
}

extension ServerCore {
    /// - Throws: `timeout` for a revision that has not happened. The store is the only source of revisions: one
    ///   it does not know was never given out by it, so there is nothing to wait for.
    func wait(for revision: Revision) async throws(APIError) {
        let current = store.revision
        if revision > current { throw .futureRevision(revision, current: current) }
    }

    /// Returns once the object is there, or the time is over.
    func waitForObject(_ key: ObjectKey, atMost limit: Duration) async {
        if store.get(key) != nil { return }
        guard
            let stream = try? store.watch(
                resource: key.resource, namespace: key.namespace, after: store.revision),
            store.get(key) == nil
        else { return }
        let clock = clock
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    for try await element in stream {
                        if case .event(let event) = element, event.key == key { return }
                    }
                } catch {
                    // Too slow a watcher: whoever waits looks for itself.
                }
            }
            group.addTask { try? await clock.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }
}
