import KubernetesAPI
import KubernetesClient
import Logging

/// The Service `kube-dns`, by which others find the address of cluster DNS. It has no endpoints: each node
/// answers at that address by itself.
struct DNSService: Sendable {
    /// `spec.clusterIP`.
    let address: String

    static let namespace = "kube-system"
    static let name = "kube-dns"

    /// What there should be.
    var service: Service {
        Service(
            metadata: ObjectMeta(
                name: Self.name, namespace: Self.namespace,
                labels: [
                    "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true",
                    "kubernetes.io/name": "CoreDNS",
                ],
                annotations: ["prometheus.io/port": "9153", "prometheus.io/scrape": "true"]),
            spec: ServiceSpec(
                ports: [
                    ServicePort(name: "dns", protocol: "UDP", port: 53, targetPort: .int(53)),
                    ServicePort(name: "dns-tcp", protocol: "TCP", port: 53, targetPort: .int(53)),
                    ServicePort(name: "metrics", protocol: "TCP", port: 9153, targetPort: .int(9153)),
                ], clusterIP: address, clusterIPs: [address], type: "ClusterIP", sessionAffinity: "None"))
    }

    enum Action: Sendable, Hashable {
        case create(Service)
        /// Somebody made one that leads elsewhere. Its address cannot be changed.
        case complain(address: String)
    }

    /// What is to be done about the Service that is there. What somebody changed about it stays, as long as it
    /// leads to the address.
    func reconcile(_ found: Service?) -> Action? {
        guard let found else { return .create(service) }
        return found.spec.clusterIP == address ? nil : .complain(address: found.spec.clusterIP)
    }
}

/// Makes the Service, and makes it again whenever it goes.
struct DNSServiceKeeper: Sendable {
    let wanted: DNSService
    let client: KubernetesClient
    let informers: InformerSet
    let clock: any Clock<Duration>
    let logger: Logger

    func run() async throws {
        let services = informers.informer(Service.self)
        let (changes, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        services.subscribe { event in
            switch event {
            case .synced: signal.yield()
            case .deleted(let service), .updated(_, let service):
                guard service.metadata.name == DNSService.name,
                    service.metadata.namespace == DNSService.namespace
                else { return }
                signal.yield()
            case .added: return
            }
        }
        var backoff = Backoff(initial: .milliseconds(20), maximum: .seconds(5))
        for await _ in changes {
            guard services.hasSynced else { continue }
            switch wanted.reconcile(services.get(namespace: DNSService.namespace, name: DNSService.name)) {
            case nil: backoff.reset()
            case .complain(let address):
                logger.warning(
                    """
                    the Service kube-system/kube-dns should lead to the address of cluster DNS and does not; \
                    delete it, and it is made anew: kubectl delete service kube-dns --namespace kube-system
                    """, metadata: ["expected": "\(wanted.address)", "found": "\(address)"])
            case .create(let service):
                do {
                    _ = try await client.create(service)
                    backoff.reset()
                } catch let error as APIError where error.status.reason == "AlreadyExists" {
                    continue
                } catch {
                    // At the very first start the namespace may not be there yet.
                    let pause = backoff.next()
                    logger.debug("the Service kube-dns cannot be made yet", metadata: ["error": "\(error)"])
                    try await clock.sleep(for: pause)
                    signal.yield()
                }
            }
        }
    }
}
