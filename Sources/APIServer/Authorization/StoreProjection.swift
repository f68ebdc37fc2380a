import KubernetesAPI
import ObjectStore
import Synchronization

/// A value computed from some of the store's resources, one object at a time.
package protocol StoreProjection: Sendable {
    /// The resources it is about, such as `roles.rbac.authorization.k8s.io`.
    static var resources: [String] { get }
    init()
    /// Takes in an object that is new or changed.
    mutating func put(_ object: StoredObject)
    /// Forgets an object.
    mutating func remove(_ key: ObjectKey)
}

/// Keeps a projection in step with the store: before it is read it takes in what happened since it was read
/// last, from the history that watches read too. So whoever was told that a write succeeded finds its effect,
/// and nothing runs while nobody asks.
package final class ProjectionFollower<Projection: StoreProjection>: Sendable {
    private struct State {
        var value = Projection()
        /// How far the value has come; nil before the first reading.
        var revision: Revision?
    }

    private let store: ObjectStore
    private let state = Mutex(State())

    package init(_ store: ObjectStore) { self.store = store }

    /// The value as of the store's latest revision.
    package func current() -> Projection {
        state.withLock { state in
            if let revision = state.revision,
                let changes = store.changes(of: Projection.resources, after: revision)
            {
                for event in changes.events {
                    if event.kind == .deleted {
                        state.value.remove(event.key)
                    } else {
                        state.value.put(event.object)
                    }
                }
                state.revision = changes.revision
            } else {
                let present = store.present(of: Projection.resources)
                state.value = Projection()
                for object in present.objects { state.value.put(object) }
                state.revision = present.revision
            }
            return state.value
        }
    }
}
