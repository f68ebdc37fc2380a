import CLinux
import ContainerRuntime
import Glibc
import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

/// Runs the pods that are bound to one node: upstream calls this the kubelet.
///
/// Each pod has a `PodWorker`. Killing this program leaves pods running; the next life finds them as they
/// are. `teardown()` is what removes them.
public final class NodeAgent: Sendable {
    private struct Entry: Sendable {
        let worker: PodWorker
        let task: Task<Void, Never>
        let key: String
    }

    private let context: PodContext
    private let pods: Informer<Pod>
    private let registration: NodeRegistration
    private let logger: Logger
    private let entries = Mutex<[String: Entry]>([:])
    private let owners = Mutex(ContainerOwners())

    /// Logs and streams of this node's pods.
    public let api: NodeAPI

    /// - Parameters:
    ///   - informers: must run, or come to run, for as long as the agent does.
    ///   - traffic: what Services send to pods; a pod's end waits for it to cease.
    ///   - podIsWired: is called each time that a pod has got its network, before anything of the pod runs.
    public convenience init(
        configuration: NodeConfiguration, client: KubernetesClient, informers: InformerSet,
        runtime: CRIRuntime,
        traffic: any PodTraffic = NoServices(), podIsWired: @escaping @Sendable () -> Void = {},
        logger: Logger
    ) async throws {
        try await self.init(
            configuration: configuration, client: client, informers: informers, service: runtime,
            traffic: traffic, podIsWired: podIsWired,
            clock: .system, logger: logger)
    }

    package init(
        configuration: NodeConfiguration, client: KubernetesClient, informers: InformerSet,
        service runtime: any RuntimeService, traffic: any PodTraffic,
        podIsWired: @escaping @Sendable () -> Void, clock: AgentClock, logger: Logger
    ) async throws {
        let folders = configuration.folders
        // Secrets of pods are in here: nobody else on the node looks into them.
        for folder in [folders.root, folders.memoryRoot] {
            try Files.createFolder(folder)
            chmod(folder, 0o700)
        }
        try Files.createFolder(folders.logRoot)
        let facts = NodeFacts.read(
            stateDirectory: configuration.stateDirectory, maximumPods: configuration.maximumPods,
            version: configuration.version, runtime: try await runtime.version())
        pods = informers.informer(
            Pod.self, scope: InformerScope(fieldSelector: "spec.nodeName=\(configuration.nodeName)"))
        context = PodContext(
            configuration: configuration, client: client, services: informers.informer(Service.self),
            runtime: runtime, volumes: VolumeManager(client: client, folders: folders, clock: clock),
            recorder: EventRecorder(client: client, component: "kubelet", host: configuration.nodeName),
            traffic: traffic, podIsWired: podIsWired, clock: clock, logger: logger,
            starts: Turnstile(width: 6),
            allocatable: facts.allocatable, memoryCapacity: facts.memory)
        registration = NodeRegistration(
            configuration: configuration, facts: facts, client: client, runtime: runtime, clock: clock,
            logger: logger)
        let informer = pods
        api = NodeAPI(runtime: runtime, folders: folders, clock: clock, logger: logger) { namespace, name in
            informer.get(namespace: namespace, name: name)
        }
        self.logger = logger
    }

    /// Makes the Node object known to the cluster; to be called before pods are to come.
    public func register() async throws {
        givePodsTheirShare()
        try await registration.register()
    }

    /// All pods together weigh as much as the node has processors, as upstream's: else they would have the share of
    /// one process beside them, and starve on a busy machine.
    private func givePodsTheirShare() {
        let group = context.configuration.controlGroup
        do {
            try ControlGroups.setShares(1024 * registration.facts.processors, of: group)
        } catch {
            context.logger.warning(
                "pods have the processor share of a single process",
                metadata: ["group": "\(group)", "error": "\(error)"])
        }
    }

    /// Looks after the node's pods until the task is cancelled. Pods go on running then.
    public func run() async throws {
        let (changes, continuation) = AsyncStream<InformerEvent<Pod>>.makeStream()
        pods.subscribe { continuation.yield($0) }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.registration.run() }
            group.addTask {
                for await change in changes { await self.apply(change) }
            }
            group.addTask {
                for await event in self.context.runtime.events() { await self.dispatch(event) }
            }
            group.addTask { await self.collectGarbageForEver() }
            await group.waitForAll()
        }
        let tasks = entries.withLock { entries in
            defer { entries = [:] }
            return entries.values.map(\.task)
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }

    // MARK: - Pods

    private func apply(_ change: InformerEvent<Pod>) async {
        switch change {
        case .added(let pod), .updated(_, let pod):
            // A new pod of the same name takes the place of one whose deletion was never seen.
            let replaced = entries.withLock { entries in
                entries.filter { $0.value.key == pod.key && $0.key != pod.metadata.uid }.map(\.value.worker)
            }
            for worker in replaced { await worker.objectIsGone() }
            await worker(pod).update(pod)
        case .deleted(let pod):
            await entries.withLock { $0[pod.metadata.uid]?.worker }?.objectIsGone()
        case .synced:
            await collectGarbage()
        }
    }

    private func worker(_ pod: Pod) -> PodWorker {
        let uid = pod.metadata.uid
        return entries.withLock { entries in
            if let entry = entries[uid] { return entry.worker }
            let worker = PodWorker(pod: pod, context: context) { [weak self] ids in
                self?.owners.withLock { $0.claim(ids, for: uid) } ?? []
            }
            let task = Task {
                await worker.run()
                self.forget(uid)
            }
            entries[uid] = Entry(worker: worker, task: task, key: pod.key)
            return worker
        }
    }

    /// Whether a pod of that name is looked after.
    package func knows(_ name: String) -> Bool {
        entries.withLock { $0.values.contains { $0.key.hasSuffix("/\(name)") } }
    }

    private func forget(_ uid: String) {
        _ = entries.withLock { $0.removeValue(forKey: uid) }
        owners.withLock { $0.forget(uid) }
    }

    private func dispatch(_ event: RuntimeEvent) async {
        switch event {
        case .exited(let id, _): await worker(owners.withLock { $0.exited(id) })?.look(exited: id)
        case .outOfMemory(let id): await worker(owners.withLock { $0.owner(id) })?.look()
        case .mayHaveMissed:
            for worker in entries.withLock({ $0.values.map(\.worker) }) { await worker.look() }
        }
    }

    private func worker(_ uid: String?) -> PodWorker? {
        guard let uid else { return nil }
        return entries.withLock { $0[uid]?.worker }
    }

    // MARK: - What nobody owns

    private func collectGarbageForEver() async {
        while !Task.isCancelled {
            do { try await context.clock.sleep(.seconds(60)) } catch { return }
            if pods.hasSynced { await collectGarbage() }
        }
    }

    /// Removes sandboxes, containers, folders and control groups of pods that do not exist any more.
    private func collectGarbage() async {
        let known = Set(pods.list().map(\.metadata.uid)).union(entries.withLock { Set($0.keys) })
        guard let sandboxes = try? await context.runtime.sandboxes(podUID: nil) else { return }
        for sandbox in sandboxes where !known.contains(sandbox.podUID) && !sandbox.podUID.isEmpty {
            logger.info("Removing what is left of pod \(sandbox.podNamespace)/\(sandbox.podName)")
            await removeSandbox(sandbox.id)
        }
        let running = Set(sandboxes.map(\.podUID))
        for uid in context.folders.knownPods() where !known.contains(uid) {
            PodRemains.remove(uid, context.configuration)
        }
        for name in ControlGroups.children(of: context.configuration.controlGroup) where name.hasPrefix("pod")
        {
            let uid = String(name.dropFirst(3))
            if !known.contains(uid), !running.contains(uid) { PodRemains.remove(uid, context.configuration) }
        }
    }

    private func removeSandbox(_ id: String) async {
        do {
            try await context.runtime.stopSandbox(id)
            try await context.runtime.removeSandbox(id)
        } catch {
            logger.warning("A sandbox cannot be removed: \(error)")
        }
    }

    // MARK: - The end

    /// Removes all pods of the node from the machine, at once and without asking the API server, with their
    /// mounts, folders, logs and control groups. For taking a cluster down; `run()` must have ended.
    public func teardown() async {
        await NodeTeardown(
            runtime: context.runtime, configuration: context.configuration, logger: logger
        ).run()
    }
}

/// Removes all pods of a node from the machine; needs the runtime and nothing else of the cluster.
public struct NodeTeardown: Sendable {
    private let runtime: any RuntimeService
    private let configuration: NodeConfiguration
    private let logger: Logger

    public init(runtime: CRIRuntime, configuration: NodeConfiguration, logger: Logger) {
        self.init(runtime: runtime as any RuntimeService, configuration: configuration, logger: logger)
    }

    package init(runtime: any RuntimeService, configuration: NodeConfiguration, logger: Logger) {
        self.runtime = runtime
        self.configuration = configuration
        self.logger = logger
    }

    /// A removal that was cut off may still be at work, and then the runtime misses a container that it has just
    /// listed: it is asked again.
    private func remove(_ sandbox: String) async throws(GRPCError) {
        for _ in 0..<4 {
            do {
                try await runtime.stopSandbox(sandbox)
                return try await runtime.removeSandbox(sandbox)
            } catch  where error.code == .notFound {
                logger.debug("Once more, as something of the pod went meanwhile: \(error)")
            }
        }
        try await runtime.removeSandbox(sandbox)
    }

    /// Stops and removes everything; what cannot be removed is logged and left.
    public func run() async {
        do {
            let sandboxes = try await runtime.sandboxes(podUID: nil)
            let containers = try await runtime.containers(podUID: nil)
            await withTaskGroup(of: Void.self) { group in
                for container in containers where container.state == .running {
                    group.addTask { try? await runtime.stopContainer(container.id, grace: .seconds(1)) }
                }
            }
            for sandbox in sandboxes {
                do {
                    try await remove(sandbox.id)
                } catch {
                    logger.warning(
                        "Pod \(sandbox.podNamespace)/\(sandbox.podName) cannot be removed: \(error)")
                }
            }
        } catch {
            logger.warning("The container runtime does not answer, its pods stay: \(error)")
        }
        let folders = configuration.folders
        for uid in folders.knownPods() { PodRemains.remove(uid, configuration) }
        for name in ControlGroups.children(of: configuration.controlGroup) where name.hasPrefix("pod") {
            PodRemains.remove(String(name.dropFirst(3)), configuration)
        }
        ControlGroups.remove(configuration.controlGroup)
        for folder in [folders.root, folders.memoryRoot] { try? Files.remove(folder) }
    }
}
