import DequeModule
import Logging
import Synchronization
public import Telemetry

/// Objects under revisions: optimistic concurrency, consistent lists, watches.
///
/// Present state and recent history are in memory; reads never touch the disk. Writes go through one
/// writer, which decides up to 64 waiting commits at once, makes them durable in one transaction and then
/// shows them, all in that order. What nobody was told is never shown, and what somebody was told is
/// never lost.
public final class ObjectStore: Sendable {
    /// Where the state survives.
    public enum Engine: Sendable {
        /// A database file; created, readable by its owner only, when there is none.
        case sqlite(path: String)
        /// Gone when the store is.
        case memory
    }

    /// How many commits share one transaction at most.
    static let groupSize = 64

    private struct Pending {
        let mutations: [Mutation]
        let continuation: CheckedContinuation<Result<[StoredObject], StoreError>, Never>
    }

    private struct Queue {
        var commits: Deque<Pending> = []
        var isDraining = false
        var isClosed = false
        /// Set once the disk failed in a way after which nothing it says can be relied on.
        var failure: StoreError?
        /// Why the last group was not written, if it was not.
        var lastFailure: StoreError?
        var closers: [CheckedContinuation<Void, Never>] = []
    }

    private struct Shown {
        var state: StoreState
        var idle = IdleWatchers<CheckedContinuation<Wake, Never>>()
        var lastProgress: Duration = .zero
        var isClosed = false
    }

    private let engine: any StorageEngine
    private let queue = Mutex(Queue())
    private let shown: Mutex<Shown>
    private let watcherIDs = Atomic<WatcherID>(0)
    private let elapsed: @Sendable () -> Duration
    private let metrics: StoreMetrics
    private let logger: Logger

    // MARK: Opening and closing

    /// Opens a store, and with it the database that only one process may have open at a time.
    ///
    /// - Parameter metrics: where the time that writes take is kept.
    /// - Throws: `locked`, `corrupted`, `incompatible` or `io`.
    public static func open(
        _ engine: Engine, limits: HistoryLimits = HistoryLimits(),
        clock: any Clock<Duration> = ContinuousClock(), metrics: MetricRegistry = .shared,
        logger: Logger
    ) async throws(StoreError) -> ObjectStore {
        switch engine {
        case .memory:
            try await open(
                engine: MemoryEngine(), limits: limits, clock: clock, metrics: metrics, logger: logger)
        case .sqlite(let path):
            try await open(
                engine: SQLiteEngine(path: path), limits: limits, clock: clock, metrics: metrics,
                logger: logger)
        }
    }

    package static func open(
        engine: any StorageEngine, limits: HistoryLimits = HistoryLimits(),
        clock: any Clock<Duration> = ContinuousClock(), metrics: MetricRegistry = .shared, logger: Logger
    ) async throws(StoreError) -> ObjectStore {
        let recovered = try await engine.recover()
        var state = StoreState(limits: limits, revision: recovered.revision)
        for object in recovered.objects { state.restore(object) }
        try state.restore(recovered.history)
        logger.debug(
            "object store open",
            metadata: ["revision": "\(recovered.revision)", "objects": "\(recovered.objects.count)"])
        return ObjectStore(
            engine: engine, state: state, elapsed: stopwatch(clock), metrics: StoreMetrics(metrics),
            logger: logger)
    }

    private init(
        engine: any StorageEngine, state: StoreState, elapsed: @escaping @Sendable () -> Duration,
        metrics: StoreMetrics, logger: Logger
    ) {
        self.engine = engine
        self.shown = Mutex(Shown(state: state))
        self.elapsed = elapsed
        self.metrics = metrics
        self.logger = logger
    }

    private static func stopwatch<C: Clock<Duration>>(_ clock: C) -> @Sendable () -> Duration {
        let start = clock.now
        return { start.duration(to: clock.now) }
    }

    /// Refuses new commits, finishes those under way, ends all watches and closes the database.
    public func close() async {
        await withCheckedContinuation { continuation in
            let isIdle = queue.withLock { queue in
                queue.isClosed = true
                if queue.isDraining { queue.closers.append(continuation) }
                return !queue.isDraining
            }
            if isIdle { continuation.resume() }
        }
        let watchers = shown.withLock { shown in
            shown.isClosed = true
            return shown.idle.removeAll()
        }
        for watcher in watchers { watcher.resume(returning: .ended) }
        do {
            try await engine.close()
        } catch {
            logger.warning("object store did not close cleanly", metadata: ["error": "\(error)"])
        }
    }

    /// Why nothing can be written any more, or nil.
    public var failure: StoreError? { queue.withLock { $0.failure } }

    // MARK: Reading

    /// The object as of the latest durable revision.
    public func get(_ key: ObjectKey) -> StoredObject? {
        shown.withLock { $0.state.get(key) }
    }

    /// The latest durable revision.
    public var revision: Revision { shown.withLock { $0.state.revision } }

    /// Why nothing can be written now; nil when the last write worked, or there was none.
    public var writeFailure: StoreError? {
        queue.withLock { $0.failure ?? ($0.isClosed ? .closed : $0.lastFailure) }
    }

    /// How many objects of a resource there are.
    public func count(resource: String) -> Int { shown.withLock { $0.state.count(resource: resource) } }

    /// The resources of which there are objects, sorted.
    public var resources: [String] { shown.withLock { $0.state.resources } }

    /// The objects of a resource in the order of their keys.
    ///
    /// - Parameters:
    ///   - namespace: only this one's objects.
    ///   - startAfter: the key of the previous page's last object.
    ///   - limit: how many objects a page has at most.
    ///   - at: the revision to show, usually the previous page's; nil for the latest.
    /// - Throws: `compacted` when `at` is older than the history, `future` when it has not happened.
    public func list(
        resource: String, namespace: String? = nil, startAfter: ObjectKey? = nil, limit: Int? = nil,
        at: Revision? = nil
    ) throws(StoreError) -> ListPage {
        let result: Result<ListPage, StoreError> = shown.withLock { shown in
            do throws(StoreError) {
                return .success(
                    try shown.state.list(
                        resource: resource, namespace: namespace, startAfter: startAfter, limit: limit,
                        at: at))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// What happened to some resources after a revision, in the order in which it happened, and how far that
    /// goes; nil when the history does not reach back so far.
    package func changes(
        of resources: [String], after: Revision
    ) -> (events: [StoreEvent], revision: Revision)? {
        shown.withLock { shown in
            shown.state.changes(of: resources, after: after).map { ($0, shown.state.revision) }
        }
    }

    /// All objects of some resources, at one revision.
    package func present(of resources: [String]) -> (objects: [StoredObject], revision: Revision) {
        shown.withLock { ($0.state.present(of: resources), $0.state.revision) }
    }

    /// The events of a resource after a revision, and then those to come.
    ///
    /// - Throws: `compacted` when the history does not reach back to `after`, `future` when that revision
    ///   has not happened.
    public func watch(
        resource: String, namespace: String? = nil, after: Revision
    ) throws(StoreError) -> WatchStream {
        let result: Result<Void, StoreError> = shown.withLock { shown in
            do throws(StoreError) {
                _ = try shown.state.read(
                    resource: resource, namespace: namespace, after: after, limit: 1)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
        return WatchStream(
            store: self, id: makeWatcherID(), resource: resource, namespace: namespace, after: after)
    }

    /// Tells all watchers that wait how far the store has come. Done by itself every
    /// `HistoryLimits.progressInterval` as long as there are writes.
    public func announceProgress() {
        let (waiters, revision) = shown.withLock { shown in
            (shown.idle.removeAll(), shown.state.revision)
        }
        for waiter in waiters { waiter.resume(returning: .progress(revision)) }
    }

    /// Tells one watcher how far the store has come, if it waits.
    func announceProgress(to id: WatcherID, resource: String) {
        let (waiter, revision) = shown.withLock { shown in
            (shown.idle.remove(id, resource: resource), shown.state.revision)
        }
        waiter?.resume(returning: .progress(revision))
    }

    /// Forgets what happened up to and including `revision`; the state at it can still be listed.
    public func compact(before revision: Revision) {
        shown.withLock { $0.state.compact(before: revision) }
    }

    // MARK: What tests wait for

    /// How many watchers have read everything and wait.
    package var idleWatchers: Int { shown.withLock { $0.idle.count } }

    /// How many commits have not been taken up by the writer yet.
    package var waitingCommits: Int { queue.withLock { $0.commits.count } }

    package var isClosing: Bool { queue.withLock { $0.isClosed } }

    // MARK: Waiting for events

    func makeWatcherID() -> WatcherID {
        watcherIDs.wrappingAdd(1, ordering: .relaxed).newValue
    }

    func wait(
        for interest: Interest, as id: WatcherID, after: Revision, limit: Int,
        isolation actor: isolated (any Actor)?
    ) async -> Wake {
        await withTaskCancellationHandler {
            await withCheckedContinuation(isolation: actor) { continuation in
                let wake: Wake? = shown.withLock { shown in
                    if shown.isClosed || Task.isCancelled { return .ended }
                    do throws(StoreError) {
                        let reading = try shown.state.read(
                            resource: interest.resource, namespace: interest.namespace, after: after,
                            limit: limit)
                        if !reading.events.isEmpty { return .read(reading) }
                    } catch {
                        return .failed(error)
                    }
                    // Cancellation marks the task before it calls the handler below, which needs this
                    // lock: it was either seen above, or finds the watcher added here.
                    shown.idle.add(id, interest, continuation)
                    return nil
                }
                if let wake { continuation.resume(returning: wake) }
            }
        } onCancel: {
            let waiter = shown.withLock { $0.idle.remove(id, resource: interest.resource) }
            waiter?.resume(returning: .ended)
        }
    }

    // MARK: Writing

    /// Makes the mutations happen, all or none, and returns once they are durable.
    ///
    /// A commit that was handed over is carried out even if its task is cancelled meanwhile.
    ///
    /// - Returns: one object a mutation, with its revision; for a deletion the object's last state.
    /// - Throws: `alreadyExists`, `notFound`, `conflict`, `invalidDraft`, `closed`, `full` or `io`.
    @discardableResult
    public func commit(_ mutations: [Mutation]) async throws(StoreError) -> [StoredObject] {
        let start = elapsed()
        let result: Result<[StoredObject], StoreError> = await withCheckedContinuation { continuation in
            let refused: StoreError?
            let mustDrain: Bool
            (refused, mustDrain) = queue.withLock { queue in
                if let failure = queue.failure { return (failure, false) }
                if queue.isClosed { return (.closed, false) }
                queue.commits.append(Pending(mutations: mutations, continuation: continuation))
                defer { queue.isDraining = true }
                return (nil, !queue.isDraining)
            }
            if let refused { continuation.resume(returning: .failure(refused)) }
            if mustDrain { engine.submit { persist in self.drain(persist) } }
        }
        let objects = try result.get()
        let duration = elapsed() - start
        for mutation in mutations { metrics.record(mutation, took: duration) }
        return objects
    }

    /// Carries out all waiting commits; runs where the engine writes, one at a time.
    private func drain(_ persist: Persist) {
        while let commits = nextGroup() { carryOut(commits, persist) }
    }

    private func nextGroup() -> [Pending]? {
        let (commits, closers) = queue.withLock { queue -> ([Pending]?, [CheckedContinuation<Void, Never>]) in
            if queue.commits.isEmpty {
                queue.isDraining = false
                defer { queue.closers = [] }
                return (nil, queue.closers)
            }
            let count = min(Self.groupSize, queue.commits.count)
            let commits = Array(queue.commits.prefix(count))
            queue.commits.removeFirst(count)
            return (commits, [])
        }
        for closer in closers { closer.resume() }
        return commits
    }

    private func carryOut(_ commits: [Pending], _ persist: Persist) {
        let (group, results) = shown.withLock { shown in
            var group = shown.state.beginGroup()
            let results = commits.map { commit -> Result<[StoredObject], StoreError> in
                do throws(StoreError) {
                    return .success(try shown.state.plan(commit.mutations, in: &group))
                } catch {
                    return .failure(error)
                }
            }
            return (group, results)
        }
        if !group.events.isEmpty {
            do throws(StoreError) {
                try persist(group)
            } catch {
                refuse(commits, error)
                return
            }
            queue.withLock { $0.lastFailure = nil }
            show(group)
        }
        // Refusals wait for durability too: what one is based on may be part of this very group.
        for (commit, result) in zip(commits, results) { commit.continuation.resume(returning: result) }
    }

    private func show(_ group: StoreState.Group) {
        let now = elapsed()
        typealias Waiter = CheckedContinuation<Wake, Never>
        let (woken, idle) = shown.withLock { shown -> ([(waiter: Waiter, after: Revision)], [Waiter]) in
            shown.state.apply(group, at: now)
            let woken = shown.idle.remove(concernedBy: group.events)
            guard now - shown.lastProgress >= shown.state.limits.progressInterval else { return (woken, []) }
            shown.lastProgress = now
            return (woken, shown.idle.removeAll())
        }
        for (waiter, after) in woken { waiter.resume(returning: .ready(after: after)) }
        for waiter in idle { waiter.resume(returning: .progress(group.revision)) }
    }

    private func refuse(_ commits: [Pending], _ error: StoreError) {
        logger.error("object store cannot write", metadata: ["error": "\(error)"])
        queue.withLock { queue in
            queue.lastFailure = error
            // A write that the disk did not take leaves the database as it was. After a failed fsync nobody knows
            // what the disk holds: serve what is known, write no more.
            if !error.leavesStoreIntact { queue.failure = error }
        }
        for commit in commits { commit.continuation.resume(returning: .failure(error)) }
    }
}
