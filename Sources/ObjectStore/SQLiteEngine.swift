import FoundationEssentials
import GRDB
import Glibc

/// The state in a SQLite database: one row an object, and one row with the revision, all changed in the
/// same transactions.
///
/// The journal is a write-ahead log that is synced on every commit (`synchronous=FULL`), so that what was
/// committed survives kill -9 and power loss. The database is locked for as long as it is open: two
/// servers on one file would each believe to hold the present state.
struct SQLiteEngine: StorageEngine {
    /// "Swlt", to tell our databases from others (`PRAGMA application_id`).
    private static let applicationID: Int64 = 0x5377_6c74
    private static let schemaVersion: Int64 = 2

    private let database: DatabaseQueue
    private let path: String

    init(path: String) throws(StoreError) {
        self.path = path
        // SQLite gives its journal the mode of the database. Secrets are in it: nobody else reads it.
        // A file that exists is left alone: to close a descriptor of it would give up the locks that this
        // very process holds on it, should it have it open already.
        let file = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if file >= 0 {
            Glibc.close(file)
        } else if errno != EEXIST {
            let reason = String(cString: strerror(errno))
            throw StoreError(.io, "cannot create the database \(path): \(reason)")
        } else if access(path, W_OK) != 0 {
            let reason = String(cString: strerror(errno))
            throw StoreError(.unwritable, "the database \(path) cannot be written: \(reason)")
        }
        var configuration = Configuration()
        configuration.label = "swiftlet.store"
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
        }
        do {
            database = try DatabaseQueue(path: path, configuration: configuration)
        } catch {
            throw Self.storeError(error, path)
        }
    }

    // MARK: Recovery

    func recover() async throws(StoreError) -> RecoveredState {
        let path = path
        let result: Result<RecoveredState, StoreError> = await withCheckedContinuation { continuation in
            database.asyncWriteWithoutTransaction { database in
                do {
                    try Self.prepare(database, path)
                    continuation.resume(returning: .success(try Self.load(database, path)))
                } catch {
                    continuation.resume(returning: .failure(Self.storeError(error, path)))
                }
            }
        }
        return try result.get()
    }

    private static func prepare(_ database: Database, _ path: String) throws {
        let mode = try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL")
        try database.execute(sql: "PRAGMA synchronous = FULL")
        let synchronous = try Int64.fetchOne(database, sql: "PRAGMA synchronous")
        guard mode == "wal", synchronous == 2 else {
            throw StoreError(
                .io,
                "the database \(path) cannot be made durable: expected journal mode wal and synchronous 2, found \(mode ?? "none") and \(synchronous ?? -1); put it on a local file system"
            )
        }
        try database.inTransaction(.exclusive) {
            let application = try Int64.fetchOne(database, sql: "PRAGMA application_id") ?? 0
            let version = try Int64.fetchOne(database, sql: "PRAGMA user_version") ?? 0
            let tables = try Int64.fetchOne(database, sql: "SELECT count(*) FROM sqlite_schema") ?? 0
            if application == 0, tables == 0 {
                try database.execute(
                    sql: """
                        PRAGMA application_id = \(applicationID);
                        PRAGMA user_version = \(schemaVersion);
                        CREATE TABLE store (revision INTEGER NOT NULL);
                        INSERT INTO store (revision) VALUES (\(StoreState.initialRevision));
                        CREATE TABLE object (
                            resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
                            revision INTEGER NOT NULL, offset INTEGER NOT NULL,
                            side BLOB NOT NULL, bytes BLOB NOT NULL,
                            PRIMARY KEY (resource, namespace, name));
                        \(HistoryTables.creation)
                        """)
                return .commit
            }
            guard application == applicationID else {
                throw StoreError(
                    .incompatible,
                    "\(path) is the database of another program; name another file, or move this one away")
            }
            if version == 1 {
                // The first version kept no history.
                try database.execute(
                    sql: "PRAGMA user_version = \(schemaVersion); \(HistoryTables.creation)")
                return .commit
            }
            guard version == schemaVersion else {
                throw StoreError(
                    .incompatible,
                    "\(path) has version \(version) of the store's format, this program knows version \(schemaVersion); run the version of Swiftlet that wrote it"
                )
            }
            return .commit
        }
        // A burst of writes makes the log long; the room is given back.
        try database.execute(sql: "PRAGMA journal_size_limit = \(16 << 20)")
    }

    private static func load(_ database: Database, _ path: String) throws -> RecoveredState {
        guard let counter = try Int64.fetchOne(database, sql: "SELECT revision FROM store"),
            let revision = Revision(exactly: counter)
        else { throw corrupted(path, "its revision is missing") }
        var state = RecoveredState(revision: revision)
        let rows = try Row.fetchCursor(
            database,
            sql: "SELECT resource, namespace, name, revision, offset, side, bytes FROM object ORDER BY rowid")
        var names = NamePool()
        while let row = try rows.next() {
            guard let key = names.key(row, at: 0) else {
                throw corrupted(path, "a row is of the wrong type")
            }
            guard let object = try StoredObject(key: key, row, at: 3), object.revision <= revision else {
                throw corrupted(path, "\(key) does not fit its revision")
            }
            state.objects.append(object)
        }
        guard let history = try HistoryTables.load(database, &names, upTo: revision) else {
            throw corrupted(path, "its history is of the wrong type")
        }
        state.history = history
        return state
    }

    // MARK: Writing

    func submit(_ work: @escaping @Sendable (Persist) -> Void) {
        let path = path
        database.asyncWriteWithoutTransaction { database in
            work { group throws(StoreError) in
                do {
                    try database.inTransaction(.immediate) {
                        try Self.write(group.events, group.revision, database)
                        try HistoryTables.write(group, database)
                        return .commit
                    }
                } catch {
                    throw Self.storeError(error, path)
                }
            }
        }
    }

    private static func write(_ events: [StoreEvent], _ revision: Revision, _ database: Database) throws {
        let put = try database.cachedStatement(
            sql: """
                INSERT INTO object (resource, namespace, name, revision, offset, side, bytes)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (resource, namespace, name) DO UPDATE SET
                    revision = excluded.revision, offset = excluded.offset,
                    side = excluded.side, bytes = excluded.bytes
                """)
        let remove = try database.cachedStatement(
            sql: "DELETE FROM object WHERE resource = ? AND namespace = ? AND name = ?")
        for event in events {
            let key = event.key
            if event.kind == .deleted {
                try remove.execute(arguments: [key.resource, key.namespace, key.name])
            } else {
                try put.execute(
                    arguments: [key.resource, key.namespace, key.name] + event.object.databaseValues)
            }
        }
        let count = try database.cachedStatement(sql: "UPDATE store SET revision = ?")
        try count.execute(arguments: [Int64(clamping: revision)])
    }

    func close() async throws(StoreError) {
        do {
            try database.close()
        } catch {
            throw Self.storeError(error, path)
        }
    }

    // MARK: Errors

    private static func corrupted(_ path: String, _ what: String, cause: (any Error)? = nil) -> StoreError {
        StoreError(
            .corrupted,
            "the database \(path) is damaged: \(what); restore it from a backup, or move it away to start an empty cluster",
            cause: cause)
    }

    private static func storeError(_ error: any Error, _ path: String) -> StoreError {
        if let error = error as? StoreError { return error }
        guard let error = error as? DatabaseError else {
            return StoreError(.io, "the database \(path) failed", cause: error)
        }
        switch error.resultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return StoreError(
                .locked, "the database \(path) is in use: is another swiftlet server running?", cause: error)
        case .SQLITE_NOTADB:
            return corrupted(path, "it is not a SQLite database", cause: error)
        case .SQLITE_CORRUPT:
            return corrupted(path, "SQLite finds its pages inconsistent", cause: error)
        case .SQLITE_FULL:
            return StoreError(
                .full, "no room is left on the file system of \(path); free some and try again", cause: error)
        case .SQLITE_READONLY:
            return StoreError(
                .unwritable, "the database \(path) is on a file system that is read-only at the moment",
                cause: error)
        case .SQLITE_IOERR where error.extendedResultCode == .SQLITE_IOERR_WRITE:
            return StoreError(
                .unwritable, "the database \(path) cannot be written at the moment", cause: error)
        default:
            return StoreError(.io, "the database \(path) failed", cause: error)
        }
    }
}
