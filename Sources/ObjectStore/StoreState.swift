/// The store as a value: what is, what lately was, and the rules by which mutations become events.
/// It knows neither disk nor threads.
package struct StoreState {
    package let limits: HistoryLimits
    package private(set) var revision: Revision
    /// History at or before this revision is gone for every resource.
    private var floor: Revision
    private var tables: [String: ResourceTable] = [:]
    private var lastSweep: Duration = .zero

    /// A fresh store is at revision 1, like a fresh etcd: a list never shows resourceVersion 0, which
    /// means something else to clients.
    package static let initialRevision: Revision = 1

    package init(limits: HistoryLimits = HistoryLimits(), revision: Revision = StoreState.initialRevision) {
        self.limits = limits
        self.revision = revision
        self.floor = revision
    }

    /// Takes in an object that was read back from disk.
    package mutating func restore(_ object: StoredObject) {
        tables[object.key.resource, default: ResourceTable()].put(object)
    }

    /// Takes in what lately happened, once all objects are there.
    ///
    /// - Throws: `corrupted` when it does not lead to the present state.
    package mutating func restore(_ history: RecoveredHistory) throws(StoreError) {
        floor = history.floor
        for (resource, revision) in history.floors {
            tables[resource, default: ResourceTable()].restoreFloor(revision)
        }
        // From the present backwards: what was after a change is what was before the next one of the object.
        var later: [ObjectKey: StoredObject?] = [:]
        var events: [StoreEvent] = []
        for change in history.changes.reversed() {
            let after = later[change.key] ?? get(change.key)
            let object =
                switch change.kind {
                case .added, .modified: after
                case .deleted: after == nil ? change.previous?.stamped(change.revision) : nil
                }
            guard let object, object.revision == change.revision else {
                throw StoreError(
                    .corrupted,
                    "the stored history does not lead to the present state: \(change.key) was \(change.kind) at revision \(change.revision), but is not as it was left then; restore the database from a backup"
                )
            }
            events.append(StoreEvent(kind: change.kind, object: object, previous: change.previous))
            later[change.key] = .some(change.previous)
        }
        for (event, change) in zip(events.reversed(), history.changes) {
            tables[change.key.resource, default: ResourceTable()].restore(event, at: .zero - change.age)
        }
        for resource in tables.keys { tables[resource]?.trim(to: limits, at: .zero) }
    }

    // MARK: Reading

    package func get(_ key: ObjectKey) -> StoredObject? {
        tables[key.resource]?.object(namespace: key.namespace, name: key.name)
    }

    package func count(resource: String) -> Int { tables[resource]?.count ?? 0 }

    /// The resources that have objects.
    package var resources: [String] { tables.filter { $0.value.count > 0 }.keys.sorted() }

    /// The oldest revision from which a watch of this resource can start, or a list be shown.
    package func oldest(resource: String) -> Revision {
        max(floor, tables[resource]?.trimmedThrough ?? 0)
    }

    private func require(_ asked: Revision, servableFor resource: String) throws(StoreError) {
        if asked > revision { throw StoreError.future(asked, current: revision) }
        let oldest = oldest(resource: resource)
        if asked < oldest { throw StoreError.compacted(asked, oldest: oldest) }
    }

    package func list(
        resource: String, namespace: String?, startAfter: ObjectKey?, limit: Int?, at: Revision?
    ) throws(StoreError) -> ListPage {
        if let at { try require(at, servableFor: resource) }
        let shown = at ?? revision
        guard let table = tables[resource] else {
            return ListPage(objects: [], revision: shown, remaining: 0)
        }
        let isPast = table.historyIndex(after: shown) < table.history.count
        let (objects, remaining) = (isPast ? table.asOf(shown) : table)
            .page(namespace: namespace, startAfter: startAfter, limit: limit)
        return ListPage(objects: objects, revision: shown, remaining: remaining)
    }

    /// What a watcher reads in one go: `cursor` is how far it has then come.
    package struct Reading {
        package var events: [StoreEvent]
        package var cursor: Revision
    }

    /// A watcher that is slow to hand on what it read holds no more than this, and one event.
    private static let readingSize = 1 << 20

    package func read(
        resource: String, namespace: String?, after: Revision, limit: Int
    ) throws(StoreError) -> Reading {
        try require(after, servableFor: resource)
        var events: [StoreEvent] = []
        var bytes = 0
        guard let table = tables[resource] else { return Reading(events: [], cursor: revision) }
        for entry in table.history[table.historyIndex(after: after)...] {
            if let namespace, entry.event.key.namespace != namespace { continue }
            events.append(entry.event)
            bytes += entry.event.object.storage.bytes.count
            if events.count == limit || bytes >= Self.readingSize {
                return Reading(events: events, cursor: entry.event.revision)
            }
        }
        return Reading(events: events, cursor: revision)
    }

    /// The events of some resources after a revision, in order; nil when some of them are forgotten.
    package func changes(of resources: [String], after: Revision) -> [StoreEvent]? {
        var events: [StoreEvent] = []
        for resource in resources {
            guard let table = tables[resource] else { continue }
            if after < table.trimmedThrough { return nil }
            guard let last = table.history.last, last.event.revision > after else { continue }
            events += table.history[table.historyIndex(after: after)...].map(\.event)
        }
        return events.sorted { $0.revision < $1.revision }
    }

    /// The present objects of some resources.
    package func present(of resources: [String]) -> [StoredObject] {
        resources.flatMap { tables[$0]?.page(namespace: nil, startAfter: nil, limit: nil).objects ?? [] }
    }

    // MARK: Writing

    /// Events that are decided but not durable yet: what the commits of one group do to the state.
    package struct Group {
        package fileprivate(set) var events: [StoreEvent] = []
        /// Resources of whose history the disk is to forget everything up to and including a revision.
        package fileprivate(set) var forgotten: [String: Revision] = [:]
        fileprivate var overlay: [ObjectKey: StoredObject?] = [:]
        /// The revision of the store once the group is applied.
        package fileprivate(set) var revision: Revision
    }

    package func beginGroup() -> Group {
        var group = Group(revision: revision)
        for (resource, table) in tables where table.hasManyLeftovers {
            group.forgotten[resource] = table.trimmedThrough
        }
        return group
    }

    /// Decides a commit on top of the state and of the group's earlier commits. A refused commit leaves
    /// the group as it was.
    ///
    /// - Returns: one object a mutation; for a deletion the last state under the deletion's revision.
    package func plan(
        _ mutations: [Mutation], in group: inout Group
    ) throws(StoreError) -> [StoredObject] {
        var revision = group.revision
        var events: [StoreEvent] = []
        var overlay: [ObjectKey: StoredObject?] = [:]
        var results: [StoredObject] = []
        results.reserveCapacity(mutations.count)
        for mutation in mutations {
            let key = mutation.key
            let present = overlay[key] ?? group.overlay[key] ?? get(key)
            let next = revision + 1
            let event: StoreEvent
            switch mutation {
            case .create(_, let draft):
                if let present {
                    throw StoreError(.alreadyExists(present), "\(key) already exists")
                }
                event = StoreEvent(
                    kind: .added, object: try StoredObject(key: key, revision: next, draft: draft),
                    previous: nil)
            case .update(_, let draft, let expected):
                let present = try Self.require(present, key, at: expected)
                if present.isUnchanged(by: draft) {
                    results.append(present)
                    continue
                }
                event = StoreEvent(
                    kind: .modified, object: try StoredObject(key: key, revision: next, draft: draft),
                    previous: present)
            case .delete(_, let expected):
                let present = try Self.require(present, key, at: expected)
                event = StoreEvent(kind: .deleted, object: present.stamped(next), previous: present)
            }
            revision = next
            overlay[key] = .some(event.kind == .deleted ? nil : event.object)
            events.append(event)
            results.append(event.object)
        }
        group.revision = revision
        group.events.append(contentsOf: events)
        for (key, state) in overlay { group.overlay[key] = .some(state) }
        return results
    }

    private static func require(
        _ present: StoredObject?, _ key: ObjectKey, at expected: Revision?
    ) throws(StoreError) -> StoredObject {
        guard let present else { throw StoreError(.notFound, "\(key) does not exist") }
        if let expected, expected != present.revision {
            throw StoreError(
                .conflict(current: present),
                "\(key) is at revision \(present.revision), not at the expected \(expected)")
        }
        return present
    }

    /// Makes a durable group the present state.
    package mutating func apply(_ group: Group, at now: Duration) {
        for event in group.events {
            tables[event.key.resource, default: ResourceTable()].apply(event, at: now)
        }
        for resource in group.forgotten.keys { tables[resource]?.forgotLeftovers() }
        for resource in Set(group.events.lazy.map(\.key.resource)) {
            tables[resource]?.trim(to: limits, at: now)
        }
        revision = group.revision
        // Resources at rest forget too, only less punctually.
        if now - lastSweep > limits.age / 4 {
            lastSweep = now
            for resource in tables.keys { tables[resource]?.trim(to: limits, at: now) }
        }
    }

    /// Forgets what happened before `revision`; the state at `revision` stays servable.
    package mutating func compact(before revision: Revision) {
        let revision = min(revision, self.revision)
        floor = max(floor, revision)
        for resource in tables.keys { tables[resource]?.compact(before: revision + 1) }
    }
}
