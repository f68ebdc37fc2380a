import Controllers
import KubernetesAPI
import KubernetesClient
import Logging
import Netlink
import NodeAgent
import ServiceProxy
import Synchronization

/// What Services send to pods, for those who must not run ahead of it: the end of a pod waits until nothing new
/// comes, and a rollout counts on a new pod once its share does.
///
/// What counts is what every node's proxy has confirmed; there is one node, and its proxy is in this process.
final class ServiceTraffic: PodTraffic, DataPlaneView {
    private struct State {
        /// As the API has them.
        var latest = EndpointView()
        /// As the proxy has confirmed them.
        var settled = EndpointView()
        var isKnown = false
        var watchers: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextWatcher = 0
        var handlers: [@Sendable (NamespacedName) -> Void] = []
    }

    private enum Change: Sendable {
        case set(EndpointSlice)
        case removed(EndpointSlice)
        case complete(revision: String)
    }

    private let services: Informer<Service>
    private let dataPlane: DataPlaneRevision
    private let nodeAddresses: Set<Netlink.IPAddress>
    private let logger: Logger
    private let tracking = Mutex<ConnectionTracking?>(nil)
    private let timeouts = TrackingTimeouts.read()
    private let state = Mutex(State())
    private let queue: AsyncStream<Change>
    private let enqueue: AsyncStream<Change>.Continuation

    init(
        informers: InformerSet, dataPlane: DataPlaneRevision, nodeAddresses: Set<Netlink.IPAddress>,
        logger: Logger
    ) {
        services = informers.informer(Service.self)
        self.dataPlane = dataPlane
        self.nodeAddresses = nodeAddresses
        self.logger = logger
        (queue, enqueue) = AsyncStream.makeStream()
        let slices = informers.informer(EndpointSlice.self)
        slices.subscribe { [weak self, weak slices] event in
            switch event {
            case .added(let slice), .updated(_, let slice): self?.note(.set(slice))
            case .deleted(let slice): self?.note(.removed(slice))
            case .synced: self?.note(.complete(revision: slices?.resourceVersion ?? ""))
            }
        }
    }

    private func note(_ change: Change) {
        state.withLock { state in
            switch change {
            case .set(let slice): state.latest.set(slice)
            case .removed(let slice): state.latest.remove(slice)
            case .complete: break
            }
        }
        enqueue.yield(change)
        wakeWatchers()
    }

    /// Follows the proxy until the task is cancelled.
    func run() async {
        for await change in queue {
            switch change {
            case .set(let slice):
                guard await settle(slice.metadata.resourceVersion) else { return }
                let (risen, handlers) = state.withLock { ($0.settled.set(slice), $0.handlers) }
                for pod in risen {
                    let name = NamespacedName(namespace: slice.metadata.namespace, name: pod)
                    for handler in handlers { handler(name) }
                }
            case .removed(let slice):
                guard await settle(slice.metadata.resourceVersion) else { return }
                state.withLock { $0.settled.remove(slice) }
            case .complete(let revision):
                guard await settle(revision) else { return }
                state.withLock { $0.isKnown = true }
            }
            wakeWatchers()
        }
    }

    /// - Returns: false when the task was cancelled before.
    private func settle(_ revision: String) async -> Bool {
        await dataPlane.wait(for: UInt64(revision) ?? 0, of: .endpointSlices, .settled)
    }

    private func wakeWatchers() {
        let watchers = state.withLock { Array($0.watchers.values) }
        for watcher in watchers { watcher.yield() }
    }

    // MARK: - For the end of pods

    func standing(of pod: Pod) -> TrafficStanding {
        state.withLock { state in
            let uid = pod.metadata.uid
            // Before the proxy has taken over, what it will do is what the API says, or has said before.
            guard state.isKnown else { return .unknown }
            return max(state.latest.standing(of: uid), state.settled.standing(of: uid))
        }
    }

    func changes() -> AsyncStream<Void> {
        let (changes, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = signal
            return state.nextWatcher
        }
        signal.onTermination = { [weak self] _ in
            _ = self?.state.withLock { $0.watchers.removeValue(forKey: id) }
        }
        signal.yield()
        return changes
    }

    private func opened() throws -> ConnectionTracking {
        try tracking.withLock { tracking in
            if let tracking { return tracking }
            let opened = try ConnectionTracking()
            tracking = opened
            return opened
        }
    }

    /// Shell: `conntrack --delete --reply-src ADDRESS`
    func forgetConnections(to pod: Pod) async {
        do {
            let tracking = try opened()
            for address in pod.status.podIPs.compactMap({ Netlink.IPAddress($0.ip) })
            where !nodeAddresses.contains(address) {
                let left = try tracking.connections(
                    ConnectionFilter(replySource: address), family: address.family)
                _ = try tracking.forget(left)
            }
        } catch {
            logger.warning(
                "connections to a pod that is gone stay until they time out",
                metadata: ["pod": "\(pod.metadata.namespace)/\(pod.metadata.name)", "error": "\(error)"])
        }
    }

    func connections(to pod: Pod) async throws -> PodConnections {
        let ports = state.withLock {
            $0.latest.ports(of: pod.metadata.uid).union($0.settled.ports(of: pod.metadata.uid))
        }
        let tracking = try opened()
        let count = ConnectionCount(ports: ports, nodeAddresses: nodeAddresses, timeouts: timeouts)
        var found: [TrackedConnection] = []
        do {
            for address in pod.status.podIPs.compactMap({ Netlink.IPAddress($0.ip) }) {
                found += try tracking.connections(
                    ConnectionFilter(replySource: address), family: address.family)
            }
        } catch {
            logger.warning("connections cannot be counted", metadata: ["error": "\(error)"])
            throw error
        }
        return count.count(found)
    }

    // MARK: - For rollouts

    func reaches(_ pod: Pod) -> Bool {
        let selecting = services.list(namespace: pod.metadata.namespace).filter {
            $0.isProxied && $0.spec.selector.allSatisfy { pod.metadata.labels[$0.key] == $0.value }
        }
        guard !selecting.isEmpty else { return true }
        return state.withLock { state in
            selecting.allSatisfy { state.settled.isReady(pod.metadata.uid, of: NamespacedName($0)) }
        }
    }

    func subscribe(_ handler: @escaping @Sendable (NamespacedName) -> Void) {
        state.withLock { $0.handlers.append(handler) }
    }

    func waitUntilKnown() async {
        for await _ in changes() where state.withLock({ $0.isKnown }) { return }
    }
}

extension Service {
    /// Whether its endpoints are pods of a selector that a proxy spreads connections over.
    fileprivate var isProxied: Bool {
        !spec.selector.isEmpty && spec.type != "ExternalName" && spec.clusterIP != "None"
            && !spec.clusterIP.isEmpty
            && metadata.labels["service.kubernetes.io/service-proxy-name"] == nil
    }
}
