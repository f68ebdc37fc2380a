import BenchmarkSupport
import KubernetesAPI
import KubernetesClient

/// How long deletions take, of pods behind no Service and of pods behind one that nobody uses.
struct Deletions {
    /// Milliseconds from the request to the pod's end, by whether there is a Service.
    private(set) var apart = Samples()
    private(set) var behind = Samples()
    /// Milliseconds that the gates took of the latter, as the node tells it in its events.
    private(set) var slowed = Samples()

    private let client: KubernetesClient

    init(count: Int) async throws {
        client = KubernetesClient(
            transport: try HTTPSTransport(kubeconfig: try Kubeconfig.load(path: Kubeconfig.defaultPath)))
        _ = try await client.create(Namespace(metadata: ObjectMeta(name: "deletions")))
        var service = Service(metadata: ObjectMeta(name: "idle", namespace: "deletions"))
        service.spec.selector = ["app": "idle"]
        service.spec.ports = [ServicePort(port: 80, targetPort: .int(3000))]
        _ = try await client.create(service)
        for round in 0..<count {
            apart.add(try await time("apart-\(round)", labels: ["app": "apart"]))
            behind.add(try await time("behind-\(round)", labels: ["app": "idle"]))
        }
        try await readEvents(count)
        try await client.delete(Namespace.self, name: "deletions")
    }

    /// Two pods are there, so that the one that goes is not the last one.
    private func time(_ name: String, labels: [String: String]) async throws -> Double {
        var milliseconds = 0.0
        for pod in ["\(name)-stays", name] { try await start(pod, labels) }
        let list = try await client.list(Pod.self, namespace: "deletions")
        let watch = try await client.watch(
            Pod.self, namespace: "deletions", resourceVersion: list.metadata.resourceVersion)
        let begin = ContinuousClock.now
        try await client.delete(Pod.self, name: name, namespace: "deletions")
        for try await event in watch {
            guard case .deleted(let pod) = event, pod.metadata.name == name else { continue }
            milliseconds = (ContinuousClock.now - begin) / .milliseconds(1)
            break
        }
        try await client.delete(
            Pod.self, name: "\(name)-stays", namespace: "deletions",
            options: DeleteOptions(gracePeriodSeconds: 0))
        return milliseconds
    }

    private func start(_ name: String, _ labels: [String: String]) async throws {
        var pod = Pod(metadata: ObjectMeta(name: name, namespace: "deletions", labels: labels))
        pod.spec.containers = [Container(name: "web", image: "web:1.0")]
        let created = try await client.create(pod)
        let watch = try await client.watch(
            Pod.self, namespace: "deletions", resourceVersion: created.metadata.resourceVersion)
        for try await event in watch {
            guard case .modified(let pod) = event, pod.metadata.name == name else { continue }
            if pod.status.conditions.contains(where: { $0.type == "Ready" && $0.status == "True" }) { return }
        }
    }

    private mutating func readEvents(_ count: Int) async throws {
        let events = try await client.list(Event.self, namespace: "deletions").items.filter {
            $0.reason == "ConnectionsEnded"
        }
        for event in events {
            // "… is left after 14 ms", "… after 1.5 s"
            let words = event.message.split(separator: " ").suffix(2)
            guard let number = words.first.flatMap({ Double($0) }) else { continue }
            slowed.add(words.last == "s" ? number * 1000 : number)
        }
        guard slowed.values.count >= count else {
            throw Command.Failure(
                description:
                    "Expected an event ConnectionsEnded of each of \(count) pods, found \(slowed.values.count)."
            )
        }
    }
}
