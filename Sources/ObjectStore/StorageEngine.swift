/// Where the store's state survives. An engine knows no rules: it is told what has been decided.
///
/// Public only as a name; engines are chosen through `ObjectStore.Engine`.
package protocol StorageEngine: Sendable {
    /// Everything that was ever made durable.
    func recover() async throws(StoreError) -> RecoveredState

    /// Runs `work` where the engine writes, after all work submitted earlier. The work hands over groups
    /// of events; each is durable, wholly or not at all, when `persist` returns.
    func submit(_ work: @escaping @Sendable (_ persist: Persist) -> Void)

    func close() async throws(StoreError)
}

package typealias Persist = (_ group: StoreState.Group) throws(StoreError) -> Void

/// What an engine found when it was opened.
package struct RecoveredState: Sendable {
    package var revision: Revision
    package var objects: [StoredObject]
    package var history = RecoveredHistory()

    package init(revision: Revision = StoreState.initialRevision, objects: [StoredObject] = []) {
        self.revision = revision
        self.objects = objects
        history.floor = revision
    }
}

/// What lately happened, as an engine found it: watchers from before go on from it.
package struct RecoveredHistory: Sendable {
    /// A change to an object. Its state afterwards is its present one, or what a later change says was before.
    package struct Change: Sendable {
        package var revision: Revision
        package var key: ObjectKey
        package var kind: StoreEvent.Kind
        /// The state before the change.
        package var previous: StoredObject?
        /// How long ago it happened.
        package var age: Duration

        package init(
            revision: Revision, key: ObjectKey, kind: StoreEvent.Kind, previous: StoredObject?, age: Duration
        ) {
            self.revision = revision
            self.key = key
            self.kind = kind
            self.previous = previous
            self.age = age
        }
    }

    /// Nothing is known of what happened up to and including this revision.
    package var floor = StoreState.initialRevision
    /// The same for single resources, where it is later.
    package var floors: [String: Revision] = [:]
    /// Oldest first, without a gap from the floors on.
    package var changes: [Change] = []

    package init() {}
}

/// Nothing survives: for tests and for clusters that are thrown away.
struct MemoryEngine: StorageEngine {
    func recover() async throws(StoreError) -> RecoveredState { RecoveredState() }

    func submit(_ work: @escaping @Sendable (Persist) -> Void) {
        work { _ throws(StoreError) in }
    }

    func close() async throws(StoreError) {}
}
