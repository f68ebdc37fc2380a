import KubernetesAPI
import KubernetesClient
import KubernetesJSON

/// An object of the API reduced to what names depend on. A cluster's Services and EndpointSlices are many, and
/// most of what they say does not matter here.
package protocol ReducedObject: KubernetesObject {
    associatedtype Whole: KubernetesObject
    init(_ whole: Whole)
}

extension ReducedObject {
    package static var resource: ResourceKind { Whole.resource }

    package init(reading reader: inout JSONReader) throws(JSONError) {
        self.init(try Whole(reading: &reader))
    }

    /// Only the metadata: these are never sent anywhere.
    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("metadata")
        metadata.write(to: &writer)
        writer.endObject()
    }
}

extension ObjectMeta {
    /// What tells objects and their states apart.
    fileprivate var identity: ObjectMeta {
        ObjectMeta(name: name, namespace: namespace, uid: uid, resourceVersion: resourceVersion)
    }
}

/// A namespace: that it exists is all that names depend on.
package struct NamedNamespace: ReducedObject {
    package var metadata = ObjectMeta()

    package init() {}

    package init(_ namespace: Namespace) { metadata = namespace.metadata.identity }
}

/// A Service as its names see it.
package struct NamedService: ReducedObject {
    package var metadata = ObjectMeta()
    package var description = ServiceDescription(kind: .unresolvable)

    package init() {}

    package init(_ service: Service) {
        metadata = service.metadata.identity
        description = ServiceDescription(service)
    }
}

/// An EndpointSlice as names see it.
package struct NamedSlice: ReducedObject {
    package var metadata = ObjectMeta()
    /// The Service that it belongs to, if it says.
    package var serviceName: String?
    package var description = SliceDescription(endpoints: [], ports: [])

    package init() {}

    package init(_ slice: EndpointSlice) {
        metadata = slice.metadata.identity
        serviceName = slice.metadata.labels["kubernetes.io/service-name"]
        description = SliceDescription(slice)
    }
}

/// A pod as its search path sees it.
package struct NamedPod: ReducedObject {
    package var metadata = ObjectMeta()
    /// Nil if the pod has no address of its own, or does not ask the cluster's DNS.
    package var description: PodDescription?

    package init() {}

    package init(_ pod: Pod) {
        metadata = pod.metadata.identity
        description = PodDescription(pod)
    }
}

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
            // The specification knows the annotation that came before the field.
            let annotation = service.metadata.annotations[
                "service.alpha.kubernetes.io/tolerate-unready-endpoints"]
            kind = .headless(publishNotReady: spec.publishNotReadyAddresses || annotation == "true")
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

extension PodDescription {
    /// Nil for pods that share the node's address, have none, are over, or ask other servers.
    package init?(_ pod: Pod) {
        let spec = pod.spec
        guard !spec.hostNetwork, pod.status.phase != "Succeeded", pod.status.phase != "Failed",
            spec.dnsPolicy != "Default",
            let namespace = DNSName(labels: [pod.metadata.namespace])?.lowercased
        else { return nil }
        let texts = pod.status.podIPs.isEmpty ? [pod.status.podIP] : pod.status.podIPs.map(\.ip)
        let addresses = texts.compactMap { HostAddress($0) }
        guard !addresses.isEmpty else { return nil }
        let isNone = spec.dnsPolicy == "None"
        let searches = (spec.dnsConfig?.searches ?? []).compactMap { DNSName($0)?.lowercased }
        let dots = spec.dnsConfig?.options.last { $0.name == "ndots" }?.value.flatMap { Int($0) }
        let search: Search =
            isNone || !searches.isEmpty || dots != nil
            ? .custom(
                namespace: namespace, domains: searches, minimumDots: dots ?? (isNone ? 1 : 5),
                isComplete: isNone)
            : .standard(namespace: namespace)
        self.init(
            uid: pod.metadata.uid, addresses: addresses, search: search, start: pod.status.startTime?.seconds)
    }
}

extension InformerEvent {
    /// The same event of reduced objects.
    package func reduced<Reduced: ReducedObject>(
        to type: Reduced.Type = Reduced.self
    ) -> InformerEvent<Reduced> where Reduced.Whole == Object {
        switch self {
        case .added(let object): .added(Reduced(object))
        case .updated(let old, let new): .updated(old: Reduced(old), new: Reduced(new))
        case .deleted(let object): .deleted(Reduced(object))
        case .synced: .synced
        }
    }
}

extension ClusterZone {
    package mutating func apply(_ event: InformerEvent<NamedNamespace>) {
        switch event {
        case .added(let namespace), .updated(_, let namespace):
            setNamespace(namespace.metadata.name, exists: true)
        case .deleted(let namespace):
            setNamespace(namespace.metadata.name, exists: false)
        case .synced:
            missing.remove(.namespaces)
        }
    }

    package mutating func apply(_ event: InformerEvent<NamedService>) {
        switch event {
        case .added(let service), .updated(_, let service):
            let metadata = service.metadata
            setService(service.description, namespace: metadata.namespace, name: metadata.name)
        case .deleted(let service):
            setService(nil, namespace: service.metadata.namespace, name: service.metadata.name)
        case .synced:
            missing.remove(.services)
        }
    }

    package mutating func apply(_ event: InformerEvent<NamedSlice>) {
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

    private mutating func set(_ slice: NamedSlice) {
        guard let service = slice.serviceName else { return }
        setSlice(
            slice.description, named: slice.metadata.name, service: service,
            namespace: slice.metadata.namespace)
    }
}

extension PodDirectory {
    package mutating func apply(_ event: InformerEvent<NamedPod>) {
        switch event {
        case .added(let pod): replace(nil, with: pod.description)
        case .updated(let old, let new): replace(old.description, with: new.description)
        case .deleted(let pod): replace(pod.description, with: nil)
        case .synced: break
        }
    }
}
