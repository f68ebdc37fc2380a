import FoundationEssentials
import GRDB
import Glibc

/// The history in the database, so that watches go on after a restart: one row a change, with the state before
/// it; the state after it is in the object's own row or in its next change.
enum HistoryTables {
    static let creation = """
        CREATE TABLE event (
            revision INTEGER PRIMARY KEY,
            resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
            kind INTEGER NOT NULL, at INTEGER NOT NULL,
            was INTEGER, offset INTEGER, side BLOB, bytes BLOB);
        CREATE TABLE floor (resource TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
        INSERT INTO floor (resource, revision) SELECT '', revision FROM store;
        """

    /// Nil when something in it is of the wrong type.
    static func load(
        _ database: Database, _ names: inout NamePool, upTo newest: Revision
    ) throws -> RecoveredHistory? {
        var history = RecoveredHistory()
        let floors = try Row.fetchCursor(database, sql: "SELECT resource, revision FROM floor")
        while let row = try floors.next() {
            guard let resource = String.fromDatabaseValue(row[0]),
                let revision = Revision.fromDatabaseValue(row[1])
            else { return nil }
            // The row without a resource is about all of them.
            if resource.isEmpty { history.floor = revision } else { history.floors[resource] = revision }
        }
        let now = Int64(time(nil))
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT resource, namespace, name, revision, kind, at, was, offset, side, bytes
                FROM event ORDER BY revision
                """)
        while let row = try rows.next() {
            guard let key = names.key(row, at: 0),
                let revision = Revision.fromDatabaseValue(row[3]), revision <= newest,
                let number = Int.fromDatabaseValue(row[4]), let kind = StoreEvent.Kind(number: number),
                let at = Int64.fromDatabaseValue(row[5])
            else { return nil }
            let previous = try StoredObject(key: key, row, at: 6)
            guard (previous == nil) == (kind == .added) else { return nil }
            history.changes.append(
                RecoveredHistory.Change(
                    revision: revision, key: key, kind: kind, previous: previous,
                    age: .seconds(max(0, now - at))))
        }
        return history
    }

    static func write(_ group: StoreState.Group, _ database: Database) throws {
        let add = try database.cachedStatement(
            sql: """
                INSERT INTO event (revision, resource, namespace, name, kind, at, was, offset, side, bytes)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        let now = Int64(time(nil))
        for event in group.events {
            let key = event.key
            let before: StatementArguments = event.previous?.databaseValues ?? [nil, nil, nil, nil]
            try add.execute(
                arguments: [
                    Int64(clamping: event.revision), key.resource, key.namespace, key.name,
                    event.kind.number, now,
                ] + before)
        }
        for (resource, revision) in group.forgotten {
            try database.cachedStatement(sql: "DELETE FROM event WHERE revision <= ? AND resource = ?")
                .execute(arguments: [Int64(clamping: revision), resource])
            try database.cachedStatement(
                sql: """
                    INSERT INTO floor (resource, revision) VALUES (?, ?)
                    ON CONFLICT (resource) DO UPDATE SET revision = excluded.revision
                    """
            ).execute(arguments: [resource, Int64(clamping: revision)])
        }
    }
}

/// Strings that many rows have in common, held once.
struct NamePool {
    private var names: Set<String> = []

    /// The key in three columns; nil when they are of the wrong type.
    mutating func key(_ row: Row, at column: Int) -> ObjectKey? {
        guard let resource = String.fromDatabaseValue(row[column]),
            let namespace = String.fromDatabaseValue(row[column + 1]),
            let name = String.fromDatabaseValue(row[column + 2])
        else { return nil }
        return ObjectKey(
            resource: names.insert(resource).memberAfterInsert,
            namespace: names.insert(namespace).memberAfterInsert, name: name)
    }
}

extension StoredObject {
    /// Reads the columns revision, offset, side and bytes; nil when they are not what belongs together.
    init?(key: ObjectKey, _ row: Row, at column: Int) throws {
        guard let revision = Revision.fromDatabaseValue(row[column]),
            let offset = Int.fromDatabaseValue(row[column + 1])
        else { return nil }
        let side = try row.withUnsafeData(atIndex: column + 2) {
            $0.flatMap { SideData.decode([UInt8]($0)) }
        }
        let bytes = try row.withUnsafeData(atIndex: column + 3) { $0.map { [UInt8]($0) } }
        let digits = String(revision).utf8
        guard let side, let bytes, offset >= 0, offset <= bytes.count - digits.count,
            bytes[offset..<offset + digits.count].elementsEqual(digits)
        else { return nil }
        self.init(
            storage: Storage(
                key: key, revision: revision, bytes: bytes, revisionOffset: offset,
                revisionLength: digits.count, uid: side.uid, labels: side.labels, fields: side.fields,
                owners: side.owners))
    }

    /// The same columns, to be written.
    var databaseValues: StatementArguments {
        [Int64(clamping: revision), revisionOffset, Data(SideData.encode(self)), Data(bytes)]
    }
}

extension StoreEvent.Kind {
    /// As the database has it.
    fileprivate var number: Int {
        switch self {
        case .added: 0
        case .modified: 1
        case .deleted: 2
        }
    }

    fileprivate init?(number: Int) {
        switch number {
        case 0: self = .added
        case 1: self = .modified
        case 2: self = .deleted
        default: return nil
        }
    }
}
