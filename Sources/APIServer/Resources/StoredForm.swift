import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// The bytes in which an object is stored and served, and where things are in them.
package enum StoredForm {
    /// Where `metadata` and the text of its `resourceVersion` are.
    package struct Layout: Sendable, Hashable {
        /// The whole value of `metadata`.
        package var metadata: Range<Int>
        /// Between the quotes of `resourceVersion`; nil when there is none.
        package var revision: Range<Int>?
    }

    /// Finds the layout of an object's JSON; nil when it has no metadata.
    package static func layout(of bytes: [UInt8]) -> Layout? {
        var reader = JSONReader(bytes)
        do {
            guard try reader.beginObject() else { return nil }
            while try reader.nextKey() {
                guard reader.isKey("metadata") else {
                    try reader.skipValue()
                    continue
                }
                let start = reader.offset
                var revision: Range<Int>?
                guard try reader.beginObject() else { return nil }
                while try reader.nextKey() {
                    if reader.isKey("resourceVersion") {
                        let value = try reader.rawValue()
                        if value.count >= 2 { revision = (value.lowerBound + 1)..<(value.upperBound - 1) }
                    } else {
                        try reader.skipValue()
                    }
                }
                return Layout(metadata: start..<reader.offset, revision: revision)
            }
        } catch {
            return nil
        }
        return nil
    }

    /// The draft that the store takes: the object's JSON with an empty `resourceVersion`.
    ///
    /// - Throws: `internalError` when the encoding has no place for the revision, which a served kind's
    ///   always has.
    package static func draft<Object>(
        of object: Object, _ resource: Resource<Object>
    ) throws(APIError) -> ObjectDraft {
        var object = object
        // A digit makes the encoder write the field, which it omits when empty.
        object.metadata.resourceVersion = "0"
        var bytes = object.json()
        guard let revision = layout(of: bytes)?.revision, revision.count == 1 else {
            throw .internalError("the encoding of \(Object.resource.kind) has no resourceVersion")
        }
        bytes.remove(at: revision.lowerBound)
        return ObjectDraft(
            bytes: bytes, revisionOffset: revision.lowerBound, uid: object.metadata.uid,
            labels: object.metadata.labels, fields: resource.fields(object),
            owners: object.metadata.ownerReferences.map(\.uid))
    }

    /// Reads a stored object.
    package static func decode<Object: KubernetesObject>(
        _ stored: StoredObject, as type: Object.Type = Object.self
    ) throws(APIError) -> Object {
        do {
            return try Object(json: stored.bytes)
        } catch {
            throw .internalError("stored \(stored.key) cannot be read: \(error)")
        }
    }

    /// The same bytes under another revision: how a selector's watcher sees an object leave.
    package static func restamped(_ stored: StoredObject, _ revision: Revision) -> [UInt8] {
        let end = stored.revisionOffset + stored.revisionLength
        guard end <= stored.bytes.count else { return stored.bytes }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(stored.bytes.count + 4)
        bytes.append(contentsOf: stored.bytes[..<stored.revisionOffset])
        bytes.append(contentsOf: String(revision).utf8)
        bytes.append(contentsOf: stored.bytes[end...])
        return bytes
    }
}
