import KubernetesAPI
import KubernetesClient

// Which pods a Service selects, and which Services a pod: asked on every change of a pod, so by an index.

extension ServiceSpec {
    /// Whether the selector matches these labels: every pair of it is among them.
    func selects(_ labels: [String: String]) -> Bool {
        selector.allSatisfy { labels[$0.key] == $0.value }
    }
}

extension Informer where Object == Service {
    private static var index: String { "selector" }

    /// Makes `keys(selecting:before:)` quick: by one of the pairs that a pod must have.
    func indexBySelector() {
        addIndexer(Self.index) { service in
            service.spec.selector.min { $0.key < $1.key }
                .map { [Self.entry(service.metadata.namespace, $0.key, $0.value)] } ?? []
        }
    }

    private static func entry(_ namespace: String, _ key: String, _ value: String) -> String {
        "\(namespace)/\(key)=\(value)"
    }

    /// The Services whose endpoints a pod's change concerns: those that select it as it is, or as it was.
    func keys(selecting pod: Pod, before old: Pod? = nil) -> Set<NamespacedName> {
        var keys: Set<NamespacedName> = []
        for labels in [pod.metadata.labels, old?.metadata.labels].compactMap({ $0 }) {
            for (key, value) in labels {
                let entry = Self.entry(pod.metadata.namespace, key, value)
                for service in list(index: Self.index, value: entry) where service.spec.selects(labels) {
                    keys.insert(service.key)
                }
            }
        }
        return keys
    }
}

extension Informer where Object == Pod {
    /// The pods that a Service's selector matches.
    func list(selectedBy service: Service) -> [Pod] {
        list(namespace: service.metadata.namespace).filter { service.spec.selects($0.metadata.labels) }
            .sorted { $0.metadata.name < $1.metadata.name }
    }
}

extension Informer where Object == EndpointSlice {
    private static var index: String { "service" }

    /// Makes `list(of:managedBy:)` quick; to be called before it.
    func indexByService() {
        addIndexer(Self.index) { slice in
            slice.metadata.labels[EndpointSliceReconciler.serviceNameLabel]
                .map { ["\(slice.metadata.namespace)/\($0)"] } ?? []
        }
    }

    /// The slices of a Service, all or those that one controller manages.
    func list(of service: NamespacedName, managedBy manager: String? = nil) -> [EndpointSlice] {
        let all = list(index: Self.index, value: "\(service.namespace)/\(service.name)")
        guard let manager else { return all }
        return all.filter { $0.metadata.labels[EndpointSliceReconciler.managedByLabel] == manager }
    }
}
