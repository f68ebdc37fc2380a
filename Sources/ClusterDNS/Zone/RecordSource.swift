import KubernetesAPI
import KubernetesClient

extension ServiceDescription {
    /// What the names of a Service depend on.
    package init(_ service: Service) {
        let spec = service.spec
        let addresses = spec.clusterIPs.isEmpty ? [spec.clusterIP] : spec.clusterIPs
        if spec.type == "ExternalName" {
            // An address is not a name, though it reads like one.
            let target = HostAddress(spec.externalName) == nil ? DNSName(spec.externalName) : nil
            kind = target.flatMap { $0 == .root ? nil : .external($0) } ?? .unresolvable
        } else if addresses.contains("None") {
            kind = .headless(publishNotReady: spec.publishNotReadyAddresses)
        } else {
            let parsed = addresses.compactMap { HostAddress($0) }
            kind = parsed.isEmpty ? .unresolvable : .addressed(parsed)
        }
        ports = spec.ports.compactMap { port in
            UInt16(exactly: port.port).map { Port(name: port.name, transport: port.protocol, number: $0) }
        }
    }
}

extension SliceDescription {
    /// What names depend on in an EndpointSlice. Slices of names (`addressType: FQDN`) hold no address.
    package init(_ slice: EndpointSlice) {
        endpoints = slice.endpoints.flatMap { endpoint in
            endpoint.addresses.compactMap { text in
                HostAddress(text).map {
                    // Nothing said means ready (discovery/v1 EndpointConditions).
                    Endpoint(
                        address: $0, hostname: endpoint.hostname, isReady: endpoint.conditions.ready ?? true)
                }
            }
        }
        ports = slice.ports.compactMap { port in
            guard let number = port.port.flatMap({ UInt16(exactly: $0) }) else { return nil }
            return ServiceDescription.Port(
                name: port.name ?? "", transport: port.protocol ?? "TCP", number: number)
        }
    }
}

extension EndpointSlice {
    /// The Service that the slice belongs to, if it says.
    package var serviceName: String? {
        metadata.labels["kubernetes.io/service-name"]
    }
}

extension ClusterZone {
    package mutating func apply(_ event: InformerEvent<Service>) {
        switch event {
        case .added(let service), .updated(_, let service):
            let metadata = service.metadata
            setService(ServiceDescription(service), namespace: metadata.namespace, name: metadata.name)
        case .deleted(let service):
            setService(nil, namespace: service.metadata.namespace, name: service.metadata.name)
        case .synced:
            missing.remove(.services)
        }
    }

    package mutating func apply(_ event: InformerEvent<EndpointSlice>) {
        switch event {
        case .added(let slice):
            set(slice)
        case .updated(let old, let new):
            if let service = old.serviceName, service != new.serviceName {
                setSlice(
                    nil, named: old.metadata.name, service: service, namespace: old.metadata.namespace)
            }
            set(new)
        case .deleted(let slice):
            guard let service = slice.serviceName else { return }
            setSlice(
                nil, named: slice.metadata.name, service: service, namespace: slice.metadata.namespace)
        case .synced:
            missing.remove(.slices)
        }
    }

    private mutating func set(_ slice: EndpointSlice) {
        guard let service = slice.serviceName else { return }
        setSlice(
            SliceDescription(slice), named: slice.metadata.name, service: service,
            namespace: slice.metadata.namespace)
    }
}
