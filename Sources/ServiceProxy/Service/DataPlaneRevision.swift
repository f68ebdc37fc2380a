import Synchronization

/// Which state of the API the kernel reflects. What must not run ahead of the data plane waits for it.
///
/// Revisions are the store's: the `metadata.resourceVersion` of objects. They are counted for each resource,
/// since the watches of Services and EndpointSlices run beside each other.
public final class DataPlaneRevision: Sendable {
    /// A resource that the proxy watches.
    public enum Resource: Sendable, Hashable {
        case services
        case endpointSlices
    }

    /// How far a change has come.
    public enum Stage: Sendable, Hashable {
        /// New connections meet the new table.
        case committed
        /// And old connections that must not go on have been cut off.
        case settled
    }

    /// The newest revisions.
    public struct Revisions: Sendable, Hashable {
        public var services: UInt64 = 0
        public var endpointSlices: UInt64 = 0

        public init() {}

        public subscript(resource: Resource) -> UInt64 {
            get { resource == .services ? services : endpointSlices }
            set {
                switch resource {
                case .services: services = newValue
                case .endpointSlices: endpointSlices = newValue
                }
            }
        }

        /// Goes up to what `other` has, and never down.
        mutating func advance(to other: Revisions) {
            services = max(services, other.services)
            endpointSlices = max(endpointSlices, other.endpointSlices)
        }
    }

    private struct Waiter {
        let resource: Resource
        let stage: Stage
        let revision: UInt64
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var committed = Revisions()
        var settled = Revisions()
        var waiters: [UInt64: Waiter] = [:]
        var nextWaiter: UInt64 = 0

        func hasReached(_ revision: UInt64, _ resource: Resource, _ stage: Stage) -> Bool {
            (stage == .committed ? committed : settled)[resource] >= revision
        }
    }

    private let state = Mutex(State())

    public init() {}

    /// The newest EndpointSlice revision up to which all changes are in the kernel.
    public var current: UInt64 { revisions().endpointSlices }

    /// The newest revisions up to which all changes have come to this stage.
    public func revisions(_ stage: Stage = .committed) -> Revisions {
        state.withLock { stage == .committed ? $0.committed : $0.settled }
    }

    /// Waits until all changes of a resource up to `revision` have come to this stage.
    /// - Returns: whether they have; false when the task was cancelled before.
    @discardableResult
    public func wait(
        for revision: UInt64, of resource: Resource = .endpointSlices, _ stage: Stage = .committed
    ) async -> Bool {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer: Bool? = state.withLock { state in
                    if state.hasReached(revision, resource, stage) { return true }
                    if Task.isCancelled { return false }
                    state.waiters[id] = Waiter(
                        resource: resource, stage: stage, revision: revision, continuation: continuation)
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.continuation.resume(returning: false)
        }
    }

    /// Makes known that changes up to these revisions have come to this stage.
    package func publish(_ revisions: Revisions, _ stage: Stage) {
        let reached = state.withLock { state -> [Waiter] in
            switch stage {
            case .committed: state.committed.advance(to: revisions)
            case .settled: state.settled.advance(to: revisions)
            }
            guard !state.waiters.isEmpty else { return [] }
            var reached: [Waiter] = []
            for (id, waiter) in state.waiters
            where state.hasReached(waiter.revision, waiter.resource, waiter.stage) {
                reached.append(waiter)
                state.waiters[id] = nil
            }
            return reached
        }
        for waiter in reached { waiter.continuation.resume(returning: true) }
    }
}
