/// The part of a Service that its names depend on.
package struct ServiceDescription: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        /// With cluster addresses, one or two.
        case addressed([HostAddress])
        /// `clusterIP: None`: the name stands for the endpoints.
        case headless(publishNotReady: Bool)
        /// `type: ExternalName`: the name is an alias.
        case external(DNSName)
        /// Without an address yet, or with an external name that is none: it has no records.
        case unresolvable
    }

    package var kind: Kind
    package var ports: [Port]

    package init(kind: Kind, ports: [Port] = []) {
        self.kind = kind
        self.ports = ports
    }

    package struct Port: Sendable, Hashable {
        package var name: String
        /// As in the API: `TCP`.
        package var transport: String
        package var number: UInt16

        package init(name: String, transport: String, number: UInt16) {
            self.name = name
            self.transport = transport
            self.number = number
        }
    }
}

/// The part of an EndpointSlice that names depend on.
package struct SliceDescription: Sendable, Hashable {
    package var endpoints: [Endpoint]
    package var ports: [ServiceDescription.Port]

    package init(endpoints: [Endpoint], ports: [ServiceDescription.Port]) {
        self.endpoints = endpoints
        self.ports = ports
    }

    package struct Endpoint: Sendable, Hashable {
        package var address: HostAddress
        package var hostname: String?
        package var isReady: Bool

        package init(address: HostAddress, hostname: String? = nil, isReady: Bool = true) {
            self.address = address
            self.hostname = hostname
            self.isReady = isReady
        }

        /// What stands in front of the Service's name in the endpoint's, in lower case: its host name, or its address
        /// with dashes.
        package var label: DNSName? {
            let text = hostname.flatMap { $0.isEmpty ? nil : $0 } ?? address.dashed
            return DNSName(labels: [text])?.lowercased
        }
    }
}

/// All records of one Service, computed from it and its EndpointSlices by Kubernetes DNS-Based Service
/// Discovery 1.1, sections 2.3 to 2.5.
struct ServiceRecords: Sendable {
    /// What the Service's own name holds, or nil if it does not exist: a headless Service has no name as long
    /// as no endpoint is ready.
    private(set) var own: [RecordData]?
    /// What the names beneath it hold, by their labels in lower case. Names that only have others beneath
    /// them (`_tcp`) are there with no records.
    private(set) var below: [DNSName: [RecordData]] = [:]
    /// Which name each address stands for.
    private(set) var reverse: [(HostAddress, DNSName)] = []

    /// Nothing is known of the Service itself.
    static let none = ServiceRecords()

    private init() {}

    /// - Parameter name: the Service's, whole and in lower case.
    init(_ service: ServiceDescription, slices: [SliceDescription], name: DNSName) {
        switch service.kind {
        case .unresolvable: break
        case .external(let target):
            own = [.cname(target)]
        case .addressed(let addresses):
            own = addresses.map(RecordData.address)
            reverse = addresses.map { ($0, name) }
            for port in service.ports {
                add(port, target: name, weight: 100)
            }
        case .headless(let publishNotReady):
            addEndpoints(slices, publishNotReady: publishNotReady, name: name)
        }
    }

    private mutating func addEndpoints(_ slices: [SliceDescription], publishNotReady: Bool, name: DNSName) {
        var seen: Set<HostAddress> = []
        var addresses: [RecordData] = []
        var services: Set<Endpoint> = []
        var count = 0
        for slice in slices {
            for endpoint in slice.endpoints where endpoint.isReady || publishNotReady {
                count += 1
                if seen.insert(endpoint.address).inserted {
                    addresses.append(.address(endpoint.address))
                }
                guard let label = endpoint.label, let target = label.appending(name) else { continue }
                let data = RecordData.address(endpoint.address)
                if below[label]?.contains(data) != true {
                    below[label, default: []].append(data)
                    reverse.append((endpoint.address, target))
                }
                for port in slice.ports {
                    services.insert(Endpoint(port: port, target: target))
                }
            }
        }
        own = addresses.isEmpty ? nil : addresses
        let weight = UInt16(max(1, 100 / max(1, count)))
        for service in services {
            add(service.port, target: service.target, weight: weight)
        }
    }

    /// An endpoint of both address families is in two slices and has one SRV record.
    private struct Endpoint: Hashable {
        var port: ServiceDescription.Port
        var target: DNSName
    }

    private mutating func add(_ port: ServiceDescription.Port, target: DNSName, weight: UInt16) {
        // A port without a name has no SRV record.
        guard !port.name.isEmpty else { return }
        let transport = "_" + (port.transport.isEmpty ? "tcp" : port.transport.lowercased())
        guard let parent = DNSName(labels: [transport]),
            let label = DNSName(labels: ["_" + port.name], under: parent)?.lowercased
        else { return }
        if below[parent] == nil { below[parent] = [] }
        below[label, default: []].append(
            .srv(priority: 0, weight: weight, port: port.number, target: target))
    }
}
