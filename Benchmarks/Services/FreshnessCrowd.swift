import KubernetesAPI
import KubernetesClient

/// The other Services of a cluster: each with a slice of three endpoints that nobody has.
struct Crowd {
    private static let namespace = "crowd"
    /// Requests under way at a time.
    private static let workers = 16
    private let client: KubernetesClient

    init(_ client: KubernetesClient) { self.client = client }

    /// Makes those of the first `count` that are missing, and waits until the last is known to the proxy.
    func grow(to count: Int) async throws {
        let namespaces = try await client.list(Namespace.self).items.map(\.metadata.name)
        if !namespaces.contains(Self.namespace) {
            _ = try await client.create(Namespace(metadata: ObjectMeta(name: Self.namespace)))
        }
        let present = try await client.list(Service.self, namespace: Self.namespace).items.count
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<Self.workers {
                group.addTask {
                    for number in stride(from: present + worker, to: count, by: Self.workers) {
                        try await make(number)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func make(_ number: Int) async throws {
        var service = Service(metadata: ObjectMeta(name: "crowd-\(number)", namespace: Self.namespace))
        service.spec.ports = [ServicePort(port: 80, targetPort: .int(3000))]
        _ = try await client.create(service)
        var slice = EndpointSlice(
            metadata: ObjectMeta(
                name: "crowd-\(number)-1", namespace: Self.namespace,
                labels: ["kubernetes.io/service-name": "crowd-\(number)"]))
        slice.addressType = "IPv4"
        slice.ports = [EndpointSlicePort(name: "", protocol: "TCP", port: 3000)]
        slice.endpoints = (0..<3).map {
            Endpoint(addresses: ["10.0.\((number * 3 + $0) / 250).\((number * 3 + $0) % 250 + 1)"])
        }
        _ = try await client.create(slice)
    }
}
