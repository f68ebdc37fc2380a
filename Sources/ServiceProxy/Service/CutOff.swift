import Dispatch
import Netlink
import Synchronization

/// The connections that wait to be cut off, and up to where that settles things. What changes while earlier
/// connections are being looked for is looked for together, so that this never falls behind.
package struct PendingCut: Sendable {
    package private(set) var stale = StaleConnections()
    package private(set) var revisions = DataPlaneRevision.Revisions()
    /// Whether connections may contradict the table in ways that no change of it tells.
    package private(set) var isUncertain = false

    package init() {}

    /// Whether there is nothing to look for.
    package var isEmpty: Bool { stale.isEmpty && !isUncertain }

    /// Adds what a transaction made stale, which brought the kernel up to these revisions.
    package mutating func add(_ changes: TableChanges, _ revisions: DataPlaneRevision.Revisions) {
        stale.add(changes)
        self.revisions.advance(to: revisions)
    }

    /// Has all connections compared with the table.
    package mutating func addUncertainty() { isUncertain = true }
}

/// What waits to be cut off, between the task that commits and the one that cuts off.
final class CutQueue: Sendable {
    private let pending = Mutex<PendingCut?>(nil)
    /// Yields once after each time that something came in.
    let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init() { (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func add(_ changes: TableChanges, _ revisions: DataPlaneRevision.Revisions) {
        change { $0.add(changes, revisions) }
    }

    /// Has all connections compared with the table.
    func addUncertainty() { change { $0.addUncertainty() } }

    private func change(_ body: (inout PendingCut) -> Void) {
        pending.withLock { pending in
            var cut = pending ?? PendingCut()
            body(&cut)
            pending = cut
        }
        signal.yield()
    }

    /// Takes all that has piled up.
    func take() -> PendingCut? {
        pending.withLock { pending in
            defer { pending = nil }
            return pending
        }
    }

    func finish() { signal.finish() }
}

/// Makes the kernel forget stale connections, on a thread of its own: it walks its whole table for each question,
/// which takes tens of milliseconds when there are tens of thousands of connections. Tasks have no more threads
/// than the machine has cores, so the whole program would stand still for that long.
struct ConnectionCutter: Sendable {
    private let tracking: ConnectionTracking
    private let queue = DispatchQueue(label: "swiftlet.connections")

    init(_ tracking: ConnectionTracking) { self.tracking = tracking }

    /// - Returns: how many there were of a family.
    func forget(_ stale: StaleConnections, _ family: IPAddress.Family) async throws -> Int {
        try await work { try stale.forget($0, family: family) }
    }

    /// What contradicts the table, of a family.
    func find(
        _ contradictions: ContradictingConnections, _ family: IPAddress.Family
    ) async throws -> [TrackedConnection] {
        try await work { try contradictions.find($0, family: family) }
    }

    /// - Returns: how many were still there.
    func forget(_ connections: [TrackedConnection]) async throws -> Int {
        try await work { try $0.forget(connections) }
    }

    private func work<Value: Sendable>(
        _ body: @escaping @Sendable (ConnectionTracking) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [tracking] in
                continuation.resume(with: Result { try body(tracking) })
            }
        }
    }
}
