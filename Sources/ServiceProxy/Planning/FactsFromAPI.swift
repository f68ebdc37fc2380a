import KubernetesAPI
import Netlink

/// Whether an object is none of this proxy's business: another proxy takes care of it (label
/// `service.kubernetes.io/service-proxy-name`, KEP-2447), or nobody has to (label `service.kubernetes.io/headless`).
private func isForOthers(_ metadata: ObjectMeta) -> Bool {
    metadata.labels["service.kubernetes.io/service-proxy-name"] != nil
        || metadata.labels["service.kubernetes.io/headless"] != nil
}

extension ServiceFacts {
    /// What the proxy needs of a Service; nil for one that another proxy takes care of.
    public init?(_ service: Service) {
        guard !isForOthers(service.metadata) else { return nil }
        self.init(ObjectName(service.metadata.namespace, service.metadata.name))
        created = Int64(service.metadata.creationTimestamp?.seconds ?? 0)
        let spec = service.spec
        if spec.type != "ExternalName" {
            // A headless Service's address is "None", which is no address.
            let texts = spec.clusterIPs.isEmpty ? [spec.clusterIP] : spec.clusterIPs
            clusterAddresses = texts.compactMap { IPAddress($0) }
        }
        ports = spec.ports.compactMap { port in
            guard let transport = TransportProtocol(name: port.protocol), let number = portNumber(port.port)
            else { return nil }
            let hasNodePort = spec.type == "NodePort" || spec.type == "LoadBalancer"
            return Port(port.name, transport, number, nodePort: hasNodePort ? portNumber(port.nodePort) : nil)
        }
        isInternalTrafficLocal = spec.internalTrafficPolicy == "Local"
        if spec.sessionAffinity == "ClientIP" {
            affinityTimeout = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800
        }
        // Neither headless Services nor names of something else have anything to translate.
        if !clusterAddresses.isEmpty { addWaysFromOutside(service) }
    }

    private mutating func addWaysFromOutside(_ service: Service) {
        let spec = service.spec
        externalAddresses = spec.externalIPs.compactMap { IPAddress($0) }
        let hasLoadBalancer = spec.type == "LoadBalancer"
        if hasLoadBalancer {
            // A load balancer of mode Proxy sends to node ports; its own address means nothing here.
            loadBalancerAddresses = service.status.loadBalancer.ingress.compactMap {
                $0.ipMode == nil || $0.ipMode == "VIP" ? IPAddress($0.ip) : nil
            }
            // The API lets space around them pass.
            sourceRanges = spec.loadBalancerSourceRanges.compactMap { IPNetwork($0.filter { $0 != " " }) }
        }
        let isReachable = hasLoadBalancer || spec.type == "NodePort" || !externalAddresses.isEmpty
        isExternalTrafficLocal = isReachable && spec.externalTrafficPolicy == "Local"
        if hasLoadBalancer, isExternalTrafficLocal { healthCheckPort = portNumber(spec.healthCheckNodePort) }
    }
}

extension SliceFacts {
    /// What the proxy needs of an EndpointSlice; nil for one that belongs to no Service or that does not hold
    /// addresses (`addressType: FQDN`).
    public init?(_ slice: EndpointSlice, nodeName: String) {
        guard let service = slice.metadata.labels["kubernetes.io/service-name"], !service.isEmpty,
            slice.addressType != "FQDN", !isForOthers(slice.metadata)
        else { return nil }
        self.init(
            ObjectName(slice.metadata.namespace, slice.metadata.name),
            of: ObjectName(slice.metadata.namespace, service))
        ports = slice.ports.compactMap { port in
            guard let transport = TransportProtocol(name: port.protocol ?? "TCP"),
                let number = portNumber(port.port ?? 0)
            else { return nil }
            return Port(port.name ?? "", transport, number)
        }
        endpoints = slice.endpoints.compactMap { endpoint in
            // All addresses of an endpoint are the same backend; as upstream, the first is used.
            guard let address = endpoint.addresses.first.flatMap({ IPAddress($0) }) else { return nil }
            var facts = Endpoint(address)
            facts.isReady = endpoint.conditions.ready ?? true
            facts.isServing = endpoint.conditions.serving ?? facts.isReady
            facts.isTerminating = endpoint.conditions.terminating ?? false
            facts.isOnNode = endpoint.nodeName == nodeName
            facts.nodeName = endpoint.nodeName
            facts.zoneHints = endpoint.hints?.forZones.map(\.name) ?? []
            let nodes = endpoint.hints?.forNodes ?? []
            facts.isHintedToNode = nodes.isEmpty ? nil : nodes.contains { $0.name == nodeName }
            return facts
        }
    }
}

/// A port that packets can carry: 1 to 65535.
private func portNumber(_ number: Int) -> UInt16? {
    guard number > 0 else { return nil }
    return UInt16(exactly: number)
}
