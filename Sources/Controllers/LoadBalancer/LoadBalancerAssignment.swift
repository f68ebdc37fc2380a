import KubernetesAPI

/// Which Services of type LoadBalancer have which addresses of nodes: the balancer is the nodes themselves, on
/// whose addresses the proxy answers. Pure.
///
/// A port of an address is given once. Of two Services that want it, the one that has addresses already keeps it,
/// else the older has it, and the other is told.
package struct LoadBalancerAssignment: Sendable, Equatable {
    /// The class that this balancer serves beside Services without one (`spec.loadBalancerClass`).
    package static let loadBalancerClass = "swiftlet/node"
    /// Where load balancers ask each node's proxy how it is: kube-proxy's `--healthz-bind-address`.
    private static let proxyHealthPort = 10256
    private static let excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"

    /// What becomes of one Service.
    package struct Outcome: Sendable, Equatable {
        /// For `status.loadBalancer.ingress`.
        package var ingress: [LoadBalancerIngress] = []
        /// Why there are no addresses; nil when there are, or when nothing is wrong.
        package var failure: String?
        /// Whether no node can take its traffic.
        package var lacksNodes = false
    }

    /// A port that somebody has.
    private struct Claim: Hashable {
        /// Nil for every address of every node.
        var address: String?
        var port: Int
        var transport: String
    }

    /// By namespace and name, for the Services that this balancer serves.
    package private(set) var outcomes: [ServiceName: Outcome] = [:]
    private var owners: [Claim: String] = [:]

    /// A Service's namespace and name.
    package struct ServiceName: Sendable, Hashable {
        package var namespace: String
        package var name: String

        package init(_ metadata: ObjectMeta) {
            namespace = metadata.namespace
            name = metadata.name
        }
    }

    /// - Parameters:
    ///   - services: all Services of type NodePort or LoadBalancer: node ports too are ports of the nodes' addresses.
    ///   - slices: the EndpointSlices of a Service, by which `externalTrafficPolicy: Local` finds its nodes; those of
    ///     `default/kubernetes` say where the API server answers.
    package init(services: [Service], nodes: [Node], slices: (ServiceName) -> [EndpointSlice]) {
        reserve(services, nodes: nodes, slices: slices)
        let usable = nodes.filter(Self.isUsable)
        let wanting = services.filter(Self.serves).sorted { a, b in
            let (left, right) = (Self.precedence(a), Self.precedence(b))
            return left == right
                ? (a.metadata.namespace, a.metadata.name) < (b.metadata.namespace, b.metadata.name)
                : left < right
        }
        for service in wanting {
            let name = ServiceName(service.metadata)
            outcomes[name] = assign(service, usable, slices: slices(name))
        }
    }

    /// Lower is first. Ages are told in whole seconds: of two Services made in one, the second must not take from
    /// the first what it was given.
    private static func precedence(_ service: Service) -> (Int, Int) {
        (
            service.status.loadBalancer.ingress.isEmpty ? 1 : 0,
            service.metadata.creationTimestamp?.seconds ?? 0
        )
    }

    /// Whether this balancer serves a Service.
    package static func serves(_ service: Service) -> Bool {
        guard service.spec.type == "LoadBalancer", service.metadata.deletionTimestamp == nil else {
            return false
        }
        return service.spec.loadBalancerClass.map { $0 == loadBalancerClass } ?? true
    }

    private static func isUsable(_ node: Node) -> Bool {
        node.metadata.labels[excludeLabel] == nil
            && node.status.conditions.contains { $0.type == "Ready" && $0.status == "True" }
    }

    /// Notes who answers on the nodes' addresses already.
    private mutating func reserve(
        _ services: [Service], nodes: [Node], slices: (ServiceName) -> [EndpointSlice]
    ) {
        owners[Claim(address: nil, port: Self.proxyHealthPort, transport: "TCP")] =
            "the health check of the nodes' service proxies"
        for service in services where ["NodePort", "LoadBalancer"].contains(service.spec.type) {
            if service.spec.healthCheckNodePort != 0 {
                owners[Claim(address: nil, port: service.spec.healthCheckNodePort, transport: "TCP")] =
                    "the health check node port of Service "
                    + "\(service.metadata.namespace)/\(service.metadata.name)"
            }
            for port in service.spec.ports where port.nodePort != 0 {
                owners[Claim(address: nil, port: port.nodePort, transport: port.protocol)] =
                    "the node port of Service \(service.metadata.namespace)/\(service.metadata.name)"
            }
        }
        for slice in slices(ServiceName(ObjectMeta(name: "kubernetes", namespace: "default"))) {
            for address in slice.endpoints.flatMap(\.addresses) {
                for port in slice.ports {
                    owners[Claim(address: address, port: port.port ?? 0, transport: "TCP")] =
                        "the API server"
                }
            }
        }
        for node in nodes {
            let port = node.status.daemonEndpoints.kubeletEndpoint.Port
            guard port != 0 else { continue }
            for address in node.status.addresses {
                owners[Claim(address: address.address, port: port, transport: "TCP")] =
                    "the agent of node \(node.metadata.name)"
            }
        }
    }

    private mutating func assign(
        _ service: Service, _ nodes: [Node], slices: [EndpointSlice]
    ) -> Outcome {
        var outcome = Outcome()
        var nodes = nodes
        outcome.lacksNodes = nodes.isEmpty
        if service.spec.externalTrafficPolicy == "Local" {
            // Other nodes would refuse the traffic.
            let local = Set(
                slices.flatMap(\.endpoints).filter { $0.conditions.ready != false }.compactMap(\.nodeName))
            nodes = nodes.filter { local.contains($0.metadata.name) }
        }
        let addresses = Self.addresses(nodes, families: service.spec.ipFamilies)
        let claims = addresses.flatMap { address in
            service.spec.ports.map {
                Claim(address: address, port: $0.port, transport: $0.protocol)
            }
        }
        for claim in claims {
            guard let owner = owners[claim] ?? owners[anywhere(claim)] else { continue }
            let isOwn = owner.hasSuffix(" \(service.metadata.namespace)/\(service.metadata.name)")
            // A Service's own node port leads to the same place.
            guard !isOwn || service.spec.ports.first(where: { $0.port == claim.port })?.nodePort != claim.port
            else { continue }
            outcome.failure =
                "port \(claim.port)/\(claim.transport) of \(claim.address ?? "") is taken by \(owner); "
                + "choose another port in spec.ports, or free that one"
            return outcome
        }
        for claim in claims {
            owners[claim] = "LoadBalancer Service \(service.metadata.namespace)/\(service.metadata.name)"
        }
        outcome.ingress = addresses.map { LoadBalancerIngress(ip: $0, ipMode: "VIP") }
        return outcome
    }

    private func anywhere(_ claim: Claim) -> Claim {
        Claim(address: nil, port: claim.port, transport: claim.transport)
    }

    /// The addresses at which nodes can be reached from outside, if they say so, else those they have. In the order
    /// of the Service's families.
    private static func addresses(_ nodes: [Node], families: [String]) -> [String] {
        let all = nodes.sorted { $0.metadata.name < $1.metadata.name }.flatMap(\.status.addresses)
        for type in ["ExternalIP", "InternalIP"] {
            let found = all.filter { $0.type == type }.map(\.address)
            guard !found.isEmpty else { continue }
            var result: [String] = []
            for family in families.isEmpty ? ["IPv4"] : families {
                for address in found
                where (address.contains(":") ? "IPv6" : "IPv4") == family && !result.contains(address) {
                    result.append(address)
                }
            }
            return result
        }
        return []
    }
}
