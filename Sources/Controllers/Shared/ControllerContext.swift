public import KubernetesAPI
public import KubernetesClient
public import Logging

/// What every controller works with.
public struct ControllerContext: Sendable {
    /// Reads and writes the API.
    public var client: KubernetesClient
    /// Caches shared by all controllers, one a kind.
    public var informers: InformerSet
    public var logger: Logger
    /// What the proxies do for pods.
    public var dataPlane: any DataPlaneView
    /// The present time, as it is written into statuses. Injected, so that deadlines can be tested.
    public var now: @Sendable () -> Time
    /// What pauses go by.
    public var clock: any Clock<Duration>

    public init(
        client: KubernetesClient, informers: InformerSet, logger: Logger,
        dataPlane: any DataPlaneView = NoDataPlane(),
        now: @escaping @Sendable () -> Time = { Time.now() },
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.client = client
        self.informers = informers
        self.logger = logger
        self.dataPlane = dataPlane
        self.now = now
        self.clock = clock
    }

    /// What the server offers; asks until it answers.
    func discoverKinds() async throws -> [ServedResource] {
        var backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(10), jitter: 0.5)
        while true {
            do {
                return try await client.discover()
            } catch let error as CancellationError {
                throw error
            } catch {
                logger.info("what the server offers cannot be found out yet", metadata: ["error": "\(error)"])
                try await clock.sleep(for: backoff.next(random: .random(in: 0..<1)))
            }
        }
    }

    /// Waits for the data plane to be known, but not for ever.
    func waitForDataPlane() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await dataPlane.waitUntilKnown() }
            group.addTask { try? await clock.sleep(for: .seconds(10)) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Tells of what a controller did, under its name.
    func recorder(_ component: String) -> EventRecorder {
        EventRecorder(client: client, component: component, logger: logger)
    }
}

/// A controller that works off keys of one kind of object.
///
/// The usual shape: informers enqueue the keys that a change concerns, workers reconcile one key at a time.
protocol QueueingController: Controller {
    var context: ControllerContext { get }
    var queue: WorkQueue<NamespacedName> { get }
    var workers: Int { get }
    /// Finds out what has to be known before it can subscribe.
    func prepare() async throws
    /// Subscribes to the informers whose changes concern this controller.
    func subscribe()
    /// Returns once all caches that `reconcile` reads are filled.
    func waitForCaches() async
    func reconcile(_ key: NamespacedName) async throws
}

extension QueueingController {
    var workers: Int { 2 }

    func prepare() async throws {}

    func run() async throws {
        try await prepare()
        subscribe()
        await waitForCaches()
        await withTaskCancellationHandler {
            await runController(queue, name: name, workers: workers, logger: context.logger) { key in
                try await reconcile(key)
            }
        } onCancel: {
            queue.shutDown()
        }
    }
}

extension InformerEvent {
    /// The object that the event is about, in its latest state; nil for `.synced`.
    var object: Object? {
        switch self {
        case .added(let object), .deleted(let object): return object
        case .updated(_, let object): return object
        case .synced: return nil
        }
    }

    /// Its earlier state, if it was updated.
    var old: Object? {
        if case .updated(let old, _) = self { return old }
        return nil
    }
}

extension Error {
    /// Whether it says no more than that what was to be changed is not what it was: it changed, or went, or its
    /// namespace is about to.
    var passes: Bool {
        guard let error = self as? APIError else { return false }
        return error.isConflict || error.isNotFound || error.isAlreadyExists
            || error.status.details?.causes.contains { $0.reason == "NamespaceTerminating" } == true
    }
}

/// Whether a label selector selects an object with these labels. Nil selects nothing, an empty one everything.
func selects(_ selector: LabelSelector?, _ labels: [String: String]) -> Bool {
    guard let selector, let compiled = try? Selector(selector) else { return false }
    return compiled.matches(labels)
}
