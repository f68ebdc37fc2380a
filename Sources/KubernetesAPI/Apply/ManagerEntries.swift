import KubernetesJSON

/// The fields that one manager set in one way: an entry of `metadata.managedFields`.
public struct ManagerEntry: Sendable, Hashable {
    /// How the fields were set.
    public enum Operation: String, Sendable, Hashable {
        /// By server-side apply.
        case apply = "Apply"
        /// By any other write.
        case update = "Update"
    }

    /// The name of the manager.
    public var manager: String
    /// How the fields were set.
    public var operation: Operation
    /// The API version in which the fields are named.
    public var apiVersion: String
    /// When the entry changed last.
    public var time: Time?
    /// The subresource through which the fields were set; empty for the object itself.
    public var subresource: String
    /// The fields.
    public var fields: FieldSet

    /// Makes an entry.
    public init(
        manager: String, operation: Operation, apiVersion: String, time: Time? = nil,
        subresource: String = "",
        fields: FieldSet = FieldSet()
    ) {
        self.manager = manager
        self.operation = operation
        self.apiVersion = apiVersion
        self.time = time
        self.subresource = subresource
        self.fields = fields
    }

    /// Whether two entries are those of the same manager: one that applies keeps its entry when it changes the
    /// API version, one that updates gets another.
    func hasSameIdentity(as other: ManagerEntry) -> Bool {
        manager == other.manager && operation == other.operation && subresource == other.subresource
            && (operation == .apply || apiVersion == other.apiVersion)
    }

    /// What upstream sorts managers by.
    var identity: String {
        var object: JSONObject = ["manager": .string(manager), "operation": .string(operation.rawValue)]
        if operation == .update { object["apiVersion"] = .string(apiVersion) }
        if !subresource.isEmpty { object["subresource"] = .string(subresource) }
        return JSONValue.object(object).description
    }

    /// The manager as conflicts name it: `"kubectl-edit" with subresource "status" using apps/v1`.
    public var description: String {
        var text = GoText.quoted(manager)
        if !subresource.isEmpty { text += " with subresource \(GoText.quoted(subresource))" }
        if operation == .update { text += " using \(apiVersion)" }
        return text
    }

    // MARK: JSON

    init(_ value: JSONValue, at index: Int) throws(APIError) {
        guard let operation = value["operation"]?.stringValue.flatMap(Operation.init) else {
            throw .badRequest("metadata.managedFields[\(index)]: operation must be `Apply` or `Update`")
        }
        guard let apiVersion = value["apiVersion"]?.stringValue, !apiVersion.isEmpty else {
            throw .badRequest("metadata.managedFields[\(index)]: apiVersion must not be empty")
        }
        guard value["fieldsType"]?.stringValue == "FieldsV1" else {
            throw .badRequest("metadata.managedFields[\(index)]: fieldsType must be `FieldsV1`")
        }
        self.init(
            manager: value["manager"]?.stringValue ?? "", operation: operation, apiVersion: apiVersion,
            time: value["time"]?.stringValue.flatMap { Time($0) },
            subresource: value["subresource"]?.stringValue ?? "",
            fields: try FieldSet(fieldsV1: value["fieldsV1"] ?? .null))
    }

    var json: JSONValue {
        var object = JSONObject()
        if !manager.isEmpty { object["manager"] = .string(manager) }
        object["operation"] = .string(operation.rawValue)
        object["apiVersion"] = .string(apiVersion)
        if let time { object["time"] = .string(time.description) }
        object["fieldsType"] = "FieldsV1"
        object["fieldsV1"] = fields.fieldsV1
        if !subresource.isEmpty { object["subresource"] = .string(subresource) }
        return .object(object)
    }
}

/// All entries of `metadata.managedFields`, one for each manager.
public struct ManagerEntries: Sendable, Hashable {
    /// The entries, in no particular order.
    public var entries: [ManagerEntry]

    /// Makes an empty list.
    public init() { entries = [] }

    /// Reads `metadata.managedFields`; absent is empty.
    /// - Throws: `APIError` (400) if an entry makes no sense.
    public init(_ value: JSONValue?) throws(APIError) {
        entries = []
        guard case .array(let elements)? = value else { return }
        for (index, element) in elements.enumerated() {
            let entry = try ManagerEntry(element, at: index)
            if let position = position(of: entry) { entries[position] = entry } else { entries.append(entry) }
        }
    }

    func position(of entry: ManagerEntry) -> Int? {
        entries.firstIndex { $0.hasSameIdentity(as: entry) }
    }

    /// The entries as upstream sorts them: those that apply first, then the oldest; nil if there are none.
    public var json: JSONValue? {
        if entries.isEmpty { return nil }
        let sorted = entries.sorted { left, right in
            if left.operation != right.operation { return left.operation == .apply }
            let times = (left.time?.seconds ?? 0, right.time?.seconds ?? 0)
            if times.0 != times.1 { return times.0 < times.1 }
            if left.manager != right.manager { return left.manager < right.manager }
            if left.apiVersion != right.apiVersion { return left.apiVersion < right.apiVersion }
            return left.subresource < right.subresource
        }
        return .array(sorted.map(\.json))
    }

    // MARK: Limit

    /// How many managers that update are kept apart.
    public static let maximumUpdaters = 10
    /// Whose the fields of older ones become.
    public static let ancientManager = "ancient-changes"

    /// Puts the oldest managers that update together until there are no more than the limit, one bucket for each
    /// API version.
    mutating func limitUpdaters() {
        var count = entries.count { $0.operation == .update }
        guard count > Self.maximumUpdaters else { return }
        let oldestFirst = entries.filter { $0.operation == .update }.sorted { left, right in
            let times = (left.time?.seconds ?? 0, right.time?.seconds ?? 0)
            return times.0 == times.1 ? left.identity < right.identity : times.0 < times.1
        }
        var firstOfVersion: [String: ManagerEntry] = [:]
        for entry in oldestFirst where count > Self.maximumUpdaters {
            guard let first = firstOfVersion[entry.apiVersion] else {
                firstOfVersion[entry.apiVersion] = entry
                continue
            }
            var bucket = ManagerEntry(
                manager: Self.ancientManager, operation: .update, apiVersion: entry.apiVersion)
            if entry.hasSameIdentity(as: bucket) { continue }
            if let position = position(of: bucket) {
                bucket.fields = entries[position].fields
                entries.remove(at: position)
            } else if let position = position(of: first) {
                // A single old entry keeps its name; only a second one makes a bucket of the two.
                bucket.fields = entries[position].fields
                entries.remove(at: position)
            }
            bucket.fields = bucket.fields.union(entry.fields)
            bucket.time = entry.time
            entries.removeAll { $0.hasSameIdentity(as: entry) }
            entries.append(bucket)
            count -= 1
        }
    }
}
