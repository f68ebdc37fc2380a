import KubernetesClient
import Logging
import Netlink
import Synchronization
import Telemetry

/// The service proxy: it watches Services and EndpointSlices and keeps the kernel's forwarding table as they say.
///
/// A change goes from the watch through the planner into one transaction, without a timer on the way. What comes
/// in while a transaction is under way makes up the next one.
public final class ServiceProxy: Sendable {
    /// Which state of the API the kernel reflects.
    public let revision = DataPlaneRevision()

    package let queue: ProxyQueue
    package let metrics: ProxyMetrics
    private let healthChecks: HealthCheckPorts
    private let configuration: ProxyConfiguration
    private let namespace: NetworkNamespace?
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let plane = Mutex<DataPlane?>(nil)

    /// - Parameters:
    ///   - namespace: the network namespace to work in; nil for the one that this process is in.
    ///   - clock: measures the pauses before connections are cut off and before a failed transaction is tried
    ///     again.
    ///   - metrics: what the queue counts too.
    ///   - recorder: tells people of what goes wrong with a Service.
    package init(
        _ configuration: ProxyConfiguration, queue: ProxyQueue, namespace: NetworkNamespace? = nil,
        clock: any Clock<Duration>, metrics: ProxyMetrics = ProxyMetrics(MetricRegistry()),
        recorder: EventRecorder? = nil, logger: Logger
    ) {
        self.metrics = metrics
        healthChecks = HealthCheckPorts(
            nodeName: configuration.nodeName, isHealthy: { metrics.isHealthy }, recorder: recorder,
            logger: logger)
        self.configuration = configuration
        self.namespace = namespace
        self.queue = queue
        self.clock = clock
        self.logger = logger
        metrics.show(families: Set(configuration.serviceRanges.map(\.address.family)))
        metrics.showMissingLocalEndpoints { [weak self] in
            self?.plane.withLock { $0?.missingLocalEndpoints }
        }
    }

    /// The forwarding table in the kernel.
    public var table: ForwardingTable { plane.withLock { $0?.table } ?? ForwardingTable() }

    /// How long packets may be on their way that met the old table: at most 209 µs were measured.
    private static let packetsInFlight = Duration.milliseconds(10)
    /// How long nobody walks through the kernel's connections after somebody has, as a multiple of the time that it took.
    /// The kernel lets nobody else have the processor meanwhile; what changes in this time is looked for together.
    private static let restAfterWalk = 4

    /// Runs until the task is cancelled. The tables then stay in force, for the next run to take over;
    /// `cleanUp(_:)` removes them.
    /// - Throws: `NetlinkError` when the kernel cannot do what is needed: it lacks nftables, or this is not root.
    public func run() async throws {
        var first = try await DataPlane.opened(configuration, in: namespace, logger: logger)
        try first.establish()
        let disturbances = first.monitor.disturbances()
        plane.withLock { $0 = first }
        let cuts = CutQueue()
        let cutter = ConnectionCutter(first.tracking)
        // No transaction waits for ports that open and close.
        let (checks, check) = AsyncStream.makeStream(
            of: [UInt16: HealthCheck].self, bufferingPolicy: .bufferingNewest(1))
        var isFirst = true
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [self] in await cutOff(cuts, cutter) }
            group.addTask { [self] in await repair(after: disturbances, cuts) }
            group.addTask { [healthChecks] in
                for await wanted in checks { await healthChecks.update(wanted) }
                await healthChecks.stop()
            }
            defer {
                cuts.finish()
                check.finish()
            }
            for await _ in queue.signals {
                guard let batch = queue.take() else { continue }
                let start = ContinuousClock.now
                let changes = try await commit(batch)
                if batch.ranges != nil { metrics.show(families: plane.withLock { Set($0?.families ?? []) }) }
                metrics.committed(
                    took: ContinuousClock.now - start, isFull: isFirst || batch.ranges != nil,
                    triggers: isFirst ? [] : batch.triggers)
                isFirst = false
                revision.publish(batch.revisions, .committed)
                if plane.withLock({ $0?.takeUncertainty() }) == true { cuts.addUncertainty() }
                cuts.add(changes, batch.revisions)
                check.yield(plane.withLock { $0?.healthChecks } ?? [:])
            }
        }
    }

    /// Commits; after a failure, which means that somebody has changed our tables or that the kernel is short of
    /// memory, looks again what is there and tries again.
    private func commit(_ batch: ProxyQueue.Batch) async throws -> TableChanges {
        plane.withLock { $0?.learn(batch) }
        var pause = Duration.milliseconds(10)
        while true {
            do {
                return try plane.withLock { try $0?.commit() } ?? TableChanges()
            } catch {
                metrics.failed(plane.withLock { $0?.refusedFamily })
                logger.error(
                    "the kernel refused a change of the forwarding table", metadata: ["error": "\(error)"])
            }
            do {
                try plane.withLock { try $0?.establish() }
            } catch {
                logger.error("the forwarding table cannot be established", metadata: ["error": "\(error)"])
            }
            try await clock.sleep(for: pause)
            pause = min(pause * 2, .seconds(5))
        }
    }

    /// Repairs the tables each time that somebody else has changed them, such as with `nft flush ruleset`: at once,
    /// unless that goes on and on (``RepairPace``).
    private func repair(after disturbances: AsyncStream<Void>, _ cuts: CutQueue) async {
        let start = ContinuousClock.now
        var pace = RepairPace()
        for await _ in disturbances {
            let pause = pace.pause(at: ContinuousClock.now - start)
            if pause > .zero {
                logger.warning(
                    "the proxy's nftables tables are changed again and again; is another proxy running on this node?",
                    metadata: ["pause": "\(pause)"])
                guard (try? await clock.sleep(for: pause)) != nil else { return }
            }
            do {
                let isUncertain = try plane.withLock { plane in
                    try plane?.repair()
                    return plane?.takeUncertainty()
                }
                if isUncertain == true { cuts.addUncertainty() }
                metrics.repaired()
                logger.warning("somebody else changed the proxy's nftables tables; they were put right again")
            } catch {
                // The next change of a Service tries again.
                metrics.repairFailed()
                logger.error(
                    "somebody else changed the proxy's nftables tables, and they could not be put right",
                    metadata: ["error": "\(error)"])
            }
        }
    }

    private func cutOff(_ cuts: CutQueue, _ cutter: ConnectionCutter) async {
        var isStillUncertain = false
        for await _ in cuts.signals {
            guard var cut = cuts.take() else { continue }
            if isStillUncertain { cut.addUncertainty() }
            var walk = Duration.zero
            if !cut.isEmpty {
                // Packets that had met the old table just before may still make entries.
                guard (try? await clock.sleep(for: Self.packetsInFlight)) != nil else { return }
                let start = ContinuousClock.now
                do {
                    try await cutOff(cut, cutter)
                    isStillUncertain = false
                } catch {
                    isStillUncertain = cut.isUncertain
                    logger.warning(
                        "connections to endpoints that are gone could not be cut off",
                        metadata: ["error": "\(error)"])
                }
                walk = ContinuousClock.now - start
            }
            revision.publish(cut.revisions, .settled)
            guard walk > .zero else { continue }
            guard (try? await clock.sleep(for: walk * Self.restAfterWalk)) != nil else { return }
        }
    }

    private func cutOff(_ cut: PendingCut, _ cutter: ConnectionCutter) async throws {
        if !cut.stale.isEmpty {
            let stale = try plane.withLock { try $0?.forgetClients(of: cut.stale) } ?? cut.stale
            for family in stale.families {
                let count = try await metrics.reconciling(family) { try await cutter.forget(stale, family) }
                guard count > 0 else { continue }
                logger.debug(
                    "cut off connections to endpoints that are gone",
                    metadata: ["family": "\(family)", "count": "\(count)"])
            }
        }
        guard cut.isUncertain, let table = try plane.withLock({ try $0?.contradictions() }) else { return }
        for family in table.families {
            let count = try await metrics.reconciling(family) {
                let found = try await cutter.find(table, family)
                // An endpoint may have come meanwhile, and have taken a connection.
                guard !found.isEmpty, let now = try plane.withLock({ try $0?.contradictions() }) else {
                    return 0
                }
                return try await cutter.forget(found.filter(now.contains))
            }
            guard count > 0 else { continue }
            logger.info(
                "cut off connections that contradict the forwarding table",
                metadata: ["family": "\(family)", "count": "\(count)"])
        }
    }

    /// What is done for each Service port, and why.
    public var explanation: [ServicePortExplanation] { plane.withLock { $0?.explanation() } ?? [] }

    /// Removes all that any proxy has made in the kernel, whatever its configuration was: tables of both families,
    /// the interface, and with it its addresses and routes.
    public static func cleanUpAll(logger: Logger) throws(NetlinkError) {
        var ranges = try RouteSocket().swiftletRoutes()
        // A table can be there without a route.
        for text in ["0.0.0.0/32", "::/128"] { if let range = IPNetwork(text) { ranges.append(range) } }
        try cleanUp(
            ProxyConfiguration(nodeName: "", nodeAddresses: [], serviceRanges: ranges, podRanges: []),
            logger: logger)
    }

    /// Removes all that a proxy with this configuration has made in the kernel: tables, interface, routes.
    public static func cleanUp(_ configuration: ProxyConfiguration, logger: Logger) throws(NetlinkError) {
        var plane = try DataPlane(configuration, logger: logger)
        try plane.cleanUp()
    }
}
