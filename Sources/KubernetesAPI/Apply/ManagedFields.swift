import KubernetesJSON

/// Who set which fields of an object: `metadata.managedFields`, as writes other than apply change it.
///
/// Server-side apply is described in KEP-555.
public enum ManagedFields {
    /// The object to be stored, with `metadata.managedFields` brought up to date for a create, update or patch.
    ///
    /// The fields that the write changes or adds become the manager's and leave those who owned them; fields that
    /// are gone leave everybody. A client may set `metadata.managedFields` itself, also to forget all entries (an
    /// empty list, or one empty entry); after that nothing is tracked until the object is applied.
    /// - Parameters:
    ///   - live: The object before the write; nil for a create.
    ///   - new: The object after the write, with defaults, as it will be stored, but with the managedFields of the
    ///     request: an empty list there is not the same as none.
    ///   - manager: The name of the field manager, see `manager(named:userAgent:)`.
    ///   - subresource: The subresource through which the object is written; empty for the object itself.
    public static func updating(
        live: JSONValue?, new: JSONValue, type: SchemaType, manager: String, subresource: String = "",
        now: Time,
        schema: MergeSchema = .shared
    ) -> JSONValue {
        guard let context = ManagementContext(type, subresource, schema) else { return new }
        var result = new
        let given = result.takeManagedFields()
        guard var before = live else {
            let entries = (isReset(given) ? nil : decoded(given)) ?? ManagerEntries()
            let difference = context.difference(from: context.zero, to: result)
            result.setManagedFields(context.updating(entries, difference, manager, now).json)
            return result
        }
        let known = before.takeManagedFields()
        let difference = context.difference(from: before, to: result)
        let isGiven = subresource.isEmpty && given != nil && given != known
        if isGiven, isReset(given) { return result }
        if !isGiven, difference.isEmpty {
            result.setManagedFields(known)
            return result
        }
        // Clients that do not know managed fields leave them out; that forgets nothing.
        var entries = isGiven ? decoded(given) : nil
        if entries?.entries.isEmpty != false { entries = decoded(known) }
        // Objects whose owners were forgotten are not tracked until they are applied.
        guard let entries, !entries.entries.isEmpty else { return result }
        result.setManagedFields(context.updating(entries, difference, manager, now).json)
        return result
    }

    /// The name of a field manager: what the request says, else the program in its User-Agent.
    public static func manager(named name: String, userAgent: String) -> String {
        if !name.isEmpty { return name }
        var text = ""
        for scalar in userAgent.unicodeScalars {
            if scalar == "/" { break }
            guard scalar.value >= 0x20, scalar.value != 0x7F else { continue }
            if text.utf8.count + UTF8.width(scalar) > maximumManagerLength { break }
            text.unicodeScalars.append(scalar)
        }
        return text
    }

    /// The entries as values of their type, for an object that is one of its type.
    public static func entries(of object: JSONValue) -> [ManagedFieldsEntry] {
        (object.value(at: "metadata", "managedFields")?.arrayValue ?? []).map { entry in
            ManagedFieldsEntry(
                manager: entry["manager"]?.stringValue ?? "",
                operation: entry["operation"]?.stringValue ?? "",
                apiVersion: entry["apiVersion"]?.stringValue ?? "",
                time: entry["time"]?.stringValue.flatMap { Time($0) },
                fieldsType: entry["fieldsType"]?.stringValue ?? "", fieldsV1: entry["fieldsV1"],
                subresource: entry["subresource"]?.stringValue ?? "")
        }
    }

    /// The longest name of a field manager, in bytes.
    public static let maximumManagerLength = 128

    /// Whether two objects differ in nothing but their resourceVersion and the times in managed fields. A write
    /// that makes no other difference must not be stored.
    public static func areSame(_ left: JSONValue, _ right: JSONValue) -> Bool {
        func normal(_ value: JSONValue) -> JSONValue {
            var value = value
            let entries = value.takeManagedFields()
            value["metadata"]?["resourceVersion"] = nil
            if case .array(var elements)? = entries {
                for index in elements.indices { elements[index]["time"] = nil }
                value.setManagedFields(.array(elements))
            }
            return value
        }
        return left == right || normal(left) == normal(right)
    }

    private static func isReset(_ value: JSONValue?) -> Bool {
        guard case .array(let entries)? = value else { return false }
        return entries.isEmpty || (entries.count == 1 && entries[0] == .object(JSONObject()))
    }

    private static func decoded(_ value: JSONValue?) -> ManagerEntries? { try? ManagerEntries(value) }
}

/// What the management of the fields of one request depends on.
struct ManagementContext {
    let walk: ObjectWalk
    let shape: MergeSchema.Shape
    let kind: ResourceKind
    let subresource: String
    /// What Go's zero value of the type is.
    let zero: JSONValue
    /// Fields that the request cannot set.
    let ignored: FieldSet

    init?(_ type: SchemaType, _ subresource: String, _ schema: MergeSchema) {
        guard let kind = type.kind, let structure = schema.structure(of: type) else { return nil }
        walk = ObjectWalk(schema: schema)
        shape = schema.shape(of: type)
        self.kind = kind
        self.subresource = subresource
        zero = structure.zero
        ignored = Self.ignored(kind, subresource, hasStatus: structure.hasStatus)
    }

    /// A write to the object leaves its status alone, one to the status leaves all else alone.
    private static func ignored(_ kind: ResourceKind, _ subresource: String, hasStatus: Bool) -> FieldSet {
        guard hasStatus, subresource != "scale" else { return FieldSet() }
        guard subresource == "status" else { return FieldSet([FieldPath("status")]) }
        var paths = [FieldPath("spec")]
        switch kind.groupResource {
        case "deployments.apps": paths.append(FieldPath("metadata", "labels"))
        case "pods":
            paths.append(FieldPath("metadata", "deletionTimestamp"))
            paths.append(FieldPath("metadata", "ownerReferences"))
        default: break
        }
        return FieldSet(paths)
    }

    /// What nobody owns: the fields that say which object it is, and those that the server sets.
    static let neverOwned = FieldSet([
        FieldPath("apiVersion"), FieldPath("kind"), FieldPath("metadata"), FieldPath("metadata", "name"),
        FieldPath("metadata", "namespace"), FieldPath("metadata", "creationTimestamp"),
        FieldPath("metadata", "selfLink"), FieldPath("metadata", "uid"), FieldPath("metadata", "generation"),
        FieldPath("metadata", "managedFields"), FieldPath("metadata", "resourceVersion"),
    ])

    /// Whether the fields of an entry are named in a version that is served.
    func isServed(_ entry: ManagerEntry) -> Bool {
        if entry.apiVersion == kind.apiVersion { return true }
        return SchemaRegistry.shared.type(apiVersion: entry.apiVersion, kind: kind.kind) != nil
    }

    /// What the request changes, of that which it can.
    func difference(from old: JSONValue, to new: JSONValue) -> ObjectDifference {
        walk.difference(from: old, to: new, shape).without(ignored)
    }

    /// The entries after a manager made a difference.
    func updating(
        _ entries: ManagerEntries, _ difference: ObjectDifference, _ manager: String, _ now: Time
    ) -> ManagerEntries {
        let set = difference.modified.union(difference.added)
        var entries = entries
        entries.entries = remaining(entries.entries, difference, set)
        let taken = set.subtracting(Self.neverOwned)
        if !taken.isEmpty {
            var own = ManagerEntry(
                manager: manager.isEmpty ? "unknown" : manager, operation: .update,
                apiVersion: kind.apiVersion,
                time: now, subresource: subresource, fields: taken)
            if let position = entries.position(of: own) {
                own.fields = own.fields.union(entries.entries[position].fields)
                entries.entries[position] = own
            } else {
                entries.entries.append(own)
            }
        }
        entries.limitUpdaters()
        return entries
    }

    /// What is left to managers when somebody else sets some fields and others are gone.
    func remaining(
        _ entries: [ManagerEntry], _ difference: ObjectDifference, _ taken: FieldSet
    ) -> [ManagerEntry] {
        entries.compactMap { entry in
            guard isServed(entry) else { return nil }
            var entry = entry
            entry.fields = entry.fields.subtracting(taken).subtracting(difference.removed)
            return entry.fields.isEmpty ? nil : entry
        }
    }
}

extension JSONValue {
    /// Removes `metadata.managedFields`.
    mutating func takeManagedFields() -> JSONValue? {
        guard case .object(var object) = self, case .object(var metadata)? = object["metadata"] else {
            return nil
        }
        guard let fields = metadata.removeValue(forKey: "managedFields") else { return nil }
        object["metadata"] = .object(metadata)
        self = .object(object)
        return fields
    }

    mutating func setManagedFields(_ fields: JSONValue?) {
        guard case .object(var object) = self else { return }
        var metadata = object["metadata"]?.objectValue ?? JSONObject()
        metadata["managedFields"] = fields
        object["metadata"] = .object(metadata)
        self = .object(object)
    }
}
