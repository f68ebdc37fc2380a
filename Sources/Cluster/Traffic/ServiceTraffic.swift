import Controllers
import Dispatch
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
        /// As new connections meet them.
        var committed = EndpointView()
        /// As all connections do: those that must not go on have been cut off.
        var settled = EndpointView()
        var isKnown = false
        /// The families in which pods are or have been endpoints, by uid; of others there is nothing to look for.
        var families: [String: Set<Netlink.IPAddress.Family>] = [:]
        /// The connections that a pod waits for, by its uid. Nothing new comes to such a pod, so that they can be
        /// looked up one by one until they have ended.
        var awaited: [String: [TrackedConnection]] = [:]
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
    /// Where the kernel walks its table of connections: that takes milliseconds, and tasks have no more threads than
    /// the machine has cores.
    private let walks = DispatchQueue(label: "swiftlet.traffic")
    private let timeouts = TrackingTimeouts.read()
    private let state = Mutex(State())
    private let queues: [Follower]
    private let enqueue: [AsyncStream<Change>.Continuation]

    /// What keeps one view up with the proxy.
    private struct Follower {
        var stage: DataPlaneRevision.Stage
        var view: WritableKeyPath<State, EndpointView> & Sendable
        var changes: AsyncStream<Change>
    }

    init(
        informers: InformerSet, dataPlane: DataPlaneRevision, nodeAddresses: Set<Netlink.IPAddress>,
        logger: Logger
    ) {
        services = informers.informer(Service.self)
        self.dataPlane = dataPlane
        self.nodeAddresses = nodeAddresses
        self.logger = logger
        let (committing, committed) = AsyncStream.makeStream(of: Change.self)
        let (settling, settled) = AsyncStream.makeStream(of: Change.self)
        queues = [
            Follower(stage: .committed, view: \.committed, changes: committing),
            Follower(stage: .settled, view: \.settled, changes: settling),
        ]
        enqueue = [committed, settled]
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
            case .set(let slice):
                state.latest.set(slice)
                let family: Netlink.IPAddress.Family = slice.addressType == "IPv6" ? .ipv6 : .ipv4
                for pod in slice.endpoints.compactMap(\.targetRef) where pod.kind == "Pod" {
                    state.families[pod.uid, default: []].insert(family)
                }
            case .removed(let slice): state.latest.remove(slice)
            case .complete: break
            }
        }
        for queue in enqueue { queue.yield(change) }
        wakeWatchers()
    }

    /// Follows the proxy until the task is cancelled.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for follower in queues { group.addTask { await self.run(follower) } }
        }
    }

    private func run(_ follower: Follower) async {
        for await change in follower.changes {
            let revision =
                switch change {
                case .set(let slice), .removed(let slice): slice.metadata.resourceVersion
                case .complete(let revision): revision
                }
            guard await dataPlane.wait(for: UInt64(revision) ?? 0, of: .endpointSlices, follower.stage) else {
                return
            }
            take(change, follower)
            wakeWatchers()
        }
    }

    private func take(_ change: Change, _ follower: Follower) {
        switch change {
        case .set(let slice):
            let (risen, handlers) = state.withLock { ($0[keyPath: follower.view].set(slice), $0.handlers) }
            guard follower.stage == .committed else { return }
            for pod in risen {
                let name = NamespacedName(namespace: slice.metadata.namespace, name: pod)
                for handler in handlers { handler(name) }
            }
        case .removed(let slice): state.withLock { $0[keyPath: follower.view].remove(slice) }
        case .complete: if follower.stage == .settled { state.withLock { $0.isKnown = true } }
        }
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
            let now = max(state.latest.standing(of: uid), state.committed.standing(of: uid))
            return now <= .left && state.settled.standing(of: uid) > .left ? .leaving : now
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

    /// The pod's addresses at which Services reach it.
    private func addresses(of pod: Pod) -> [Netlink.IPAddress] {
        let families = state.withLock { $0.families[pod.metadata.uid] ?? [] }
        return pod.status.podIPs.compactMap { Netlink.IPAddress($0.ip) }.filter {
            families.contains($0.family)
        }
    }

    private func walk<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws
        -> Result
    {
        try await withCheckedThrowingContinuation { continuation in
            walks.async { continuation.resume(with: Swift.Result { try body() }) }
        }
    }

    /// Shell: `conntrack --delete --reply-src ADDRESS`
    func forgetConnections(to pod: Pod) async {
        do {
            let tracking = try opened()
            for address in addresses(of: pod) where !nodeAddresses.contains(address) {
                try await walk {
                    try tracking.forget(ConnectionFilter(replySource: address), family: address.family)
                }
            }
            state.withLock { state in
                state.families[pod.metadata.uid] = nil
                state.awaited[pod.metadata.uid] = nil
            }
        } catch {
            logger.warning(
                "connections to a pod that is gone stay until they time out",
                metadata: ["pod": "\(pod.metadata.namespace)/\(pod.metadata.name)", "error": "\(error)"])
        }
    }

    func connections(to pod: Pod) async throws -> PodConnections {
        let uid = pod.metadata.uid
        let (ports, awaited) = state.withLock {
            ($0.latest.ports(of: uid).union($0.settled.ports(of: uid)), $0.awaited[uid] ?? [])
        }
        let count = ConnectionCount(ports: ports, nodeAddresses: nodeAddresses, timeouts: timeouts)
        do {
            let tracking = try opened()
            // While those that were found once go on, there is no need to look for others.
            var found = awaited.isEmpty ? [] : try tracking.current(awaited)
            var open = count.open(found)
            if open.isEmpty {
                found = []
                for address in addresses(of: pod) {
                    found += try await walk {
                        try tracking.connections(
                            ConnectionFilter(replySource: address), family: address.family)
                    }
                }
                open = count.open(found)
            }
            state.withLock { $0.awaited[uid] = open.isEmpty ? nil : open }
            return count.count(found)
        } catch {
            logger.warning("connections cannot be counted", metadata: ["error": "\(error)"])
            throw error
        }
    }

    // MARK: - For rollouts

    func reaches(_ pod: Pod) -> Bool {
        let selecting = services.list(namespace: pod.metadata.namespace).filter {
            $0.isProxied && $0.spec.selector.allSatisfy { pod.metadata.labels[$0.key] == $0.value }
        }
        guard !selecting.isEmpty else { return true }
        return state.withLock { state in
            selecting.allSatisfy { state.committed.isReady(pod.metadata.uid, of: NamespacedName($0)) }
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
