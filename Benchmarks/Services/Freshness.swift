import BenchmarkSupport
import Glibc
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Netlink
import Synchronization

/// From a pod's readiness, as its node tells it, to connections through its Service, and back; in a running cluster.
///
/// The pod is one in name only: the benchmark plays its node, and answers at its address.
struct Freshness {
    private static let address = "10.244.200.1"
    private static let node = "elsewhere"
    private let client: KubernetesClient

    /// Milliseconds from the request that says that the pod is ready to the first connection.
    private(set) var readyToFirst = Samples()
    /// Milliseconds from the request that says that it is not to the last connection that was let through.
    private(set) var goneToLast = Samples()

    init(rounds: Int, services: Int) async throws {
        client = KubernetesClient(
            transport: try HTTPSTransport(kubeconfig: try Kubeconfig.load(path: Kubeconfig.defaultPath)))
        try Command(["ip", "address", "replace", "\(Self.address)/32", "dev", "lo"]).run()
        let listener = try Knock.listen(Self.address, 3000)
        defer {
            shutdown(listener, Int32(SHUT_RDWR))
            close(listener)
        }
        try await make(services)
        let target = try await client.get(Service.self, name: "fresh", namespace: "default").spec.clusterIP
        for _ in 0..<rounds {
            let knocking = Knocking(target, until: .answered)
            let ready = ContinuousClock.now
            try await setReady(true)
            readyToFirst.add(max(0, (try await knocking.end() - ready) / .milliseconds(1)))
            let knockingOn = Knocking(target, until: .refused)
            let gone = ContinuousClock.now
            try await setReady(false)
            goneToLast.add(max(0, (try await knockingOn.end() - gone) / .milliseconds(1)))
        }
        print("ready to first connection, \(services) Services: \(readyToFirst.summary) ms")
        print("gone to last connection, \(services) Services:   \(goneToLast.summary) ms")
        try await client.delete(
            Pod.self, name: "fresh", namespace: "default",
            options: DeleteOptions(gracePeriodSeconds: 0))
        try await client.delete(Service.self, name: "fresh", namespace: "default")
        try await client.delete(Node.self, name: Self.node)
    }

    private func make(_ services: Int) async throws {
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
        let client = client
        let present = try await client.list(Service.self, namespace: "crowd").items.count
        if present == 0, services > 10 {
            _ = try await client.create(Namespace(metadata: ObjectMeta(name: "crowd")))
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<8 {
                group.addTask {
                    for number in stride(from: present + worker, to: services - 1, by: 8) {
                        try await Self.makeOther(number, client)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// A Service of three endpoints that nobody has.
    private static func makeOther(_ number: Int, _ client: KubernetesClient) async throws {
        let namespace = number < 10 ? "default" : "crowd"
        var service = Service(metadata: ObjectMeta(name: "crowd-\(number)", namespace: namespace))
        service.spec.ports = [ServicePort(port: 80, targetPort: .int(3000))]
        _ = try await client.create(service)
        var slice = EndpointSlice(
            metadata: ObjectMeta(
                name: "crowd-\(number)-1", namespace: namespace,
                labels: ["kubernetes.io/service-name": "crowd-\(number)"]))
        slice.addressType = "IPv4"
        slice.ports = [EndpointSlicePort(name: "", protocol: "TCP", port: 3000)]
        slice.endpoints = (0..<3).map {
            Endpoint(addresses: ["10.0.\((number * 3 + $0) / 250).\((number * 3 + $0) % 250 + 1)"])
        }
        _ = try await client.create(slice)
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

/// Knocks at an address without a pause, on a thread of its own, until the outcome is the one that is waited for.
private struct Knocking {
    enum Outcome: Sendable { case answered, refused }

    private let task: Task<ContinuousClock.Instant, any Error>

    init(_ address: String, until outcome: Outcome) {
        task = Task.detached(priority: .high) {
            var lastAnswer = ContinuousClock.now
            while !Task.isCancelled {
                let sent = ContinuousClock.now
                let isAnswered = Knock.connects(address, 80)
                switch (outcome, isAnswered) {
                case (.answered, true): return ContinuousClock.now
                case (.refused, true): lastAnswer = sent
                case (.refused, false): return lastAnswer
                case (.answered, false): break
                }
            }
            throw CancellationError()
        }
    }

    /// When the first connection was there, or when the last one was begun.
    func end() async throws -> ContinuousClock.Instant { try await task.value }
}

private enum Knock {
    static func listen(_ address: String, _ port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        guard let target = IPAddress(address), withAddress(target, port, { bind(descriptor, $0, $1) }) == 0,
            Glibc.listen(descriptor, 4096) == 0
        else { throw Command.Failure(description: "cannot listen at \(address)") }
        // Unstructured: ends when the socket is closed.
        Task.detached {
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0 { return }
                close(connection)
            }
        }
        return descriptor
    }

    static func connects(_ address: String, _ port: UInt16) -> Bool {
        guard let target = IPAddress(address) else { return false }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        // Without TIME_WAIT: thousands of connections a second to one address.
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        return withAddress(target, port) { connect(descriptor, $0, $1) } == 0
    }
}
