import Glibc
import Netlink
import ServiceProxy
import Testing

/// New connections are spread evenly, in the real kernel: 30,000 of them pass a chi-square test at p > 0.001.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"), .serialized)
struct SpreadTests {
    private static let count = 30_000
    private static let service = ServiceAddress(PrivateNetwork.address("10.96.0.42"), .udp, 53)

    /// A node and one other namespace, in which all endpoints are addresses of one interface.
    private struct Setting {
        let network: PrivateNetwork
        let client: NetworkNamespace
        let pods: NetworkNamespace
        var planner: Planner
        var backEnd: NftablesBackEnd
        /// One socket for each endpoint that there may be.
        private let receivers: [(IPAddress, Int32)]
        /// The next port to send from.
        private var port: UInt16 = 2000

        init() async throws {
            network = try await PrivateNetwork()
            client = try await network.addPod("10.244.0.200")
            pods = try await network.addPod("10.244.0.201")
            let configuration = ProxyConfiguration(
                nodeName: "node", nodeAddress: PrivateNetwork.nodeAddress,
                serviceRanges: [try #require(IPNetwork("10.96.0.0/16"))],
                podRanges: [try #require(IPNetwork("10.244.0.0/16"))])
            planner = Planner(configuration)
            backEnd = NftablesBackEnd(
                NftablesForm(.ipv4, configuration), try await NftablesSocket(in: network.node))
            try backEnd.replace(by: ForwardingTable())
            let link = try #require(try network.routes.link(named: "veth201"))
            let inside = try await RouteSocket(in: pods)
            let eth0 = try #require(try inside.link(named: "eth0"))
            for number in 1...60 {
                let address = PrivateNetwork.address("10.244.0.\(number + 1)")
                try inside.addAddress(InterfaceAddress(IPNetwork(host: address), link: eth0.index))
                try network.routes.setRoute(Route(IPNetwork(host: address), link: link.index))
            }
            receivers = try await pods.run {
                try (1...60).map { number in
                    let address = PrivateNetwork.address("10.244.0.\(number + 1)")
                    let descriptor = clientSocket(SOCK_DGRAM)
                    try #require(descriptor >= 0)
                    try #require(withSocketAddress(address, 53) { bind(descriptor, $0, $1) } == 0)
                    return (address, descriptor)
                }
            }
        }

        mutating func setEndpoints(_ numbers: [Int]) throws {
            var service = ServiceFacts(ObjectName("default", "dns"))
            service.clusterAddresses = [SpreadTests.service.address]
            service.ports = [.init("", .udp, 53)]
            planner.setService(service)
            var slice = SliceFacts(ObjectName("default", "dns-1"), of: service.name)
            slice.ports = [.init("", .udp, 53)]
            slice.endpoints = numbers.map {
                SliceFacts.Endpoint(PrivateNetwork.address("10.244.0.\($0 + 1)"))
            }
            planner.setSlice(slice)
            try backEnd.apply(planner.plan())
        }

        /// Sends datagrams, each from a port that was not used before and so each a connection, and counts where they
        /// arrive. A few at a time: what a socket cannot hold is lost.
        mutating func send(_ count: Int) async throws -> [IPAddress: Int] {
            let (sockets, first) = (receivers, port)
            port += UInt16(count)
            return try await client.run {
                var counts: [IPAddress: Int] = [:]
                for begin in stride(from: 0, to: count, by: 100) {
                    let end = min(begin + 100, count)
                    for number in begin..<end { try Self.sendOne(from: first + UInt16(number)) }
                    var received = 0
                    while received < end - begin {
                        for (address, number) in try Self.receive(sockets) {
                            counts[address, default: 0] += number
                            received += number
                        }
                    }
                }
                return counts
            }
        }

        private static func sendOne(from port: UInt16) throws {
            let descriptor = clientSocket(SOCK_DGRAM)
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            let own = PrivateNetwork.address("10.244.0.200")
            try #require(withSocketAddress(own, port) { bind(descriptor, $0, $1) } == 0)
            let sent = withSocketAddress(SpreadTests.service.address, 53) {
                sendto(descriptor, "?", 1, 0, $0, $1)
            }
            try #require(sent == 1, "datagram from port \(port): errno \(errno)")
        }

        /// Waits until something has arrived somewhere, and takes it.
        private static func receive(_ sockets: [(IPAddress, Int32)]) throws -> [(IPAddress, Int)] {
            var waiting = sockets.map { pollfd(fd: $0.1, events: Int16(POLLIN), revents: 0) }
            try #require(poll(&waiting, nfds_t(waiting.count), 60_000) > 0, "a datagram is lost")
            var byte: UInt8 = 0
            return zip(sockets, waiting).compactMap { socket, state in
                guard state.revents != 0 else { return nil }
                var count = 0
                while recv(socket.1, &byte, 1, Int32(MSG_DONTWAIT)) == 1 { count += 1 }
                return (socket.0, count)
            }
        }

        func end() { for (_, descriptor) in receivers { close(descriptor) } }
    }

    /// The value that chi-square stays below with a probability of 0.999 (Wilson and Hilferty).
    private func bound(_ degrees: Int) -> Double {
        let freedom = Double(degrees)
        let part = 1 - 2 / (9 * freedom) + 3.0902 * (2 / (9 * freedom)).squareRoot()
        return freedom * part * part * part
    }

    /// Whether these counts may come from an even spread, at p > 0.001.
    private func isEven(_ counts: [IPAddress: Int]) -> Bool {
        let expected = Double(counts.values.reduce(0, +)) / Double(counts.count)
        let deviation = counts.values.reduce(0.0) {
            $0 + (Double($1) - expected) * (Double($1) - expected) / expected
        }
        return deviation < bound(counts.count - 1)
    }

    /// Of a thousand even spreads one looks uneven, so there is a second chance, with counts of its own: both of an
    /// even spread's attempts look uneven once in a million times, and an uneven spread fails each.
    private func expectEven(_ name: String, _ attempt: () async throws -> [IPAddress: Int]) async throws {
        let first = try await attempt()
        if isEven(first) { return }
        let second = try await attempt()
        #expect(isEven(second), "\(name): \(first.values.sorted()), then \(second.values.sorted())")
    }

    @Test(arguments: [2, 3, 7, 50]) func connectionsAreSpreadEvenly(_ endpoints: Int) async throws {
        try await expectEven("\(endpoints) endpoints") {
            var setting = try await Setting()
            defer { setting.end() }
            try setting.setEndpoints(Array(1...endpoints))
            let counts = try await setting.send(Self.count)
            #expect(counts.values.reduce(0, +) == Self.count)
            #expect(counts.count == endpoints)
            return counts
        }
    }

    @Test func alsoWhileEndpointsComeAndGo() async throws {
        let staying = Set((1...6).map { PrivateNetwork.address("10.244.0.\($0 + 1)") })
        try await expectEven("six that stay") {
            var setting = try await Setting()
            defer { setting.end() }
            // After each 300 connections others come and go.
            var counts: [IPAddress: Int] = [:]
            for round in 0..<(Self.count / 300) {
                try setting.setEndpoints(Array(1...6) + (0..<(round % 4)).map { 7 + (round + $0) % 9 })
                let part = try await setting.send(300)
                for (address, number) in part { counts[address, default: 0] += number }
            }
            #expect(counts.values.reduce(0, +) == Self.count)
            return counts.filter { staying.contains($0.key) }
        }
    }
}
