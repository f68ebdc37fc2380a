import KubernetesAPI
import ObjectStore
import Synchronization

/// The objects that admission looks at again and again, decoded once a revision: a namespace for each object in it.
final class DecodedObjects: Sendable {
    private struct Entry {
        let revision: Revision
        let object: any KubernetesObject
    }

    /// More are not kept: whoever works in so many namespaces at once decodes.
    private static let capacity = 1000

    private let entries = Mutex([ObjectKey: Entry]())

    /// The stored object; nil when it cannot be decoded.
    func object<Object: KubernetesObject>(_ type: Object.Type, _ stored: StoredObject) -> Object? {
        if let entry = entries.withLock({ $0[stored.key] }), entry.revision == stored.revision {
            return entry.object as? Object
        }
        guard let object = try? Object(json: stored.bytes) else { return nil }
        entries.withLock { entries in
            if entries.count >= Self.capacity { entries.removeAll() }
            entries[stored.key] = Entry(revision: stored.revision, object: object)
        }
        return object
    }
}
