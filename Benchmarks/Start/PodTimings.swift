import BenchmarkSupport
import Glibc
import KubernetesAPI
import KubernetesClient
import Synchronization

/// From `kubectl apply` to ready pods, and from a ready endpoint to the first answer through its Service.
struct PodTimings {
    /// Seconds from the start of `kubectl apply` to three available replicas.
    private(set) var apply = Samples()
    /// Milliseconds from an EndpointSlice's event with the first ready endpoint to the first answer.
    private(set) var firstSuccess = Samples()

    private let client: KubernetesClient
    private let manifests = "Examples/web/k8s"

    init(rounds: Int) async throws {
        let kubeconfig = try Kubeconfig.load(path: Kubeconfig.defaultPath)
        client = KubernetesClient(transport: try HTTPSTransport(kubeconfig: kubeconfig))
        for _ in 0..<rounds {
            let begin = ContinuousClock.now
            try Command(["kubectl", "apply", "-f", "\(manifests)/deployment.yaml"]).run()
            try await deployment { $0.status.availableReplicas == 3 }
            apply.add((ContinuousClock.now - begin) / .seconds(1))
            try Command(["kubectl", "delete", "-f", "\(manifests)/deployment.yaml", "--wait"]).run()
            try await noPods()
        }
        try Command(["kubectl", "apply", "-f", "\(manifests)/deployment.yaml"]).run()
        try Command(["kubectl", "apply", "-f", "\(manifests)/service.yaml"]).run()
        let address = try await client.get(Service.self, name: "web", namespace: "default").spec.clusterIP
        for _ in 0..<(rounds * 6) {
            try Command(["kubectl", "scale", "deployment", "web", "--replicas=0"]).run()
            try await noPods()
            firstSuccess.add(try await measureFirstSuccess(address))
        }
        try Command(["kubectl", "delete", "-f", manifests]).run()
    }

    private func deployment(_ isReached: (Deployment) -> Bool) async throws {
        for try await event in try await client.watch(Deployment.self, namespace: "default") {
            if case .added(let object) = event, isReached(object) { return }
            if case .modified(let object) = event, isReached(object) { return }
        }
    }

    private func noPods() async throws {
        let pods = try await client.list(Pod.self, namespace: "default", labelSelector: "app=web")
        var left = Set(pods.items.map(\.metadata.name))
        guard !left.isEmpty else { return }
        let watch = try await client.watch(
            Pod.self, namespace: "default", resourceVersion: pods.metadata.resourceVersion,
            labelSelector: "app=web")
        for try await event in watch {
            if case .deleted(let pod) = event { left.remove(pod.metadata.name) }
            if left.isEmpty { return }
        }
    }

    /// Knocks at the Service all the time, notes when the first answer comes, and compares with the event.
    private func measureFirstSuccess(_ address: String) async throws -> Double {
        let answered = Task.detached(priority: .high) { () -> ContinuousClock.Instant? in
            while !Task.isCancelled {
                if Knock.succeeds(address, port: 80) { return ContinuousClock.now }
            }
            return nil
        }
        let watch = try await client.watch(
            EndpointSlice.self, namespace: "default",
            resourceVersion: try await client.list(EndpointSlice.self, namespace: "default").metadata
                .resourceVersion,
            labelSelector: "kubernetes.io/service-name=web")
        try Command(["kubectl", "scale", "deployment", "web", "--replicas=1"]).run()
        for try await event in watch {
            guard case .modified(let slice) = event,
                slice.endpoints.contains(where: { $0.conditions.ready == true })
            else { continue }
            let ready = ContinuousClock.now
            guard let first = await answered.value else { break }
            return max(0, (first - ready) / .milliseconds(1))
        }
        answered.cancel()
        throw Command.Failure(description: "the watch of EndpointSlices ended before an endpoint was ready")
    }
}

/// One request over a connection of its own.
enum Knock {
    /// Whether `GET /api` at an IPv4 address is answered with 200.
    static func succeeds(_ address: String, port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = port.bigEndian
        inet_pton(AF_INET, address, &target.sin_addr)
        let connected = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return false }
        let request = Array("GET /api HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n".utf8)
        guard write(descriptor, request, request.count) == request.count else { return false }
        var answer = [UInt8](repeating: 0, count: 64)
        let count = read(descriptor, &answer, answer.count)
        return count > 12 && String(decoding: answer.prefix(12), as: UTF8.self) == "HTTP/1.1 200"
    }
}
