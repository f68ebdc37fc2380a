import KubernetesJSON

/// Server-side apply (KEP-555): a client says which fields it wants to have which values; the server merges that
/// into the object, remembers that the client owns these fields, removes those it owned before and does not
/// mention any more, and refuses to change what others own unless it is forced to.
public enum ServerSideApply {
    /// The object to be stored.
    ///
    /// What the server must still do as for an update: restore what a client cannot set (uid, creationTimestamp,
    /// the fields outside the subresource), apply defaults, validate, and store nothing if the object is the same
    /// (`ManagedFields.areSame`).
    /// - Parameters:
    ///   - configuration: What the client wants. Its apiVersion and kind must be those of the type.
    ///   - live: The object; nil if it is to be created.
    ///   - manager: The name of the field manager, which apply requires.
    ///   - force: Whether the manager takes over fields that others own.
    ///   - subresource: The subresource that is applied to; empty for the object itself.
    /// - Throws: `APIError`: 409 with a cause for each field that another manager owns, 400 if the configuration
    ///   is for another type or sets managedFields, 500 (as upstream) if it does not fit the schema.
    public static func apply(
        _ configuration: JSONValue, to live: JSONValue?, _ type: SchemaType, manager: String,
        force: Bool = false,
        subresource: String = "", now: Time, schema: MergeSchema = .shared
    ) throws(APIError) -> JSONValue {
        guard let context = ManagementContext(type, subresource, schema) else {
            throw .internalError("type \(type.name) cannot be applied")
        }
        let application = Application(
            context: context, configuration: configuration, manager: manager.isEmpty ? "unknown" : manager,
            now: now)
        try application.checkConfiguration()
        var before = live ?? .object(JSONObject())
        let known = before.takeManagedFields()
        var entries: ManagerEntries
        do {
            entries = try ManagerEntries(known)
        } catch {
            throw APIError(
                code: 500, reason: "", message: "failed to decode managed fields: \(error.status.message)")
        }
        if entries.entries.isEmpty, live != nil {
            // Whatever is there already was set by somebody of whom nothing is known.
            entries = application.claimAll(of: before)
        }
        let merged: (object: JSONValue, entries: ManagerEntries)
        do {
            merged = try application.apply(to: before, entries, force: force)
        } catch {
            merged = try application.retry(after: error, to: before, entries)
        }
        var result = merged.object
        application.updateLastApplied(&result)
        result.setManagedFields(merged.entries.json)
        return result
    }
}

/// Fields of one configuration that others own.
private struct ApplyConflicts: Error {
    struct Conflict {
        let owner: ManagerEntry
        let path: FieldPath
    }

    /// Sorted by owner.
    var conflicts: [Conflict]

    /// The error in upstream's words.
    var apiError: APIError {
        let causes = conflicts.map {
            StatusCause(
                reason: "FieldManagerConflict", message: "conflict with \($0.owner.description)",
                field: $0.path.description)
        }
        if conflicts.count == 1, let only = conflicts.first {
            return .applyConflict(
                "Apply failed with 1 conflict: conflict with \(only.owner.description): \(only.path)",
                causes: causes)
        }
        var lines: [String] = []
        var owner: ManagerEntry?
        for conflict in conflicts {
            if owner?.hasSameIdentity(as: conflict.owner) != true {
                lines.append("conflicts with \(conflict.owner.description):")
                owner = conflict.owner
            }
            lines.append("- \(conflict.path)")
        }
        return .applyConflict(
            "Apply failed with \(conflicts.count) conflicts: \(lines.joined(separator: "\n"))", causes: causes
        )
    }
}

/// One configuration that is applied.
private struct Application {
    let context: ManagementContext
    let configuration: JSONValue
    let manager: String
    let now: Time

    private static let lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
    /// The annotations of an object may take this many bytes in all.
    private static let maximumAnnotationBytes = 256 << 10
    /// The manager under which kubectl applies unless it is told another one.
    private static let kubectl = "kubectl"

    private var walk: ObjectWalk { context.walk }
    private var shape: MergeSchema.Shape { context.shape }

    // MARK: The configuration

    func checkConfiguration() throws(APIError) {
        let apiVersion = configuration["apiVersion"]?.stringValue ?? ""
        let kind = configuration["kind"]?.stringValue ?? ""
        let goKind = Self.goKind(apiVersion, kind)
        if apiVersion != context.kind.apiVersion || kind != context.kind.kind {
            throw .badRequest("invalid object type: \(goKind)")
        }
        if let fields = configuration.value(at: "metadata", "managedFields"), !fields.isNull {
            throw .badRequest("metadata.managedFields must be nil")
        }
        var check = ConfigurationCheck(walk)
        check.check(configuration, shape)
        if let message = check.message {
            let namespace = configuration.value(at: "metadata", "namespace")?.stringValue ?? ""
            let name = configuration.value(at: "metadata", "name")?.stringValue ?? ""
            throw APIError(
                code: 500, reason: "",
                message: "failed to create typed patch object (\(namespace)/\(name); \(goKind)): \(message)")
        }
    }

    /// A kind as Go prints it: `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`.
    private static func goKind(_ apiVersion: String, _ kind: String) -> String {
        (apiVersion.contains("/") ? apiVersion : "/\(apiVersion)") + ", Kind=\(kind)"
    }

    // MARK: Owners

    /// Everything there is, owned by one manager that stands for the time before.
    func claimAll(of live: JSONValue) -> ManagerEntries {
        let set = context.difference(from: context.zero, to: live)
        let fields = set.modified.union(set.added).subtracting(ManagementContext.neverOwned)
        var entries = ManagerEntries()
        if fields.isEmpty { return entries }
        entries.entries = [
            ManagerEntry(
                manager: "before-first-apply", operation: .update, apiVersion: context.kind.apiVersion,
                time: now,
                subresource: context.subresource, fields: fields)
        ]
        return entries
    }

    /// The object with the configuration merged in, and who owns what then.
    func apply(
        to live: JSONValue, _ before: ManagerEntries, force: Bool
    ) throws(ApplyConflicts) -> (object: JSONValue, entries: ManagerEntries) {
        var own = ManagerEntry(
            manager: manager, operation: .apply, apiVersion: context.kind.apiVersion,
            subresource: context.subresource,
            fields: walk.fields(of: configuration, shape).children.subtractingTrees(context.ignored))
        var others = before.entries
        let last = before.position(of: own).map { others.remove(at: $0) }
        let merged = walk.merging(configuration, into: live, shape)
        let owned = others.reduce(own.fields) { $0.union($1.fields) }
        let object = pruning(merged, last, owned)

        let difference = context.difference(from: live, to: object)
        let changed = difference.modified.union(difference.added)
        if !force { try refuse(changed, others) }
        others = context.remaining(others, difference, changed)
        own.fields = own.fields.subtracting(ManagementContext.neverOwned)
        let isSame =
            difference.isEmpty && object == live && own.fields == last?.fields
            && own.apiVersion == last?.apiVersion
        own.time = isSame ? last?.time : now
        var entries = ManagerEntries()
        entries.entries = own.fields.isEmpty ? others : others + [own]
        return (object, entries)
    }

    private func refuse(_ changed: FieldSet, _ others: [ManagerEntry]) throws(ApplyConflicts) {
        var conflicts: [ApplyConflicts.Conflict] = []
        if changed.isEmpty { return }
        for entry in others.sorted(by: { $0.identity < $1.identity }) where context.isServed(entry) {
            for path in entry.fields.intersection(changed).paths {
                conflicts.append(ApplyConflicts.Conflict(owner: entry, path: path))
            }
        }
        if !conflicts.isEmpty { throw ApplyConflicts(conflicts: conflicts) }
    }

    /// Removes what the manager applied before, does not apply now, and nobody owns.
    ///
    /// A structure or list element that is left without any owner goes as a whole, with the defaults in it; what
    /// the manager never owned stays, if only something around it does.
    private func pruning(_ merged: JSONValue, _ last: ManagerEntry?, _ owned: FieldSet) -> JSONValue {
        guard let last, !last.fields.isEmpty, context.isServed(last) else { return merged }
        // The usual case: all that was applied before is owned still.
        if last.fields.subtracting(owned).isEmpty { return merged }
        func parents(_ set: FieldSet) -> FieldSet { walk.withDeclaredParents(set, shape) }
        func all(_ value: JSONValue) -> FieldSet { parents(walk.fields(of: value, shape).children) }
        let empty = JSONValue.object(JSONObject())
        let applied = parents(last.fields)
        let present = all(merged)
        // All that was applied before goes, with what is in it …
        var rest = walk.removing(applied, from: merged, shape) ?? empty
        // … but what somebody owns comes back …
        let kept = all(rest).union(parents(owned))
        rest = walk.removing(present.subtracting(kept), from: merged, shape) ?? empty
        // … and so does what was only inside something that went.
        let gone = present.subtracting(all(rest)).intersection(applied)
        return walk.removing(gone, from: merged, shape) ?? empty
    }

    // MARK: Coming from client-side apply

    /// kubectl may take over what it applied from the client's side before: the annotation holds what that was.
    func retry(
        after error: ApplyConflicts, to live: JSONValue, _ entries: ManagerEntries
    ) throws(APIError) -> (object: JSONValue, entries: ManagerEntries) {
        guard manager == Self.kubectl, let allowed = fieldsOfLastApplied(live) else { throw error.apiError }
        let left = error.conflicts.filter { !allowed.contains($0.path) }
        if !left.isEmpty { throw ApplyConflicts(conflicts: left).apiError }
        do {
            return try apply(to: live, entries, force: true)
        } catch {
            throw error.apiError
        }
    }

    /// The fields that client-side apply set and that nobody has changed since.
    private func fieldsOfLastApplied(_ live: JSONValue) -> FieldSet? {
        guard let text = live.value(at: "metadata", "annotations", Self.lastApplied)?.stringValue,
            let applied = try? JSONValue(json: Array(text.utf8)),
            applied["apiVersion"]?.stringValue == context.kind.apiVersion
        else { return nil }
        var check = ConfigurationCheck(walk)
        check.check(applied, shape)
        guard check.problems.isEmpty else { return nil }
        let difference = walk.difference(from: applied, to: live, shape)
        return walk.fields(of: applied, shape).children.subtracting(difference.modified)
            .subtracting(difference.added).subtracting(difference.removed)
    }

    /// Client-side apply must find what kubectl applied last, so that one can go back to it.
    func updateLastApplied(_ object: inout JSONValue) {
        guard manager == Self.kubectl,
            let old = object.value(at: "metadata", "annotations", Self.lastApplied)?.stringValue,
            !old.isEmpty,
            var annotations = object.value(at: "metadata", "annotations")?.objectValue
        else { return }
        var applied = configuration
        if var own = applied.value(at: "metadata", "annotations")?.objectValue {
            own.removeValue(forKey: Self.lastApplied)
            applied["metadata"]?["annotations"] = .object(own)
        }
        annotations[Self.lastApplied] = .string(applied.sorted.description + "\n")
        let size = annotations.reduce(0) { $0 + $1.key.utf8.count + ($1.value.stringValue?.utf8.count ?? 0) }
        if size > Self.maximumAnnotationBytes { annotations.removeValue(forKey: Self.lastApplied) }
        object["metadata"]?["annotations"] = .object(annotations)
    }
}

extension JSONValue {
    /// The value with the members of all objects sorted, as upstream writes what has no Go type.
    fileprivate var sorted: JSONValue {
        switch self {
        case .array(let elements): return .array(elements.map(\.sorted))
        case .object(let object):
            return .object(JSONObject(object.sorted { $0.key < $1.key }.map { ($0.key, $0.value.sorted) }))
        default: return self
        }
    }
}
