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

    /// - Parameter count: how many pods of either sort are deleted.
    init(count: Int) async throws {
        client = KubernetesClient(
            transport: try HTTPSTransport(kubeconfig: try Kubeconfig.load(path: Kubeconfig.defaultPath)))
        _ = try await client.create(Namespace(metadata: ObjectMeta(name: "deletions")))
        var service = Service(metadata: ObjectMeta(name: "idle", namespace: "deletions"))
        service.spec.selector = ["app": "idle"]
        service.spec.ports = [ServicePort(port: 80, targetPort: .int(3000))]
        _ = try await client.create(service)
        // One of each sort stays, so that no pod that goes is the last one.
        try await start(["apart-stays"], "apart")
        try await start(["idle-stays"], "idle")
        for first in stride(from: 0, to: count, by: Self.startedAtOnce) {
            let numbers = first..<min(first + Self.startedAtOnce, count)
            try await start(numbers.map { "apart-\($0)" }, "apart")
            try await start(numbers.map { "idle-\($0)" }, "idle")
            for number in numbers {
                apart.add(try await time("apart-\(number)"))
                behind.add(try await time("idle-\(number)"))
            }
        }
        try await readEvents(count)
        try await client.delete(Namespace.self, name: "deletions")
    }

    private static let startedAtOnce = 8

    /// Milliseconds that the deletion of this pod takes; nothing else happens meanwhile.
    private func time(_ name: String) async throws -> Double {
        let list = try await client.list(Pod.self, namespace: "deletions")
        let watch = try await client.watch(
            Pod.self, namespace: "deletions", resourceVersion: list.metadata.resourceVersion)
        let begin = ContinuousClock.now
        try await client.delete(Pod.self, name: name, namespace: "deletions")
        for try await event in watch {
            guard case .deleted(let pod) = event, pod.metadata.name == name else { continue }
            return (ContinuousClock.now - begin) / .milliseconds(1)
        }
        throw Command.Failure(description: "Expected the deletion of pod \(name), found the watch to end.")
    }

    /// Returns when all of them are ready.
    private func start(_ names: [String], _ app: String) async throws {
        let list = try await client.list(Pod.self, namespace: "deletions")
        let watch = try await client.watch(
            Pod.self, namespace: "deletions", resourceVersion: list.metadata.resourceVersion)
        for name in names {
            var pod = Pod(metadata: ObjectMeta(name: name, namespace: "deletions", labels: ["app": app]))
            pod.spec.containers = [Container(name: "web", image: "web:1.0")]
            _ = try await client.create(pod)
        }
        var missing = Set(names)
        for try await event in watch {
            guard case .modified(let pod) = event,
                pod.status.conditions.contains(where: { $0.type == "Ready" && $0.status == "True" })
            else { continue }
            missing.remove(pod.metadata.name)
            if missing.isEmpty { return }
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
