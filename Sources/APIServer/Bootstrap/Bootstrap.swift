import HTTPService
import KubernetesAPI
import KubernetesJSON
import Logging
import ObjectStore

/// What every cluster has before anybody asks: the namespaces, and the Service behind which the API server
/// itself is found.
struct Bootstrap: Sendable {
    static let namespaces = ["default", "kube-system", "kube-public", "kube-node-lease"]

    let core: ServerCore
    let responder: any HTTPResponder
    let serviceAddress: String
    let serviceRanges: [String]
    let address: String
    let port: Int

    /// Makes everything, then looks whenever one of the objects changes.
    func run() async throws {
        try await makeAll()
        await withTaskGroup(of: Void.self) { group in
            for resource in ["services", "endpoints", "endpointslices.discovery.k8s.io"] {
                group.addTask { await repair(resource, namespace: "default") }
            }
            group.addTask { await repair("namespaces", namespace: nil) }
            group.addTask { await repair(ServiceCIDR.resource.groupResource, namespace: nil) }
        }
    }

    private func repair(_ resource: String, namespace: String?) async {
        while !Task.isCancelled {
            do {
                let stream = try core.store.watch(
                    resource: resource, namespace: namespace, after: core.store.revision)
                for try await element in stream {
                    guard case .event(let event) = element, event.kind != .added else { continue }
                    guard event.key.name == "kubernetes" || Self.namespaces.contains(event.key.name) else {
                        continue
                    }
                    try await makeAll()
                }
                return
            } catch {
                core.logger.warning(
                    "what every cluster has could not be repaired; watching on",
                    metadata: ["resource": "\(resource)", "error": "\(error)"])
            }
        }
    }

    func makeAll() async throws(APIServerError) {
        for name in Self.namespaces {
            try await ensure(Namespace(metadata: ObjectMeta(name: name))) { _ in false }
        }
        for priority in PriorityClass.system {
            try await ensure(priority) { found in
                // What a class is worth cannot change; the rest is set right.
                guard found.description != priority.description || found.globalDefault else { return false }
                found.description = priority.description
                found.globalDefault = false
                return true
            }
        }
        try await ensureServiceRange()
        try await ensure(service) { found in
            // The address cannot change while the Service exists; the ports can.
            guard found.spec.ports != service.spec.ports || found.spec.type != "ClusterIP" else {
                return false
            }
            found.spec.ports = service.spec.ports
            found.spec.type = "ClusterIP"
            return true
        }
        // Loopback is nobody's way to this server but this machine's own, and endpoints refuse it.
        guard !address.hasPrefix("127.") else { return }
        try await ensure(endpoints) { found in
            guard found.subsets != endpoints.subsets else { return false }
            found.subsets = endpoints.subsets
            return true
        }
        try await ensure(slice) { found in
            guard found.endpoints != slice.endpoints || found.ports != slice.ports else { return false }
            found.endpoints = slice.endpoints
            found.ports = slice.ports
            return true
        }
    }

    /// The range that Services have their addresses from, and that it is ready for them (KEP-1880).
    private func ensureServiceRange() async throws(APIServerError) {
        let range = ServiceCIDR(
            metadata: ObjectMeta(
                name: "kubernetes", finalizers: ["networking.k8s.io/service-cidr-finalizer"]),
            spec: ServiceCIDRSpec(cidrs: serviceRanges))
        try await ensure(range) { _ in false }
        let ready = Condition(
            type: "Ready", status: "True", lastTransitionTime: core.now(),
            message: "Kubernetes default Service CIDR is ready")
        try await ensure(range, subresource: "status") { found in
            guard !found.status.conditions.contains(where: { $0.type == "Ready" }) else { return false }
            found.status.conditions.append(ready)
            return true
        }
    }

    private static let labels = ["component": "apiserver", "provider": "kubernetes"]

    var service: Service {
        Service(
            metadata: ObjectMeta(name: "kubernetes", namespace: "default", labels: Self.labels),
            spec: ServiceSpec(
                ports: [
                    ServicePort(name: "https", protocol: "TCP", port: 443, targetPort: .int(port))
                ], clusterIP: serviceAddress, clusterIPs: [serviceAddress], type: "ClusterIP",
                sessionAffinity: "None"))
    }

    var endpoints: Endpoints {
        Endpoints(
            metadata: ObjectMeta(
                name: "kubernetes", namespace: "default",
                // The slice is written here, not mirrored from this.
                labels: ["endpointslice.kubernetes.io/skip-mirror": "true"]),
            subsets: [
                EndpointSubset(
                    addresses: [EndpointAddress(ip: address)],
                    ports: [EndpointPort(name: "https", port: port, protocol: "TCP")])
            ])
    }

    var slice: EndpointSlice {
        EndpointSlice(
            metadata: ObjectMeta(
                name: "kubernetes", namespace: "default",
                labels: ["kubernetes.io/service-name": "kubernetes"]),
            addressType: "IPv4",
            endpoints: [
                Endpoint(addresses: [address], conditions: EndpointConditions(ready: true))
            ],
            ports: [EndpointSlicePort(name: "https", protocol: "TCP", port: port)])
    }

    /// Creates an object, or corrects the one that is there.
    private func ensure<Object: KubernetesObject>(
        _ object: Object, subresource: String? = nil, _ correct: (inout Object) -> Bool
    ) async throws(APIServerError) {
        let kind = Object.resource
        let name = object.metadata.name
        for _ in 0..<8 {
            guard var found = core.find(Object.self, name, namespace: object.metadata.namespace) else {
                let response = await send(.POST, collection(object), object)
                if response.status == .created { return }
                if response.status == .conflict { continue }
                throw failure(kind, name, response)
            }
            guard found.metadata.deletionTimestamp == nil, correct(&found) else { return }
            let path = [collection(object), name, subresource].compactMap { $0 }.joined(separator: "/")
            let response = await send(.PUT, path, found)
            if response.status == .ok { return }
            if response.status == .conflict || response.status == .notFound { continue }
            throw failure(kind, name, response)
        }
    }

    private func collection<Object: KubernetesObject>(_ object: Object) -> String {
        let kind = Object.resource
        let root = kind.group.isEmpty ? "/api/\(kind.version)" : "/apis/\(kind.group)/\(kind.version)"
        return kind.isNamespaced
            ? "\(root)/namespaces/\(object.metadata.namespace)/\(kind.plural)" : "\(root)/\(kind.plural)"
    }

    private func send(_ method: HTTPMethod, _ path: String, _ object: some KubernetesObject) async
        -> HTTPResponse
    {
        await responder.respond(
            to: HTTPRequest(
                method: method, path: path, headers: ["content-type": "application/json"],
                body: .bytes(object.json()),
                peer: .inProcess(user: "system:apiserver", groups: ["system:masters"])))
    }

    private func failure(_ kind: ResourceKind, _ name: String, _ response: HTTPResponse) -> APIServerError {
        var message =
            "\(kind.groupResource) \"\(name)\" could not be made: HTTP status \(response.status.code)"
        if case .bytes(let bytes) = response.body, let status = try? Status(json: bytes) {
            message += ", \(status.message)"
        }
        return APIServerError(.bootstrap, message)
    }
}
