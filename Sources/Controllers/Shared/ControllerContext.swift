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
    /// The present time, as it is written into statuses. Injected, so that deadlines can be tested.
    public var now: @Sendable () -> Time

    public init(
        client: KubernetesClient, informers: InformerSet, logger: Logger,
        now: @escaping @Sendable () -> Time = { Time.now() }
    ) {
        self.client = client
        self.informers = informers
        self.logger = logger
        self.now = now
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
    /// Subscribes to the informers whose changes concern this controller.
    func subscribe()
    /// Returns once all caches that `reconcile` reads are filled.
    func waitForCaches() async
    func reconcile(_ key: NamespacedName) async throws
}

extension QueueingController {
    var workers: Int { 2 }

    func run() async throws {
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

/// Whether a label selector selects an object with these labels. Nil selects nothing, an empty one everything.
func selects(_ selector: LabelSelector?, _ labels: [String: String]) -> Bool {
    guard let selector, let compiled = try? Selector(selector) else { return false }
    return compiled.matches(labels)
}
