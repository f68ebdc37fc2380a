public import KubernetesAPI
public import Logging
import Synchronization

/// The informers of a process, one a type and scope, however many parts of it ask.
public final class InformerSet: Sendable {
    private struct Key: Hashable {
        let type: ObjectIdentifier
        let kind: ResourceKind?
        let scope: InformerScope
    }

    private let client: KubernetesClient
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let informers = Mutex<[Key: any RunningInformer]>([:])
    private let added: AsyncStream<any RunningInformer>
    private let add: AsyncStream<any RunningInformer>.Continuation

    /// A set without informers.
    public init(
        client: KubernetesClient, clock: any Clock<Duration> = ContinuousClock(),
        logger: Logger = Logger(label: "swiftlet.informer")
    ) {
        self.client = client
        self.clock = clock
        self.logger = logger
        (added, add) = AsyncStream.makeStream()
    }

    /// The informer of a type. Asked for again, it is the same one. It runs as soon as, and as long as, the
    /// set does.
    ///
    /// - Parameter kind: what to follow, when the type does not say it: `PartialObjectMetadata` reads the metadata
    ///   of every kind.
    public func informer<Object: KubernetesObject>(
        _ type: Object.Type, of kind: ResourceKind? = nil, scope: InformerScope = InformerScope()
    ) -> Informer<Object> {
        let key = Key(type: ObjectIdentifier(type), kind: kind, scope: scope)
        return informers.withLock { informers in
            if let informer = informers[key] as? Informer<Object> { return informer }
            let informer = Informer<Object>(
                client: client, kind: kind, scope: scope, clock: clock, logger: logger)
            informers[key] = informer
            add.yield(informer)
            return informer
        }
    }

    /// Runs all informers, also those asked for later, until the task is cancelled. To be called once.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for await informer in added {
                group.addTask { try await informer.run() }
            }
            // The stream only ends with the task.
            try await group.waitForAll()
        }
    }

    /// How many of the informers asked for so far do not know yet what existed at their beginning.
    public var unsyncedCount: Int { informers.withLock { $0.values.count { !$0.hasSynced } } }

    /// Returns once all informers asked for so far know what existed at their beginning, or when the task is
    /// cancelled.
    public func waitForSync() async {
        for informer in informers.withLock({ Array($0.values) }) { await informer.waitForSync() }
    }
}

/// An informer whose type does not matter.
private protocol RunningInformer: Sendable {
    var hasSynced: Bool { get }
    func run() async throws
    func waitForSync() async
}

extension Informer: RunningInformer {}
