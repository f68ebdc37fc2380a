import BenchmarkSupport
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Synchronization

/// From a pod's readiness, as its node tells it, to connections through its Service, and back; in a running cluster.
///
/// The pod is one in name only: the benchmark plays its node, and answers at its address.
struct Freshness {
    private static let address = "10.244.200.1"
    private static let node = "elsewhere"
    private let client: KubernetesClient

    /// From the request that says that the pod is ready to the first connection.
    private(set) var readyToFirst = Way()
    /// From the request that says that it is not to the last connection that was let through.
    private(set) var goneToLast = Way()

    /// What passes between a request and the connections that it changes, in milliseconds.
    struct Way: CustomStringConvertible {
        /// All of it.
        var total = Samples()
        /// Until the EndpointSlice controller has heard of the pod.
        var heard = Samples()
        /// From there until the slice is written and a watcher has it.
        var sliced = Samples()
        /// From what the controller heard to the connection.
        var connected = Samples()

        var description: String {
            """
            \(total.summary) ms
                request until the controller hears of the pod:    \(heard.summary)
                from there until a watcher has the EndpointSlice: \(sliced.summary)
                from there until the kernel has it (connection):  \(connected.summary)
            """
        }
    }

    init(rounds: Int, services: Int) async throws {
        client = KubernetesClient(
            transport: try HTTPSTransport(kubeconfig: try Kubeconfig.load(path: Kubeconfig.defaultPath)))
        try Command(["ip", "address", "replace", "\(Self.address)/32", "dev", "lo"]).run()
        let listener = try Knock.listen(Self.address, 3000)
        defer { listener.close() }
        let start = ContinuousClock.now
        try await Crowd(client).grow(to: services - 1)
        print("made \(services) Services in \(decimal((ContinuousClock.now - start) / .seconds(1))) s")
        try await make()
        let target = try await client.get(Service.self, name: "fresh", namespace: "default").spec.clusterIP
        let slices = SliceTimes()
        let watching = Task { [client] in try await slices.follow(client) }
        defer { watching.cancel() }
        for _ in 0..<rounds {
            readyToFirst.add(try await change(isReady: true, target, slices))
            goneToLast.add(try await change(isReady: false, target, slices))
        }
        print("ready to first connection, \(services) Services: \(readyToFirst)")
        print("gone to last connection, \(services) Services: \(goneToLast)")
        try await client.delete(
            Pod.self, name: "fresh", namespace: "default",
            options: DeleteOptions(gracePeriodSeconds: 0))
        try await client.delete(Service.self, name: "fresh", namespace: "default")
        try await client.delete(Node.self, name: Self.node)
    }

    private func make() async throws {
        _ = try await client.create(Node(metadata: ObjectMeta(name: Self.node)))
        var service = Service(metadata: ObjectMeta(name: "fresh", namespace: "default"))
        service.spec.selector = ["app": "fresh"]
        service.spec.ports = [ServicePort(port: 80, targetPort: .int(3000))]
        _ = try await client.create(service)
        var pod = Pod(metadata: ObjectMeta(name: "fresh", namespace: "default", labels: ["app": "fresh"]))
        pod.spec.containers = [Container(name: "main", image: "none")]
        pod.spec.nodeName = Self.node
        // Nobody renews the lease of a node that does not exist: the pod stays all the same.
        pod.spec.tolerations = [Toleration(operator: "Exists")]
        _ = try await client.create(pod)
    }

    /// One change of the pod's readiness, as it was seen on its way.
    struct Round {
        var total: Duration
        var heard: Duration
        var sliced: Duration
    }

    private func change(isReady: Bool, _ target: String, _ slices: SliceTimes) async throws -> Round {
        let knocking = Knocking(target, until: isReady ? .answered : .refused)
        let (start, time) = (ContinuousClock.now, MicroTime.now())
        try await setReady(isReady)
        let outcome = await knocking.end()
        let slice = await slices.next(isReady: isReady, after: time)
        return Round(
            total: max(.zero, outcome - start),
            heard: .microseconds(max(0, slice.trigger.microseconds - time.microseconds)),
            sliced: .microseconds(slice.seen.microseconds - slice.trigger.microseconds))
    }

    private func setReady(_ isReady: Bool) async throws {
        _ = try await client.patch(
            Pod.self, name: "fresh", namespace: "default", subresource: "status",
            body: [
                "status": [
                    "phase": "Running", "podIP": .string(Self.address),
                    "podIPs": [["ip": .string(Self.address)]],
                    "conditions": [["type": "Ready", "status": .string(isReady ? "True" : "False")]],
                ]
            ])
    }
}

extension Freshness.Way {
    fileprivate mutating func add(_ round: Freshness.Round) {
        total.add(round.total / .milliseconds(1))
        heard.add(round.heard / .milliseconds(1))
        sliced.add(round.sliced / .milliseconds(1))
        connected.add((round.total - round.heard) / .milliseconds(1))
    }
}

/// When the EndpointSlice of the Service changed: when its controller heard of the cause, and when a watcher saw it.
private final class SliceTimes: Sendable {
    struct Change {
        var isReady: Bool
        var trigger: MicroTime
        var seen: MicroTime
    }

    private let changes: AsyncStream<Change>
    private let change: AsyncStream<Change>.Continuation

    init() { (changes, change) = AsyncStream.makeStream() }

    func follow(_ client: KubernetesClient) async throws {
        let watch = try await client.watch(
            EndpointSlice.self, namespace: "default", labelSelector: "kubernetes.io/service-name=fresh")
        for try await event in watch {
            let now = MicroTime.now()
            switch event {
            case .added(let slice), .modified(let slice):
                guard let endpoint = slice.endpoints.first else { continue }
                let text = slice.metadata.annotations["endpoints.kubernetes.io/last-change-trigger-time"]
                let trigger = text.flatMap { MicroTime($0) } ?? now
                change.yield(
                    Change(isReady: endpoint.conditions.ready == true, trigger: trigger, seen: now))
            case .deleted, .bookmark, .error: continue
            }
        }
    }

    /// The first change to that state that is seen after `start`.
    func next(isReady: Bool, after start: MicroTime) async -> Change {
        for await change in changes where change.isReady == isReady && change.seen >= start {
            return change
        }
        return Change(isReady: isReady, trigger: start, seen: start)
    }
}
