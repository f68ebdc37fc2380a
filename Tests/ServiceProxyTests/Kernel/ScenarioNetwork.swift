import Glibc
import Netlink
import ServiceProxy
import Testing

/// The world of a scenario, in network namespaces of its own: a node with pods, another node that holds all pods
/// of the rest of the cluster, and everybody else. All of them lie behind the node; the default routes lead there.
///
///     10.244.0.2 ─┐            ┌─ another node: 10.244.1.0/24 …, 172.31.0.2
///     10.244.0.3 ─┤── node ────┤
///     fd00:244::2 ┘ 172.31.0.1 └─ everybody else: 192.0.2.7, 198.51.100.7, 2001:db8::7 …
actor ScenarioNetwork {
    let node: NetworkNamespace
    private let routes: RouteSocket
    private let configuration: ProxyConfiguration
    private var places: [Place: NetworkNamespace] = [:]
    private var links: [Place: Int32] = [:]
    private var present: Set<IPAddress> = []
    private var servers: [ServiceAddress: AddressServer] = [:]

    /// Where an address is.
    enum Place: Hashable {
        case node
        /// A pod here, by the last part of its address, which it has in both families.
        case pod(UInt8)
        case otherNode
        case elsewhere
    }

    init(_ configuration: ProxyConfiguration) async throws {
        self.configuration = configuration
        node = try await NetworkNamespace.make()
        routes = try await RouteSocket(in: node)
        places[.node] = node
        let loopback = try #require(try routes.link(named: "lo"))
        try routes.setLink(loopback.index, up: true)
        for address in configuration.nodeAddresses {
            try routes.addAddress(InterfaceAddress(IPNetwork(host: address), link: loopback.index))
        }
        try await node.run {
            try write("1", to: "/proc/sys/net/ipv4/ip_forward")
            try write("1", to: "/proc/sys/net/ipv6/conf/all/forwarding")
            try useAddressesAtOnce()
        }
        // The node's own way to everywhere: nobody is there to say no, and packets vanish.
        try await addPlace(.elsewhere)
        for family in [IPAddress.Family.ipv4, .ipv6] {
            try route(IPAddress.unspecified(family), prefixLength: 0, to: .elsewhere)
        }
    }

    private func place(of address: IPAddress) -> Place {
        if configuration.nodeAddresses.contains(address) || address.isLoopback
            || configuration.nodeLocalAddresses.contains(address) || Scenario.gateways.contains(address)
        {
            return .node
        }
        let own = ["10.244.0.0/24", "fd00:244::/64"].compactMap { IPNetwork($0) }
        if own.contains(where: { $0.contains(address) }) { return .pod(address.bytes.last ?? 0) }
        let others =
            configuration.podRanges + ["172.31.0.0/16", "fd00:172::/64"].compactMap { IPNetwork($0) }
        return others.contains { $0.contains(address) } ? .otherNode : .elsewhere
    }

    private func addPlace(_ place: Place) async throws {
        let there = try await NetworkNamespace.make()
        try await there.run { try useAddressesAtOnce() }
        let name = "to\(places.count)"
        try routes.addLink(name, .veth(peer: "eth0"))
        let outer = try #require(try routes.link(named: name))
        let inner = try #require(try routes.link(named: "eth0"))
        try routes.moveLink(inner.index, to: there)
        for gateway in Scenario.gateways {
            try routes.addAddress(InterfaceAddress(IPNetwork(host: gateway), link: outer.index))
        }
        try routes.setLink(outer.index, up: true)
        let inside = try await RouteSocket(in: there)
        let loopback = try #require(try inside.link(named: "lo"))
        try inside.setLink(loopback.index, up: true)
        let eth0 = try #require(try inside.link(named: "eth0"))
        try inside.setLink(eth0.index, up: true)
        try await there.run {
            // A place answers for addresses that its loopback interface has.
            try write("1", to: "/proc/sys/net/ipv4/ip_forward")
            try write("1", to: "/proc/sys/net/ipv6/conf/all/forwarding")
        }
        for gateway in Scenario.gateways {
            try inside.setRoute(Route(IPNetwork(host: gateway), link: eth0.index))
            var everywhere = Route(
                try #require(IPNetwork(.unspecified(gateway.family), prefixLength: 0)), link: eth0.index)
            everywhere.gateway = gateway
            everywhere.isOnLink = true
            try inside.setRoute(everywhere)
        }
        places[place] = there
        links[place] = outer.index
    }

    private func route(_ address: IPAddress, prefixLength: Int, to place: Place) throws {
        var route = Route(try #require(IPNetwork(address, prefixLength: prefixLength)), link: links[place])
        route.source = configuration.nodeAddress(address.family)
        try routes.setRoute(route)
    }

    /// The namespace in which an address is. It is given to it, if need be.
    func namespace(of address: IPAddress) async throws -> NetworkNamespace {
        let place = place(of: address)
        if places[place] == nil { try await addPlace(place) }
        let namespace = try #require(places[place])
        if place != .node, present.insert(address).inserted {
            let inside = try await RouteSocket(in: namespace)
            // At the interface, for neighbours to be answered.
            let eth0 = try #require(try inside.link(named: "eth0"))
            try inside.addAddress(InterfaceAddress(IPNetwork(host: address), link: eth0.index))
            try route(address, prefixLength: address.family.bitCount, to: place)
        }
        return namespace
    }

    /// Listens at an address from now on. False where the kernel does not have the protocol.
    func serve(_ address: ServiceAddress) async throws {
        guard servers[address] == nil else { return }
        let namespace = try await namespace(of: address.address)
        servers[address] = try await AddressServer(address, in: namespace)
    }

    /// Stops listening.
    func stop(_ address: ServiceAddress) {
        servers.removeValue(forKey: address)?.stop()
    }

    func stopAll() {
        for server in servers.values { server.stop() }
        servers = [:]
    }
}

/// Lets interfaces that are made from now on ask for their neighbours at once. While a new address is looked for
/// elsewhere first (RFC 4862, 5.4: a second or two) nobody is asked, and after three seconds a neighbour counts as
/// unreachable: on a busy machine that is a race. Shell: `sysctl net.ipv6.conf.default.accept_dad=0 …`
private func useAddressesAtOnce() throws {
    for scope in ["all", "default"] { try write("0", to: "/proc/sys/net/ipv6/conf/\(scope)/accept_dad") }
}

/// A server that answers every connection or datagram with its own address and the client's.
final class AddressServer: Sendable {
    private let descriptor: Int32
    private let serving: Task<Void, any Error>

    init(_ address: ServiceAddress, in namespace: NetworkNamespace) async throws {
        let kind = address.transportProtocol == .udp ? SOCK_DGRAM : SOCK_STREAM
        let descriptor = try await namespace.run {
            let descriptor = socket(
                Int32(address.address.family.rawValue), Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue),
                address.transportProtocol == .sctp ? Int32(IPPROTO_SCTP) : 0)
            try #require(descriptor >= 0)
            var on: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
            let result = withSocketAddress(address.address, address.port) { bind(descriptor, $0, $1) }
            try #require(result == 0, "cannot bind \(address): errno \(errno)")
            if kind == SOCK_STREAM { try #require(listen(descriptor, 1024) == 0) }
            return descriptor
        }
        self.descriptor = descriptor
        let name = Backend(address.address, address.port).description
        serving = Task {
            // On a thread of its own: it blocks.
            try await namespace.run {
                answerEverybody(descriptor, kind, as: name)
                close(descriptor)
            }
        }
    }

    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }
}

extension NetworkNamespace {
    /// One attempt to reach an address from inside, with this source address.
    func attempt(
        from source: IPAddress, _ address: ServiceAddress, patience: Int
    ) async throws -> Outcome {
        try await run {
            let kind = address.transportProtocol == .udp ? SOCK_DGRAM : SOCK_STREAM
            let descriptor = clientSocket(kind, family: source.family, patience: patience)
            defer { close(descriptor) }
            guard withSocketAddress(source, 0, { bind(descriptor, $0, $1) }) == 0 else {
                return .failed(errno)
            }
            return exchange(descriptor, kind, address.address, address.port)
        }
    }
}
