import Glibc
import Netlink
import Testing

/// Requests to the real kernel, each in a network namespace of its own.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"))
struct KernelTests {
    @Test func linksAddressesAndRoutes() async throws {
        let namespace = try await NetworkNamespace.make()
        let kernel = try await RouteSocket(in: namespace)
        #expect(try kernel.links().map(\.name) == ["lo"])

        try kernel.addLink("one", .veth(peer: "two"), mtu: 1400)
        let one = try #require(try kernel.link(named: "one"))
        #expect(one.kind == "veth")
        #expect(one.mtu == 1400)
        #expect(!one.isUp)
        try kernel.setLink(one.index, up: true)
        let two = try #require(try kernel.link(named: "two"))
        try kernel.setLink(two.index, up: true)
        #expect(try kernel.link(named: "one")?.isUp == true)
        #expect(try kernel.link(named: "three") == nil)

        let address = InterfaceAddress(try #require(IPNetwork("10.1.2.3/24")), link: one.index)
        try kernel.addAddress(address)
        #expect(try kernel.addresses().contains { $0.network == address.network && $0.link == one.index })

        var route = Route(try #require(IPNetwork("10.96.0.0/16")), link: one.index)
        route.source = IPAddress("10.1.2.3")
        try kernel.setRoute(route)
        try kernel.setRoute(route)
        let found = try #require(try kernel.routes().first { $0.owner == Route.swiftlet })
        #expect(found.destination == route.destination)
        #expect(found.source == route.source)
        #expect(found.link == one.index)
        try kernel.removeRoute(found)
        #expect(try !kernel.routes().contains { $0.owner == Route.swiftlet })
        try kernel.removeAddress(address)
        #expect(try !kernel.addresses().contains { $0.network == address.network })
        try kernel.removeLink(one.index)
        #expect(try kernel.links().map(\.name) == ["lo"])
    }

    @Test func routingRules() async throws {
        let namespace = try await NetworkNamespace.make()
        let kernel = try await RouteSocket(in: namespace)
        let rule = RoutingRule(priority: 1000, table: 500, source: IPNetwork("10.0.0.0/8"))
        try kernel.addRule(rule)
        #expect(try kernel.rules().contains(rule))
        try kernel.removeRule(rule)
        #expect(try !kernel.rules().contains(rule))
    }

    @Test func linksMoveBetweenNamespaces() async throws {
        let here = try await NetworkNamespace.make()
        let there = try await NetworkNamespace.make()
        let kernel = try await RouteSocket(in: here)
        try kernel.addLink("wire", .veth(peer: "end"))
        let end = try #require(try kernel.link(named: "end"))
        try kernel.moveLink(end.index, to: there)
        #expect(try kernel.link(named: "end") == nil)
        #expect(try await RouteSocket(in: there).link(named: "end") != nil)
    }

    @Test func refusalsSayWhatWasAskedAndWhatTheKernelSaid() async throws {
        let namespace = try await NetworkNamespace.make()
        let kernel = try await RouteSocket(in: namespace)
        let error = try #require(throws: NetlinkError.self) {
            try kernel.setRoute(Route(try #require(IPNetwork("10.0.0.0/8")), link: 4711))
        }
        #expect(error.refusal == ENODEV)
        #expect(error.description.contains("set route 10.0.0.0/8 dev 4711"))

        let nftables = try await NftablesSocket(in: namespace)
        var transaction = NftablesTransaction(TableName(.ipv4, "test"))
        transaction.addTable()
        transaction.addRule(to: "missing", [.verdict(.accept)])
        let refused = try #require(throws: NetlinkError.self) { try nftables.commit(transaction) }
        #expect(refused.refusal == ENOENT)
        #expect(refused.request == "add rule to chain missing (nftables table ip test)")
        // Nothing of a refused transaction stays.
        #expect(try nftables.comment(of: TableName(.ipv4, "test")) == nil)
    }

    @Test func setsAreReadBackAsTheyWereWritten() async throws {
        let namespace = try await NetworkNamespace.make()
        let nftables = try await NftablesSocket(in: namespace)
        let table = TableName(.ipv4, "test")
        var transaction = NftablesTransaction(table)
        transaction.addTable(comment: "made by a test")
        transaction.addChain("there")
        transaction.addRule(
            to: "there",
            [.meta(.transportProtocol, into: .word(0)), .compare(.word(0), .equal, [6]), .refuse(.reset)])
        transaction.addSet(SetDeclaration("flat", key: [.ipv4Address, .mark]))
        transaction.addSet(SetDeclaration("ways", key: [.ipv4Address], value: .verdict))
        transaction.addSet(SetDeclaration("data", key: [.ipv4Address], value: .data([.ipv4Address, .port])))
        // More than fits one list of elements.
        let many = (0..<5000).map { index in
            SetElement([10, 0, UInt8(index >> 8), UInt8(index & 255), 0, 0, 0, 0])
        }
        transaction.addElements(to: "flat", many)
        transaction.addElements(to: "ways", [SetElement([10, 0, 0, 1], .verdict(.goto("there")))])
        transaction.addElements(
            to: "data", [SetElement([10, 0, 0, 1], .data([10, 0, 0, 2, 0, 80, 0, 0]))])
        try nftables.commit(transaction)

        #expect(try nftables.comment(of: table) == "made by a test")
        #expect(try nftables.chains(of: table) == ["there"])
        #expect(try nftables.sets(of: table).sorted() == ["data", "flat", "ways"])
        #expect(Set(try nftables.elements(of: "flat", in: table)) == Set(many))
        #expect(
            try nftables.elements(of: "ways", in: table)
                == [SetElement([10, 0, 0, 1], .verdict(.goto("there")))])
        #expect(
            try nftables.elements(of: "data", in: table)
                == [SetElement([10, 0, 0, 1], .data([10, 0, 0, 2, 0, 80, 0, 0]))])

        var removal = NftablesTransaction(table)
        removal.deleteElements(from: "flat", many.dropFirst().map(\.key))
        try nftables.commit(removal)
        #expect(try nftables.elements(of: "flat", in: table) == [many[0]])
    }

    @Test func aTransactionCanInsistOnAGeneration() async throws {
        let namespace = try await NetworkNamespace.make()
        let nftables = try await NftablesSocket(in: namespace)
        let table = TableName(.ipv4, "test")
        let before = try nftables.generation()
        var first = NftablesTransaction(table, generation: before)
        first.addTable()
        try nftables.commit(first)
        #expect(try nftables.generation() != before)
        var second = NftablesTransaction(table, generation: before)
        second.addChain("late")
        let error = try #require(throws: NetlinkError.self) { try nftables.commit(second) }
        #expect(error.refusal == ERESTART)
    }

    @Test(arguments: [("127.0.0.1", "127.0.0.2"), ("fd00::1", "fd00::2")])
    func trackedConnectionsAreFoundAndForgotten(of address: String, besides other: String) async throws {
        let address = try #require(IPAddress(address))
        let other = try #require(IPAddress(other))
        let family = address.family
        let namespace = try await trackingNamespace(with: [address, other])
        let port = try await namespace.run { () throws -> UInt16 in
            _ = try sendToItself(other)
            return try sendToItself(address)
        }
        let tracking = try await ConnectionTracking(in: namespace)
        let wanted = ConnectionFilter(
            originalDestination: address, originalDestinationPort: port, transportProtocol: 17,
            replySource: address)
        let found = try tracking.connections(wanted, family: family)
        #expect(try tracking.count() == 2)
        #expect(found.map(\.original.destinationPort) == [port])
        #expect(found.first?.isHalfOpen == false)
        var unlike = wanted
        unlike.transportProtocol = 6
        #expect(try tracking.connections(unlike, family: family).isEmpty)
        unlike = wanted
        unlike.replySource = other
        #expect(try tracking.connections(unlike, family: family).isEmpty)
        unlike = wanted
        unlike.isAnswered = true
        #expect(try tracking.connections(unlike, family: family).isEmpty)
        unlike.isAnswered = false
        #expect(try tracking.connections(unlike, family: family).count == 1)
        #expect(try tracking.current(found).map(\.original) == found.map(\.original))
        #expect(try tracking.forget(found) == 1)
        #expect(try tracking.connections(wanted, family: family).isEmpty)
        #expect(try tracking.count() == 1)
        #expect(try tracking.forget(found) == 0)
        #expect(try tracking.current(found).isEmpty)
    }

    @Test(arguments: [("127.0.0.1", "127.0.0.2"), ("fd00::1", "fd00::2")])
    func onlyAnAddresssConnectionsAreForgotten(_ address: String, besides other: String) async throws {
        let addresses = try [address, other].map { try #require(IPAddress($0)) }
        let family = addresses[0].family
        let namespace = try await trackingNamespace(with: addresses)
        try await namespace.run { for address in addresses { _ = try sendToItself(address) } }
        let tracking = try await ConnectionTracking(in: namespace)
        func tracked() throws -> Set<IPAddress> {
            Set(
                try tracking.connections(ConnectionFilter(transportProtocol: 17), family: family).map(
                    \.reply.source))
        }
        #expect(try tracked() == Set(addresses))
        try tracking.forget(ConnectionFilter(replySource: addresses[0]), family: family)
        #expect(try tracked() == [addresses[1]])
    }
}

/// A network namespace in which connections between these addresses are tracked.
private func trackingNamespace(with addresses: [IPAddress]) async throws -> NetworkNamespace {
    let namespace = try await NetworkNamespace.make()
    let kernel = try await RouteSocket(in: namespace)
    let loopback = try #require(try kernel.link(named: "lo"))
    try kernel.setLink(loopback.index, up: true)
    let nftables = try await NftablesSocket(in: namespace)
    for address in addresses {
        // All of 127.0.0.0/8 is there.
        if address.family == .ipv6 {
            let network = try #require(IPNetwork(address, prefixLength: 128))
            try kernel.addAddress(InterfaceAddress(network, link: loopback.index))
        }
        // Connections are tracked only once somebody's rule needs it.
        var transaction = NftablesTransaction(
            TableName(address.family == .ipv4 ? .ipv4 : .ipv6, "test-\(address)"))
        transaction.addTable()
        transaction.addChain("nat", hook: .translateOwnDestination)
        transaction.addRule(to: "nat", [.connection(.status, into: .word(0))])
        try nftables.commit(transaction)
    }
    return namespace
}

/// Sends a datagram to the address and from it.
/// - Returns: the port that it was sent to.
private func sendToItself(_ address: IPAddress) throws -> UInt16 {
    let receiver = try udpSocket(address)
    let sender = try udpSocket(address)
    defer {
        close(receiver)
        close(sender)
    }
    var name = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let port = withUnsafeMutablePointer(to: &name) { pointer in
        _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(receiver, $0, &length) }
        // The port has the same place in both families.
        return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
            UInt16(bigEndian: $0.pointee.sin_port)
        }
    }
    // The first moments of an IPv6 address lose what is sent to it.
    var arrival = pollfd(fd: receiver, events: Int16(POLLIN), revents: 0)
    for _ in 0..<400 {
        withUnsafePointer(to: name) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(sender, "x", 1, 0, $0, length)
            }
        }
        if poll(&arrival, 1, 50) == 1 { return port }
    }
    throw Lost()
}

private struct Lost: Error {}

/// A UDP socket bound to a free port of an address.
private func udpSocket(_ address: IPAddress) throws -> Int32 {
    let isIPv4 = address.family == .ipv4
    let descriptor = socket(isIPv4 ? AF_INET : AF_INET6, Int32(SOCK_DGRAM.rawValue), 0)
    var name = sockaddr_storage()
    let result = withUnsafeMutablePointer(to: &name) { pointer in
        let bytes = UnsafeMutableRawPointer(pointer)
        pointer.pointee.ss_family = sa_family_t(isIPv4 ? AF_INET : AF_INET6)
        // Behind family and port, and over IPv6 the flow label.
        bytes.advanced(by: isIPv4 ? 4 : 8).copyMemory(from: address.bytes, byteCount: address.bytes.count)
        let size = isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
        return pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(size))
        }
    }
    try #require(result == 0)
    return descriptor
}
