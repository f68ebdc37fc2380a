import KubernetesAPI

/// An endpoint as a pod makes it, with the ports that the Service's target ports mean on that pod.
struct DesiredEndpoint: Sendable, Equatable {
    var endpoint: Endpoint
    var ports: [EndpointSlicePort]
}

/// Reads endpoints off pods: the part that EndpointSlices and Endpoints share.
struct EndpointSource: Sendable {
    let service: Service
    /// The cluster's nodes; nil when it does not matter where pods are.
    var nodes: EndpointNodes?

    /// Pods that may be endpoints: matched by the selector, addressed, placed and not finished.
    /// Terminating pods stay as long as they can serve.
    func eligible(_ pods: [Pod]) -> [Pod] {
        pods.filter { pod in
            guard !pod.status.podIP.isEmpty || !pod.status.podIPs.isEmpty, !pod.isFinished,
                !pod.spec.nodeName.isEmpty
            else { return false }
            // A pod whose node is gone serves nobody, unless whatever there is is to be published.
            guard let nodes, !service.spec.publishNotReadyAddresses else { return true }
            return nodes.contains(pod.spec.nodeName)
        }
    }

    /// The endpoint that a pod is in slices of `addressType`; nil if it has no address of that family.
    func endpoint(of pod: Pod, addressType: String) -> DesiredEndpoint? {
        let addresses = (pod.status.podIPs.map(\.ip) + [pod.status.podIP])
            .filter { !$0.isEmpty && ($0.contains(":") ? "IPv6" : "IPv4") == addressType }
        guard let address = addresses.first else { return nil }
        var endpoint = Endpoint()
        endpoint.addresses = [address]
        endpoint.conditions.ready =
            service.spec.publishNotReadyAddresses || (pod.isReady && !pod.isTerminating)
        endpoint.conditions.serving = pod.isReady
        endpoint.conditions.terminating = pod.isTerminating
        endpoint.nodeName = pod.spec.nodeName
        endpoint.zone = nodes?.zone(of: pod.spec.nodeName)
        if !pod.spec.hostname.isEmpty, pod.spec.subdomain == service.metadata.name,
            pod.metadata.namespace == service.metadata.namespace
        {
            endpoint.hostname = pod.spec.hostname
        }
        var target = ObjectReference()
        target.kind = "Pod"
        target.namespace = pod.metadata.namespace
        target.name = pod.metadata.name
        target.uid = pod.metadata.uid
        endpoint.targetRef = target
        endpoint.hints = hints(for: endpoint)
        return DesiredEndpoint(endpoint: endpoint, ports: ports(on: pod))
    }

    /// Where traffic to the endpoint should come from: `spec.trafficDistribution` (KEP-4444, KEP-3015).
    private func hints(for endpoint: Endpoint) -> EndpointHints? {
        guard endpoint.conditions.ready == true, !asksForTopologyMode else { return nil }
        var hints = EndpointHints()
        switch service.spec.trafficDistribution {
        case "PreferClose", "PreferSameZone":
            hints.forZones = endpoint.zone.map { [ForZone(name: $0)] } ?? []
        case "PreferSameNode":
            hints.forZones = endpoint.zone.map { [ForZone(name: $0)] } ?? []
            hints.forNodes = endpoint.nodeName.map { [ForNode(name: $0)] } ?? []
        default: return nil
        }
        return hints.forZones.isEmpty && hints.forNodes.isEmpty ? nil : hints
    }

    /// The older annotation has precedence over the field, as upstream.
    var asksForTopologyMode: Bool {
        let annotations = service.metadata.annotations
        let mode =
            annotations["service.kubernetes.io/topology-aware-hints"]
            ?? annotations["service.kubernetes.io/topology-mode"]
        return mode == "Auto" || mode == "auto"
    }

    /// The Service's ports as they are on this pod: named target ports may differ from pod to pod, and one
    /// that a pod lacks leaves that port out.
    func ports(on pod: Pod) -> [EndpointSlicePort] {
        service.spec.ports.compactMap { servicePort in
            guard let number = target(of: servicePort, on: pod) else { return nil }
            var port = EndpointSlicePort()
            port.name = servicePort.name
            port.`protocol` = servicePort.`protocol`.isEmpty ? "TCP" : servicePort.`protocol`
            port.port = number
            port.appProtocol = servicePort.appProtocol
            return port
        }
    }

    private func target(of port: ServicePort, on pod: Pod) -> Int? {
        switch port.targetPort {
        case .int(let number): return number == 0 ? port.port : number
        case .string(let name):
            guard !name.isEmpty else { return port.port }
            let wanted = port.`protocol`.isEmpty ? "TCP" : port.`protocol`
            let containers =
                pod.spec.containers + pod.spec.initContainers.filter { $0.restartPolicy == "Always" }
            for containerPort in containers.lazy.flatMap(\.ports) {
                let given = containerPort.`protocol`.isEmpty ? "TCP" : containerPort.`protocol`
                if containerPort.name == name, given == wanted { return containerPort.containerPort }
            }
            return nil
        }
    }
}
