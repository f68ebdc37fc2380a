/// Why the store refused or could not do something.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure that callers tell apart.
    public enum Code: Sendable {
        /// A create met an object of that key, which is attached.
        case alreadyExists(StoredObject)
        /// An update or a deletion named an object that does not exist.
        case notFound
        /// The object is not at the revision that was expected; its present state is attached.
        case conflict(current: StoredObject?)
        /// The revision asked for is older than the history kept; `oldest` is the oldest one servable.
        case compacted(oldest: Revision)
        /// The revision asked for has not happened yet.
        case future(current: Revision)
        /// A draft's `revisionOffset` lies outside its bytes.
        case invalidDraft
        /// The store was closed.
        case closed
        /// Another process has the database open.
        case locked
        /// The file is no database, or a damaged one.
        case corrupted
        /// The database belongs to another program, or to a newer version of this one.
        case incompatible
        /// There is no room left on the disk; the write can be tried again later.
        case full
        /// The disk does not take the write, which can be tried again later.
        case unwritable
        /// Reading or writing the disk failed in a way that leaves open what it holds.
        case io
    }

    /// The kind of failure.
    public var code: Code
    /// What was expected, what was found, what to do next.
    public var message: String
    /// The failure below this one, if there is one.
    public var cause: (any Error)?

    /// Describes a failure.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// Whether a write that failed like this left everything as it was, so that later ones may succeed.
    var leavesStoreIntact: Bool {
        switch code {
        case .full, .unwritable: true
        default: false
        }
    }

    public var description: String {
        guard let cause else { return message }
        return "\(message) (\(cause))"
    }
}

extension StoreError {
    static func compacted(_ asked: Revision, oldest: Revision) -> StoreError {
        StoreError(
            .compacted(oldest: oldest),
            "revision \(asked) has been compacted: the oldest revision that can be served is \(oldest)")
    }

    static func future(_ asked: Revision, current: Revision) -> StoreError {
        StoreError(
            .future(current: current),
            "revision \(asked) has not happened yet: the store is at revision \(current)")
    }

    static let closed = StoreError(.closed, "the object store is closed")
}
