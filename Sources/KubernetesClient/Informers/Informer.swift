import HTTPService
public import KubernetesAPI
public import Logging
import Synchronization

/// Which objects of a type an informer follows.
public struct InformerScope: Sendable, Hashable {
    /// Nil for all namespaces.
    public var namespace: String?
    /// Only objects whose labels this selects: `app=web,tier in (a,b)`.
    public var labelSelector: String?
    /// Only objects whose fields this selects: `spec.nodeName=n1`.
    public var fieldSelector: String?

    /// A scope from its parts; without any, everything.
    public init(namespace: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil) {
        self.namespace = namespace
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
    }
}

/// A copy of the objects of one type that follows the server, and tells its subscribers of every change.
public final class Informer<Object: KubernetesObject>: Sendable {
    /// Hears what happens to objects.
    public typealias Handler = @Sendable (InformerEvent<Object>) -> Void

    private struct Handlers {
        var events: [Handler] = []
        var progress: [@Sendable (String) -> Void] = []
    }

    private struct Waiters {
        /// Subscribers have been told of what existed at the beginning. It is known a moment before that.
        var isOver = false
        var continuations: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    /// Which objects it follows.
    public let scope: InformerScope

    private let client: KubernetesClient
    /// What it follows, when the type does not say it.
    private let kind: ResourceKind?
    private let clock: any Clock<Duration>
    private let elapsed: @Sendable () -> Duration
    private let logger: Logger
    private let cache = Mutex(InformerCache<Object>())
    /// Held while events are told, so that all subscribers hear all events in the same order, and one that
    /// subscribes meanwhile misses none and hears none twice.
    private let handlers = Mutex(Handlers())
    private let waiters = Mutex(Waiters())
    private let waiterIDs = Atomic<UInt64>(0)
    /// Why the server cannot be followed, while it cannot.
    private let trouble = Mutex<String?>(nil)

    /// An informer that knows nothing until it is run.
    public init(
        client: KubernetesClient, kind: ResourceKind? = nil, scope: InformerScope = InformerScope(),
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "swiftlet.informer")
    ) {
        self.client = client
        self.kind = kind
        self.scope = scope
        self.clock = clock
        self.elapsed = stopwatch(clock)
        self.logger = logger
    }

    // MARK: Reading

    /// The object of that name, as far as is known.
    public func get(namespace: String = "", name: String) -> Object? {
        cache.withLock { $0.get(NamespacedName(namespace: namespace, name: name)) }
    }

    /// The object of that name, as far as is known.
    public func get(_ name: NamespacedName) -> Object? { cache.withLock { $0.get(name) } }

    /// The objects known, by name.
    public func list(namespace: String? = nil) -> [Object] {
        // A copy costs nothing; it is filtered and sorted without the lock.
        let snapshot = cache.withLock { $0 }
        return snapshot.list(namespace: namespace)
    }

    /// The objects that an index shows under a value.
    public func list(index: String, value: String) -> [Object] {
        cache.withLock { $0.list(index: index, value: value) }
    }

    /// Adds an index over present and future objects; the first one of a name stays.
    public func addIndexer(_ index: String, _ indexer: @escaping Indexer<Object>) {
        cache.withLock { $0.addIndexer(index, indexer) }
    }

    /// How many objects are known.
    public var count: Int { cache.withLock { $0.count } }

    /// The revision up to which everything is known. Subscribers have heard of everything before it, or are
    /// just being told.
    public var resourceVersion: String { cache.withLock { $0.resourceVersion } }

    /// Whether the objects that existed at the beginning are known.
    public var hasSynced: Bool { cache.withLock { $0.hasSynced } }

    /// Returns once the objects that existed at the beginning are known and told to all subscribers, or when
    /// the task is cancelled.
    public func waitForSync() async {
        let id = waiterIDs.wrappingAdd(1, ordering: .relaxed).newValue
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = waiters.withLock { waiters in
                    if Task.isCancelled || waiters.isOver { return true }
                    waiters.continuations[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            waiters.withLock { $0.continuations.removeValue(forKey: id) }?.resume()
        }
    }

    /// Calls the handler for every object known, and from then on for every change, one at a time and in
    /// order. Handlers must be quick (enqueue a key) and must not subscribe anybody themselves.
    public func subscribe(_ handler: @escaping Handler) {
        handlers.withLock { handlers in
            let known = cache.withLock { $0 }
            for object in known.list(namespace: nil) { handler(.added(object)) }
            if known.hasSynced { handler(.synced) }
            handlers.events.append(handler)
        }
    }

    /// Calls the handler with the revision up to which all subscribers have been told everything: after every
    /// list, every event and every bookmark. For those who tell others how far they have come.
    public func subscribeProgress(_ handler: @escaping @Sendable (_ resourceVersion: String) -> Void) {
        handlers.withLock { handlers in
            let version = resourceVersion
            if !version.isEmpty { handler(version) }
            handlers.progress.append(handler)
        }
    }

    // MARK: Following the server

    /// Follows the server until the task is cancelled. It survives whatever the server does.
    public func run() async throws {
        var reflector = Reflector()
        var action = reflector.next()
        while !Task.isCancelled {
            switch action {
            case .list(let version): action = await list(version, &reflector)
            case .watch(let version): action = await watch(version, &reflector)
            case .wait(let pause):
                do {
                    try await clock.sleep(for: pause)
                } catch {
                    return
                }
                action = reflector.next()
            }
        }
    }

    private func list(_ version: String, _ reflector: inout Reflector) async -> Reflector.Action {
        do {
            let list = try await client.list(
                Object.self, of: kind, namespace: scope.namespace, labelSelector: scope.labelSelector,
                fieldSelector: scope.fieldSelector, resourceVersion: version)
            let revision = list.metadata.resourceVersion
            endTrouble()
            tell { $0.replace(with: list.items, resourceVersion: revision) }
            for waiter in waiters.withLock({ waiters in
                defer { waiters = Waiters(isOver: true) }
                return waiters.continuations.values
            }) { waiter.resume() }
            return reflector.listed(resourceVersion: revision)
        } catch {
            reportTrouble(error)
            return reflector.listFailed(Reflector.Failure(error), random: .random(in: 0..<1))
        }
    }

    private func watch(_ version: String, _ reflector: inout Reflector) async -> Reflector.Action {
        let start = elapsed()
        var failure: Reflector.Failure?
        do {
            // The server ends a watch after a while, not all of them at once; a connection that died
            // unnoticed is found that way at the latest.
            let events = try await client.watch(
                Object.self, of: kind, namespace: scope.namespace, resourceVersion: version,
                labelSelector: scope.labelSelector, fieldSelector: scope.fieldSelector,
                timeout: .seconds(Int.random(in: 300..<600)))
            endTrouble()
            reading: for try await event in events {
                switch event {
                case .error(let status):
                    throw APIError(status: status)
                case .added, .modified, .deleted, .bookmark:
                    tell { $0.apply(event).map { [$0] } ?? [] }
                    reflector.observed(resourceVersion: event.resourceVersion ?? "")
                }
            }
        } catch {
            failure = Reflector.Failure(error)
            if failure != .expired { reportTrouble(error) }
        }
        return reflector.watchEnded(failure, lasted: elapsed() - start, random: .random(in: 0..<1))
    }

    private func tell(_ change: (inout InformerCache<Object>) -> [InformerEvent<Object>]) {
        handlers.withLock { handlers in
            let events = cache.withLock { change(&$0) }
            for event in events {
                for handler in handlers.events { handler(event) }
            }
            guard !handlers.progress.isEmpty else { return }
            let version = resourceVersion
            for handler in handlers.progress { handler(version) }
        }
    }

    /// Said once for as long as it lasts: whoever wonders why nothing is known should find the reason.
    private func reportTrouble(_ error: any Error) {
        guard !Task.isCancelled else { return }
        let text = "\(error)"
        let isNews = trouble.withLock { trouble in
            defer { trouble = text }
            return trouble != text
        }
        logger.log(
            level: isNews ? .warning : .debug, "cannot list or watch; trying again until it works",
            metadata: ["resource": "\((kind ?? Object.resource).groupResource)", "error": "\(text)"])
    }

    private func endTrouble() {
        guard
            trouble.withLock({ trouble in
                defer { trouble = nil }
                return trouble != nil
            })
        else { return }
        logger.notice(
            "can list and watch again", metadata: ["resource": "\((kind ?? Object.resource).groupResource)"])
    }
}

extension Reflector.Failure {
    init(_ error: any Error) {
        let status = (error as? APIError)?.status
        switch status?.code {
        case 410: self = .expired
        case 429, 503:
            let seconds = status?.details?.retryAfterSeconds ?? 0
            self = .busy(retryAfter: seconds > 0 ? .seconds(seconds) : nil)
        default: self = .other
        }
    }
}
