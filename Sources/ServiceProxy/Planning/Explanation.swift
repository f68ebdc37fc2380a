import Netlink

/// What the proxy does for one port of a Service, and why, for a person to read.
public struct ServicePortExplanation: Sendable, Hashable {
    /// An address at which the port is reached.
    public struct Address: Sendable, Hashable {
        /// What kind of address it is.
        public enum Kind: String, Sendable {
            case cluster = "cluster IP"
            case loadBalancer = "load balancer"
            case external = "external IP"
            case nodePort = "node port"
        }

        /// The address; the unspecified one stands for every address of the node.
        public var address: ServiceAddress
        public var kind: Kind
        /// The older Service that has this address instead; nil when the address is this Service's.
        public var holder: ObjectName?
        /// What becomes of connections; nil while another Service has the address.
        public var forwarding: Forwarding?
    }

    /// An endpoint.
    public struct Endpoint: Sendable, Hashable {
        public var backend: Backend
        /// The node that it is on, if that is known.
        public var nodeName: String?
        public var isOnNode: Bool
        /// Whether it gets connections which any endpoint may serve, and why or why not.
        public var anywhere: Verdict
        /// Whether it gets connections which only endpoints on this node may serve. nil when the Service has no
        /// traffic policy Local.
        public var onNode: Verdict?
    }

    /// In or out.
    public struct Verdict: Sendable, Hashable {
        public var isIn: Bool
        /// The reason, as the end of a sentence: `ready`.
        public var reason: String
    }

    /// The Service.
    public var service: ObjectName
    public var port: ServiceFacts.Port
    public var family: IPAddress.Family
    /// In the order of the addresses.
    public var addresses: [Address]
    /// In the order of their addresses.
    public var endpoints: [Endpoint]
    public var isInternalTrafficLocal: Bool
    public var isExternalTrafficLocal: Bool
    /// For how many seconds clients are led to the same endpoint; nil when they are not.
    public var affinityTimeout: Int?
}

extension Planner {
    /// What the proxy does for each port of each Service, and why: Services by name, ports in their order, IPv4
    /// first. Services that have no address, such as headless ones, are not there.
    public func explanation() -> [ServicePortExplanation] {
        services.keys.sorted().flatMap(explanation)
    }

    /// The same for one Service.
    public func explanation(_ name: ObjectName) -> [ServicePortExplanation] {
        guard let service = services[name] else { return [] }
        let addresses = addresses(of: service)
        return service.ports.flatMap { port in
            Set(service.clusterAddresses.map(\.family)).sorted().map { family in
                var result = ServicePortExplanation(
                    service: name, port: port, family: family, addresses: [], endpoints: [],
                    isInternalTrafficLocal: service.isInternalTrafficLocal,
                    isExternalTrafficLocal: service.isExternalTrafficLocal,
                    affinityTimeout: service.affinityTimeout)
                for (address, claim, owner) in addresses
                where claim.port == port && address.address.family == family {
                    result.addresses.append(
                        .init(
                            address: address, kind: .init(claim.kind), holder: owner == name ? nil : owner,
                            forwarding: owner == name ? table.entries[address] : nil))
                }
                result.endpoints = endpoints(of: service, port, family)
                return result
            }
        }
    }

    private func endpoints(
        of service: ServiceFacts, _ port: ServiceFacts.Port, _ family: IPAddress.Family
    ) -> [ServicePortExplanation.Endpoint] {
        let isLocal = service.isInternalTrafficLocal || service.isExternalTrafficLocal
        let choice = EndpointChoice(
            slices: (slices[service.name] ?? [:]).values, port: port, family: family, zone: zone)
        return choice.candidates.sorted { $0.backend < $1.backend }.map { candidate in
            let here = candidate.onNode.map(ServicePortExplanation.Verdict.init)
            return .init(
                backend: candidate.backend, nodeName: candidate.endpoint.nodeName,
                isOnNode: candidate.endpoint.isOnNode, anywhere: .init(candidate.anywhere),
                onNode: isLocal ? here ?? .init(isIn: false, reason: "not on this node") : nil)
        }
    }
}

extension ServicePortExplanation.Address.Kind {
    fileprivate init(_ kind: AddressClaim.Kind) {
        switch kind {
        case .cluster: self = .cluster
        case .loadBalancer: self = .loadBalancer
        case .external: self = .external
        case .nodePort: self = .nodePort
        }
    }
}

extension ServicePortExplanation.Verdict {
    fileprivate init(_ reason: EndpointChoice.Reason) {
        isIn = reason.isIn
        switch reason {
        case .ready: self.reason = "ready"
        case .servingWhileNoneIsReady: self.reason = "terminating, but serves, and no endpoint is ready"
        case .terminating: self.reason = "terminating, and others are ready"
        case .notReady: self.reason = "not ready"
        case .meantForOtherNodes: self.reason = "ready, but meant for clients on other nodes (hints)"
        case .meantForOtherZones: self.reason = "ready, but meant for clients in other zones (hints)"
        }
    }
}
