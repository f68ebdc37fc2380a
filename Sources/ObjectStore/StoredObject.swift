/// An object to be written: its JSON without a revision, and what selectors need to know of it.
public struct ObjectDraft: Sendable {
    /// The JSON that clients will be served, with `"resourceVersion":""` in its metadata.
    public var bytes: [UInt8]
    /// Where the revision's decimal digits go: between the quotes of `"resourceVersion":""`.
    public var revisionOffset: Int
    /// The identity of the object (`metadata.uid`).
    public var uid: String
    /// The labels that selectors look at.
    public var labels: [String: String]
    /// The fields a field selector may name, with their values (`spec.nodeName`, `status.phase`).
    public var fields: [String: String]
    /// The uids of the object's owners.
    public var owners: [String]

    /// A draft from its parts.
    public init(
        bytes: [UInt8], revisionOffset: Int, uid: String = "", labels: [String: String] = [:],
        fields: [String: String] = [:], owners: [String] = []
    ) {
        self.bytes = bytes
        self.revisionOffset = revisionOffset
        self.uid = uid
        self.labels = labels
        self.fields = fields
        self.owners = owners
    }
}

/// One state of an object, as it is served. A reference to immutable storage: copies are cheap, and the
/// bytes exist once however many lists, watches and history entries hold them.
public struct StoredObject: Sendable {
    final class Storage: Sendable {
        let key: ObjectKey
        let revision: Revision
        let bytes: [UInt8]
        let revisionOffset: Int
        let revisionLength: Int
        let uid: String
        let labels: [String: String]
        let fields: [String: String]
        let owners: [String]

        init(
            key: ObjectKey, revision: Revision, bytes: [UInt8], revisionOffset: Int, revisionLength: Int,
            uid: String, labels: [String: String], fields: [String: String], owners: [String]
        ) {
            self.key = key
            self.revision = revision
            self.bytes = bytes
            self.revisionOffset = revisionOffset
            self.revisionLength = revisionLength
            self.uid = uid
            self.labels = labels
            self.fields = fields
            self.owners = owners
        }
    }

    let storage: Storage

    /// Where the object lives.
    public var key: ObjectKey { storage.key }
    /// The revision of the mutation that made this state.
    public var revision: Revision { storage.revision }
    /// The JSON to serve, `metadata.resourceVersion` inside.
    public var bytes: [UInt8] { storage.bytes }
    /// Where the digits of the revision begin in `bytes`.
    public var revisionOffset: Int { storage.revisionOffset }
    /// How many digits the revision has in `bytes`.
    public var revisionLength: Int { storage.revisionLength }
    /// The identity of the object (`metadata.uid`).
    public var uid: String { storage.uid }
    /// The labels that selectors look at.
    public var labels: [String: String] { storage.labels }
    /// The fields that a field selector may name, with their values.
    public var fields: [String: String] { storage.fields }
    /// The uids of the object's owners.
    public var owners: [String] { storage.owners }

    /// The draft as it stands once `revision` has been given to it.
    ///
    /// - Throws: `invalidDraft` when the draft's offset is outside its bytes.
    package init(key: ObjectKey, revision: Revision, draft: ObjectDraft) throws(StoreError) {
        guard draft.revisionOffset >= 0, draft.revisionOffset <= draft.bytes.count else {
            throw StoreError(
                .invalidDraft,
                "\(key): the place of resourceVersion is byte \(draft.revisionOffset) of \(draft.bytes.count)"
            )
        }
        let (bytes, length) = Self.stamp(
            draft.bytes[..<draft.revisionOffset], revision, draft.bytes[draft.revisionOffset...])
        storage = Storage(
            key: key, revision: revision, bytes: bytes, revisionOffset: draft.revisionOffset,
            revisionLength: length, uid: draft.uid, labels: draft.labels, fields: draft.fields,
            owners: draft.owners)
    }

    init(storage: Storage) { self.storage = storage }

    /// The same state under another revision: what a deletion shows.
    func stamped(_ revision: Revision) -> StoredObject {
        let end = storage.revisionOffset + storage.revisionLength
        let (bytes, length) = Self.stamp(
            storage.bytes[..<storage.revisionOffset], revision, storage.bytes[end...])
        return StoredObject(
            storage: Storage(
                key: storage.key, revision: revision, bytes: bytes,
                revisionOffset: storage.revisionOffset, revisionLength: length, uid: storage.uid,
                labels: storage.labels, fields: storage.fields, owners: storage.owners))
    }

    /// Whether writing `draft` would leave everything but the revision as it is.
    func isUnchanged(by draft: ObjectDraft) -> Bool {
        guard draft.revisionOffset == storage.revisionOffset,
            draft.bytes.count + storage.revisionLength == storage.bytes.count,
            draft.uid == storage.uid
        else { return false }
        let end = storage.revisionOffset + storage.revisionLength
        return draft.bytes[..<draft.revisionOffset].elementsEqual(storage.bytes[..<storage.revisionOffset])
            && draft.bytes[draft.revisionOffset...].elementsEqual(storage.bytes[end...])
    }

    private static func stamp(
        _ head: ArraySlice<UInt8>, _ revision: Revision, _ tail: ArraySlice<UInt8>
    ) -> (bytes: [UInt8], length: Int) {
        let digits = String(revision).utf8
        var bytes: [UInt8] = []
        bytes.reserveCapacity(head.count + digits.count + tail.count)
        bytes.append(contentsOf: head)
        bytes.append(contentsOf: digits)
        bytes.append(contentsOf: tail)
        return (bytes, digits.count)
    }
}

/// One change to one object. The mutations of a commit happen together or not at all.
public enum Mutation: Sendable {
    /// Fails with `alreadyExists` when the key is taken.
    case create(ObjectKey, ObjectDraft)
    /// Fails with `notFound`, or with `conflict` when the object is not at `expected`. A draft that
    /// changes nothing is not written and takes no revision, as upstream's storage does it.
    case update(ObjectKey, ObjectDraft, expected: Revision)
    /// Fails with `notFound`, or with `conflict` when a revision is expected and is not the present one.
    case delete(ObjectKey, expected: Revision?)

    /// The object that is changed.
    public var key: ObjectKey {
        switch self {
        case .create(let key, _), .update(let key, _, _), .delete(let key, _): key
        }
    }
}

/// What happened to an object at one revision.
public struct StoreEvent: Sendable {
    /// What a change did to an object.
    public enum Kind: Sendable, Hashable { case added, modified, deleted }

    /// What the change did.
    public let kind: Kind
    /// The state after the change; for a deletion the last state, under the deletion's revision.
    public let object: StoredObject
    /// The state before the change: selectors turn it into ADDED and DELETED for their watchers.
    public let previous: StoredObject?

    /// The object that changed.
    public var key: ObjectKey { object.key }
    /// The revision of the change.
    public var revision: Revision { object.revision }
}

/// A part of a list, consistent at `revision`.
public struct ListPage: Sendable {
    /// In the order of their keys.
    public var objects: [StoredObject]
    /// The revision that the page shows; the next page is asked for `at` it.
    public var revision: Revision
    /// How many objects come after this page.
    public var remaining: Int
}
