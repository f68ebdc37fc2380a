import KubernetesAPI

/// What is probably a mistake in a Service: nothing is behind it, and why. Pure.
package struct ServiceAdvice: Sendable, Hashable {
    package var reason: String
    package var message: String

    /// - Parameters:
    ///   - pods: all pods of the Service's namespace.
    /// - Returns: nil when nothing is to be said.
    package static func about(_ service: Service, pods: [Pod]) -> ServiceAdvice? {
        let selector = service.spec.selector
        guard !selector.isEmpty, service.spec.type != "ExternalName",
            service.metadata.deletionTimestamp == nil
        else { return nil }
        let selected = pods.filter { service.spec.selects($0.metadata.labels) }
        return selected.isEmpty
            ? noPods(service, pods) : missingPort(service, selected.filter(\.isActive))
    }

    private static func noPods(_ service: Service, _ pods: [Pod]) -> ServiceAdvice {
        let selector = text(service.spec.selector)
        var message =
            "No pod in namespace \"\(service.metadata.namespace)\" has the labels of spec.selector "
            + "(\(selector)), so connections are refused. "
        if let near = nearest(service.spec.selector, pods) {
            message +=
                "Closest is pod \(near.pod.metadata.name), which has \(near.found); "
                + "compare spec.selector with the labels of the pods that you mean."
        } else {
            message +=
                "Look at the labels there are: kubectl get pods -n \(service.metadata.namespace) --show-labels"
        }
        return ServiceAdvice(reason: "SelectorMatchesNoPods", message: message)
    }

    /// The pod that fits the selector best, and what it has instead of what it lacks.
    private static func nearest(
        _ selector: [String: String], _ pods: [Pod]
    ) -> (pod: Pod, found: String)? {
        func score(_ pod: Pod) -> Int {
            selector.reduce(0) { sum, pair in
                guard let value = pod.metadata.labels[pair.key] else { return sum }
                return sum + (value == pair.value ? 2 : 1)
            }
        }
        let best = pods.filter(\.isActive).map { ($0, score($0)) }.filter { $0.1 > 0 }
            .min { ($1.1, $0.0.metadata.name) < ($0.1, $1.0.metadata.name) }
        guard let (pod, _) = best else { return nil }
        let found = selector.sorted { $0.key < $1.key }.compactMap { key, value -> String? in
            guard pod.metadata.labels[key] != value else { return nil }
            return pod.metadata.labels[key].map { "\(key)=\($0)" } ?? "no label \(key)"
        }
        return (pod, found.joined(separator: ", "))
    }

    private static func missingPort(_ service: Service, _ pods: [Pod]) -> ServiceAdvice? {
        guard let pod = pods.min(by: { $0.metadata.name < $1.metadata.name }) else { return nil }
        let source = EndpointSource(service: service)
        for port in service.spec.ports {
            guard case .string(let name) = port.targetPort, !name.isEmpty else { continue }
            let isThere = pods.contains { pod in
                source.ports(on: pod).contains {
                    $0.name == port.name && $0.protocol == (port.protocol.isEmpty ? "TCP" : port.protocol)
                }
            }
            guard !isThere else { continue }
            let there = pod.spec.containers.flatMap(\.ports).filter { !$0.name.isEmpty }
                .map { "\($0.name) (\($0.containerPort)/\($0.protocol.isEmpty ? "TCP" : $0.protocol))" }
            return ServiceAdvice(
                reason: "TargetPortNotFound",
                message: "No selected pod has a container port named \"\(name)\" with protocol "
                    + "\(port.protocol.isEmpty ? "TCP" : port.protocol), so connections to port \(port.port) "
                    + "are refused. Pod \(pod.metadata.name) has "
                    + (there.isEmpty ? "no named ports" : there.joined(separator: ", ")) + "; "
                    + "name the port in the container, or give spec.ports[].targetPort as a number.")
        }
        return nil
    }

    private static func text(_ selector: [String: String]) -> String {
        selector.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }
}
