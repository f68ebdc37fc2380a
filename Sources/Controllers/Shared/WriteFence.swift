/// Keeps a reconciler from acting twice on the same cause.
///
/// An informer's cache lags behind the writes of its own controller. A controller that has just created
/// something notes the revision of that write here, and does not look at the key again before the cache
/// has seen it. The event that brings the cache up to date also brings the key back to the queue, so
/// nothing has to wait on a clock. Only what must not be done twice is noted: creating. Deleting and
/// updating carry preconditions.
package struct WriteFence<Key: Hashable & Sendable>: Sendable {
    private var writes: [Key: UInt64] = [:]

    package init() {}

    /// Notes a write. A revision that is not a number (it is opaque by contract) is no fence.
    package mutating func note(_ resourceVersion: String, for key: Key) {
        guard let revision = UInt64(resourceVersion) else { return }
        writes[key] = max(revision, writes[key] ?? 0)
    }

    /// Whether the cache at this revision has yet to see what was written for `key`.
    package mutating func isBehind(_ key: Key, cache resourceVersion: String) -> Bool {
        guard let written = writes[key] else { return false }
        guard let seen = UInt64(resourceVersion), seen < written else {
            writes[key] = nil
            return false
        }
        return true
    }

    /// Forgets a key whose object is gone.
    package mutating func forget(_ key: Key) {
        writes[key] = nil
    }
}
