import Glibc
public import KubernetesAPI
public import KubernetesClient
public import Logging
import Synchronization

/// Places pods on nodes: performs what ``Placer`` decides.
///
/// A decision counts at once ("assumed"), before the server's word of it comes back through the cache, so that
/// the next pod is not given the same room.
public final class Scheduler: Controller {
    public let name = "scheduler"
    /// The `spec.schedulerName` of the pods it places.
    public static let defaultName = "default-scheduler"

    private let client: KubernetesClient
    private let pods: Informer<Pod>
    private let nodes: Informer<Node>
    private let recorder: EventRecorder
    private let logger: Logger
    private let now: @Sendable () -> Time
    private let queue = WorkQueue<PodKey>(name: "scheduler_active_queue")
    private let assumed = Mutex([PodKey: Pod]())
    /// Pods that found no node: looked at again when a node or a pod changes.
    private let waiting = Mutex(Set<PodKey>())

    struct PodKey: Hashable, Sendable {
        var namespace: String
        var name: String
        var uid: String

        init(_ pod: Pod) {
            namespace = pod.metadata.namespace
            name = pod.metadata.name
            uid = pod.metadata.uid
        }
    }

    public init(
        client: KubernetesClient, informers: InformerSet, logger: Logger,
        now: @escaping @Sendable () -> Time = { Time.now() }
    ) {
        self.client = client
        self.logger = logger
        self.now = now
        pods = informers.informer(Pod.self)
        nodes = informers.informer(Node.self)
        recorder = EventRecorder(
            client: client, component: Self.defaultName,
            form: .series(instance: "\(Self.defaultName)-\(Self.hostName)"), logger: logger)
    }

    private static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        gethostname(&name, name.count - 1)
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    public func run() async throws {
        pods.subscribe { [self] event in
            switch event {
            case .added(let pod), .updated(_, let pod): observe(pod)
            case .deleted(let pod):
                assumed.withLock { $0[PodKey(pod)] = nil }
                retryWaiting()
            case .synced: break
            }
        }
        nodes.subscribe { [self] _ in retryWaiting() }
        await pods.waitForSync()
        await nodes.waitForSync()
        await withTaskCancellationHandler {
            // One worker: placements follow one another, each sees the one before.
            await runController(queue, name: name, workers: 1, logger: logger) { [self] key in
                try await schedule(key)
            }
        } onCancel: {
            queue.shutDown()
        }
    }

    private func observe(_ pod: Pod) {
        if !pod.spec.nodeName.isEmpty {
            assumed.withLock { $0[PodKey(pod)] = nil }
            waiting.withLock { _ = $0.remove(PodKey(pod)) }
            if pod.status.phase == "Succeeded" || pod.status.phase == "Failed" { retryWaiting() }
        } else if isOurs(pod), !waiting.withLock({ $0.contains(PodKey(pod)) }) {
            queue.add(PodKey(pod))
        }
    }

    private func isOurs(_ pod: Pod) -> Bool {
        pod.spec.nodeName.isEmpty && pod.metadata.deletionTimestamp == nil && pod.spec.schedulingGates.isEmpty
            && (pod.spec.schedulerName.isEmpty || pod.spec.schedulerName == Self.defaultName)
    }

    private func retryWaiting() {
        let keys = waiting.withLock { set in
            defer { set.removeAll() }
            return set
        }
        for key in keys { queue.add(key) }
    }

    private func schedule(_ key: PodKey) async throws {
        guard let pod = pods.get(namespace: key.namespace, name: key.name), pod.metadata.uid == key.uid,
            isOurs(pod), assumed.withLock({ $0[key] }) == nil
        else { return }
        switch Placer.place(pod, on: states()) {
        case .node(let node):
            try await bind(pod, to: node, key: key)
        case .unschedulable(let message):
            waiting.withLock { _ = $0.insert(key) }
            try await report(pod, message)
        }
    }

    private func states() -> [NodeState] {
        var byNode: [String: [Pod]] = [:]
        let taken = assumed.withLock { $0 }
        for pod in pods.list() {
            let pod = taken[PodKey(pod)] ?? pod
            guard !pod.spec.nodeName.isEmpty, pod.status.phase != "Succeeded", pod.status.phase != "Failed"
            else { continue }
            byNode[pod.spec.nodeName, default: []].append(pod)
        }
        return nodes.list().map { NodeState(node: $0, pods: byNode[$0.metadata.name] ?? []) }
    }

    private func bind(_ pod: Pod, to node: String, key: PodKey) async throws {
        var placed = pod
        placed.spec.nodeName = node
        assumed.withLock { [placed] in $0[key] = placed }
        var binding = Binding()
        binding.metadata.name = pod.metadata.name
        binding.metadata.namespace = pod.metadata.namespace
        binding.metadata.uid = pod.metadata.uid
        binding.target.kind = "Node"
        binding.target.name = node
        do {
            try await client.createSubresource(
                of: Pod.self, name: pod.metadata.name, namespace: pod.metadata.namespace,
                subresource: "binding",
                body: binding)
        } catch {
            assumed.withLock { $0[key] = nil }
            if let error = error as? APIError, error.isNotFound { return }
            throw error
        }
        recorder.record(
            pod, type: "Normal", reason: "Scheduled", action: "Binding",
            message: "Successfully assigned \(pod.metadata.namespace)/\(pod.metadata.name) to \(node)")
    }

    /// Says why a pod waits, in its `PodScheduled` condition and an event.
    private func report(_ pod: Pod, _ message: String) async throws {
        recorder.record(
            pod, type: "Warning", reason: "FailedScheduling", action: "Scheduling", message: message)
        var changed = pod
        var condition = PodCondition()
        condition.type = "PodScheduled"
        condition.status = "False"
        condition.reason = "Unschedulable"
        condition.message = message
        condition.lastTransitionTime = now()
        if let index = changed.status.conditions.firstIndex(where: { $0.type == condition.type }) {
            let before = changed.status.conditions[index]
            if before.status == "False", before.message == message { return }
            if before.status == "False" { condition.lastTransitionTime = before.lastTransitionTime }
            changed.status.conditions[index] = condition
        } else {
            changed.status.conditions.append(condition)
        }
        do {
            _ = try await client.updateStatus(changed)
        } catch let error as APIError where error.isNotFound {
            return
        }
    }
}
