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

package typealias Persist = (_ events: [StoreEvent], _ revision: Revision) throws(StoreError) -> Void

/// What an engine found when it was opened.
package struct RecoveredState: Sendable {
    package var revision: Revision
    package var objects: [StoredObject]

    package init(revision: Revision = StoreState.initialRevision, objects: [StoredObject] = []) {
        self.revision = revision
        self.objects = objects
    }
}

/// Nothing survives: for tests and for clusters that are thrown away.
struct MemoryEngine: StorageEngine {
    func recover() async throws(StoreError) -> RecoveredState { RecoveredState() }

    func submit(_ work: @escaping @Sendable (Persist) -> Void) {
        work { (_, _) throws(StoreError) in }
    }

    func close() async throws(StoreError) {}
}
