import Glibc
import Netlink
import ServiceProxy
import Testing

/// The planned table in the real kernel, tried with real sockets.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"), .serialized)
struct DataPathTests {
    private static let service = "10.96.0.42"

    /// A planner and a back end for the node of a private network.
    private struct Proxy {
        var planner: Planner
        var backEnd: NftablesBackEnd
        var range: ServiceRange

        init(_ network: PrivateNetwork, carriers: [ServiceRange.Carrier] = ServiceRange.Carrier.allCases)
            async throws
        {
            let configuration = ProxyConfiguration(
                nodeName: "node", nodeAddress: PrivateNetwork.nodeAddress,
                serviceRanges: [try #require(IPNetwork("10.96.0.0/16"))],
                podRanges: [try #require(IPNetwork("10.244.0.0/16"))],
                nodeLocalAddresses: [PrivateNetwork.address("10.96.0.10")])
            planner = Planner(configuration)
            backEnd = NftablesBackEnd(
                NftablesForm(.ipv4, configuration), try await NftablesSocket(in: network.node))
            range = ServiceRange(configuration, network.routes, carriers: carriers)
            try range.establish()
            planner.adopt(try #require(try backEnd.adopt()))
        }

        mutating func setEndpoints(
            _ addresses: [String], terminating: [String] = [], _ transport: TransportProtocol = .tcp,
            target: UInt16 = 3000
        ) throws -> TableChanges {
            var service = ServiceFacts(ObjectName("default", "web"))
            service.clusterAddresses = [PrivateNetwork.address(DataPathTests.service)]
            service.ports = [.init("", transport, 80)]
            planner.setService(service)
            var slice = SliceFacts(ObjectName("default", "web-1"), of: service.name)
            slice.ports = [.init("", transport, target)]
            slice.endpoints = (addresses + terminating).map { text in
                var endpoint = SliceFacts.Endpoint(PrivateNetwork.address(text))
                endpoint.isOnNode = true
                endpoint.isTerminating = terminating.contains(text)
                endpoint.isReady = !endpoint.isTerminating
                return endpoint
            }
            planner.setSlice(slice)
            let changes = planner.plan()
            try backEnd.apply(changes)
            return changes
        }
    }

    /// A client and two pods behind a Service, of which the first pod is the endpoint.
    private final class Stage {
        let network: PrivateNetwork
        var proxy: Proxy
        let tracking: ConnectionTracking
        let client: NetworkNamespace
        let first: NetworkNamespace
        let second: NetworkNamespace
        let service = PrivateNetwork.address(DataPathTests.service)
        private let kind: __socket_type

        init(_ transport: TransportProtocol = .tcp) async throws {
            kind = transport == .udp ? SOCK_DGRAM : SOCK_STREAM
            network = try await PrivateNetwork()
            proxy = try await Proxy(network)
            tracking = try await ConnectionTracking(in: network.node)
            client = try await network.addPod("10.244.0.9")
            first = try await network.addPod("10.244.0.2")
            second = try await network.addPod("10.244.0.3")
            _ = try proxy.setEndpoints(["10.244.0.2"], transport)
        }

        /// In the first pod a server called a answers while `body` runs, in the second one called b.
        func serve(_ body: () async throws -> Void) async throws {
            let a = try await NamedServer("a", in: first, kind, port: 3000)
            let b = try await NamedServer("b", in: second, kind, port: 3000)
            try await a.serve(in: first) { try await b.serve(in: second, while: body) }
        }
    }

    @Test func connectionsReachTheEndpointsAndSpread() async throws {
        let network = try await PrivateNetwork()
        var proxy = try await Proxy(network)
        let client = try await network.addPod("10.244.0.9")
        let pods = [
            try await network.addPod("10.244.0.2"), try await network.addPod("10.244.0.3"),
            try await network.addPod("10.244.0.4"),
        ]
        let servers = [
            try await NamedServer("a", in: pods[0], port: 3000),
            try await NamedServer("b", in: pods[1], port: 3000),
            try await NamedServer("c", in: pods[2], port: 3000),
        ]
        _ = try proxy.setEndpoints(["10.244.0.2", "10.244.0.3", "10.244.0.4"])
        try await servers[0].serve(in: pods[0]) {
            try await servers[1].serve(in: pods[1]) {
                try await servers[2].serve(in: pods[2]) {
                    // From a pod: spread evenly, and seen with the pod's own address.
                    let outcomes = try await client.attempt(Self.service, port: 80, times: 3000)
                    #expect(
                        Set(outcomes) == [
                            .answered(by: "a", client: "10.244.0.9"),
                            .answered(by: "b", client: "10.244.0.9"),
                            .answered(by: "c", client: "10.244.0.9"),
                        ])
                    let counts = Dictionary(grouping: outcomes, by: \.server).mapValues(\.count)
                    let deviation = counts.values.reduce(0.0) {
                        $0 + Double(($1 - 1000) * ($1 - 1000)) / 1000
                    }
                    #expect(deviation < 30, "spread: \(counts)")

                    // From the node itself: with the node's address.
                    let own = try await network.node.attempt(Self.service, port: 80, times: 60)
                    #expect(Set(own.map(\.server)) == ["a", "b", "c"])
                    #expect(
                        own.allSatisfy {
                            if case .answered(_, "172.31.0.1") = $0 { true } else { false }
                        })

                    // A pod through its own Service: every endpoint answers, itself included, which sees the
                    // gateway as the client.
                    let through = try await pods[0].attempt(Self.service, port: 80, times: 60)
                    #expect(
                        Set(through) == [
                            .answered(by: "a", client: "10.244.0.1"),
                            .answered(by: "b", client: "10.244.0.2"),
                            .answered(by: "c", client: "10.244.0.2"),
                        ])
                }
            }
        }
    }

    @Test func withoutEndpointsAttemptsAreRefusedAtOnce() async throws {
        let network = try await PrivateNetwork()
        var proxy = try await Proxy(network)
        let client = try await network.addPod("10.244.0.9")
        _ = try proxy.setEndpoints([])
        for place in [client, network.node] {
            #expect(try await place.attempt(Self.service, port: 80) == [.refused(ECONNREFUSED)])
            // A port that the Service does not have.
            #expect(try await place.attempt(Self.service, port: 81) == [.refused(ECONNREFUSED)])
        }
        _ = try proxy.setEndpoints([], .udp)
        #expect(try await client.attempt(Self.service, port: 80, SOCK_DGRAM) == [.refused(ECONNREFUSED)])
        // On the node itself the kernel says no while the datagram is being sent.
        #expect(try await network.node.attempt(Self.service, port: 80, SOCK_DGRAM) == [.refused(EPERM)])
    }

    @Test func addressesOfNoServiceAnswerNothingAndLeaveNothing() async throws {
        let network = try await PrivateNetwork()
        let proxy = try await Proxy(network)
        let client = try await network.addPod("10.244.0.9")
        // Somebody listens on every address of the node; packets to the Service range must not reach it.
        let server = try await NamedServer("node", in: network.node, port: 80)
        try await server.serve(in: network.node) { () async throws in
            #expect(try await client.attempt("10.96.7.7", port: 80, patience: 200) == [.silence])
            #expect(try await network.node.attempt("10.96.7.7", port: 80, patience: 200).first?.server == nil)
            // A node-local address is the node's own.
            #expect(try await client.attempt("10.96.0.10", port: 80).first?.server == "node")
            #expect(try await network.node.attempt("10.96.0.10", port: 80).first?.server == "node")
        }
        withExtendedLifetime(proxy) {}
    }

    @Test func newConnectionsFollowTheEndpoints() async throws {
        let stage = try await Stage()
        try await stage.serve {
            for (endpoints, expected) in [
                (["10.244.0.2"], ["a"]), (["10.244.0.3"], ["b"]),
                (["10.244.0.2", "10.244.0.3"], ["a", "b"]),
                (["10.244.0.2"], ["a"]), ([], []), (["10.244.0.3"], ["b"]),
            ] as [([String], Set<String>)] {
                _ = try stage.proxy.setEndpoints(endpoints)
                let outcomes = try await stage.client.attempt(Self.service, port: 80, times: 40)
                #expect(Set(outcomes.compactMap(\.server)) == expected, "with endpoints \(endpoints)")
                #expect(outcomes.allSatisfy { $0.server != nil } == !expected.isEmpty)
            }
        }
    }

    @Test func flowsToAnEndpointThatLeftMoveOn() async throws {
        let stage = try await Stage(.udp)
        let socket = try await stage.client.run { clientSocket(SOCK_DGRAM) }
        defer { close(socket) }
        try await stage.serve {
            #expect(exchange(socket, SOCK_DGRAM, stage.service, 80).server == "a")
            let changes = try stage.proxy.setEndpoints(["10.244.0.3"], .udp)
            // The same socket, so the same flow: connection tracking still holds it to the old endpoint.
            #expect(exchange(socket, SOCK_DGRAM, stage.service, 80).server == "a")
            let stale = StaleConnections(changes)
            #expect(try stale.forget(stage.tracking) == 1)
            #expect(exchange(socket, SOCK_DGRAM, stage.service, 80).server == "b")
            #expect(try stale.forget(stage.tracking) == 0)
        }
    }

    @Test func forgettingSparesAConnectionThatCameInPlaceOfAnother() async throws {
        let stage = try await Stage(.udp)
        let tracking = stage.tracking
        let socket = try await stage.client.run { clientSocket(SOCK_DGRAM) }
        defer { close(socket) }
        try await stage.serve {
            #expect(exchange(socket, SOCK_DGRAM, stage.service, 80).server == "a")
            // What is to be forgotten was looked up; meanwhile the client uses the port for a new connection.
            let old = try tracking.connections(.init(replySource: IPAddress("10.244.0.2")))
            #expect(old.count == 1)
            let stale = StaleConnections(try stage.proxy.setEndpoints(["10.244.0.3"], .udp))
            #expect(try stale.forget(tracking) == 1)
            #expect(exchange(socket, SOCK_DGRAM, stage.service, 80).server == "b")
            #expect(try tracking.forget(old) == 0)
            #expect(try tracking.connections(.init(replySource: IPAddress("10.244.0.3"))).count == 1)
            // All that lead to one place, and no others.
            try tracking.forget(ConnectionFilter(replySource: IPAddress("10.244.0.2")))
            #expect(try tracking.connections(.init(replySource: IPAddress("10.244.0.3"))).count == 1)
            try tracking.forget(ConnectionFilter(replySource: IPAddress("10.244.0.3")))
            #expect(try tracking.connections(.init(replySource: IPAddress("10.244.0.3"))).isEmpty)
        }
    }

    @Test func halfOpenConnectionsToAnEndpointThatLeftAreRescued() async throws {
        let network = try await PrivateNetwork()
        var proxy = try await Proxy(network)
        let tracking = try await ConnectionTracking(in: network.node)
        let client = try await network.addPod("10.244.0.9")
        let second = try await network.addPod("10.244.0.3")
        let b = try await NamedServer("b", in: second, port: 3000)
        // An endpoint without a pod: its packets vanish like those to a pod that just died.
        try network.routes.addLink("void", .veth(peer: "void-end"))
        let void = try #require(try network.routes.link(named: "void"))
        try network.routes.setLink(void.index, up: true)
        try network.routes.setLink(void.index, addressResolution: false)
        let end = try #require(try network.routes.link(named: "void-end"))
        try network.routes.setLink(end.index, up: true)
        try network.routes.setRoute(
            Route(IPNetwork(host: PrivateNetwork.address("10.244.0.2")), link: void.index))
        _ = try proxy.setEndpoints(["10.244.0.2"])
        try await b.serve(in: second) { () async throws in
            async let outcome = client.attempt(Self.service, port: 80, patience: 20_000)
            // Wait until the kernel has seen the first SYN.
            var seen = 0
            while seen == 0 {
                seen = try tracking.connections(.init(transportProtocol: 6)).count
                await Task.yield()
            }
            let stale = StaleConnections(try proxy.setEndpoints(["10.244.0.3"]))
            #expect(try stale.forget(tracking) == 1)
            #expect(try await outcome.first?.server == "b")
        }
    }

    @Test func associationsAreTranslatedBothWays() async throws {
        let network = try await PrivateNetwork()
        var proxy = try await Proxy(network)
        let client = try await network.addPod("10.244.0.9")
        let pod = try await network.addPod("10.244.0.2")
        _ = try proxy.setEndpoints(["10.244.0.2"], .sctp)
        let (outer, inner) = (
            try await client.run { SCTPPacket.socket() }, try await pod.run { SCTPPacket.socket() }
        )
        defer {
            close(outer)
            close(inner)
        }
        let service = PrivateNetwork.address(Self.service)
        #expect(SCTPPacket(from: 5000, to: 80, .initiation).send(to: service, over: outer))
        let first = try #require(SCTPPacket.receive(over: inner))
        #expect(first.packet == SCTPPacket(from: 5000, to: 3000, .initiation))
        #expect(first.source == PrivateNetwork.address("10.244.0.9"))
        let answer = SCTPPacket(from: 3000, to: 5000, tag: 0x0102_0304, .initiationAcknowledgement)
        #expect(answer.send(to: first.source, over: inner))
        let second = try #require(SCTPPacket.receive(over: outer))
        #expect(
            second.packet
                == SCTPPacket(from: 80, to: 5000, tag: 0x0102_0304, .initiationAcknowledgement))
        #expect(second.source == service)
    }

    /// The client has closed, its pod died before it did, and the client's port is used again.
    @Test func aPortOfAConnectionToADeadPodCanBeUsedAgain() async throws {
        let stage = try await Stage()
        defer { withExtendedLifetime(stage) {} }
        let (network, tracking) = (stage.network, stage.tracking)
        let listener = try await NamedServer("a", in: stage.first, port: 3000)
        defer { close(listener.descriptor) }
        let b = try await NamedServer("b", in: stage.second, port: 3000)
        let old = try await stage.client.run { Self.socket(boundTo: 4000) }
        try #require(withSocketAddress(stage.service, 80) { connect(old, $0, $1) } == 0)
        let accepted = try Self.accepted(by: listener.descriptor)
        #expect(shutdown(old, Int32(SHUT_WR)) == 0)
        var byte: UInt8 = 0
        #expect(recv(accepted, &byte, 1, 0) == 0)
        // From here on the pod says nothing any more, and the client's kernel forgets the connection (it is closed
        // by a reset that nobody sees).
        let wire = try #require(try network.routes.link(named: "veth2"))
        try network.routes.setLink(wire.index, up: false)
        let clients = try #require(try network.routes.link(named: "veth9"))
        try network.routes.setLink(clients.index, up: false)
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(old, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        close(old)
        close(accepted)
        try network.routes.setLink(clients.index, up: true)
        try network.routes.setRoute(
            Route(IPNetwork(host: PrivateNetwork.address("10.244.0.9")), link: clients.index))
        let going = StaleConnections(
            try stage.proxy.setEndpoints(["10.244.0.3"], terminating: ["10.244.0.2"]))
        #expect(try going.forget(tracking) == 0)
        let gone = StaleConnections(try stage.proxy.setEndpoints(["10.244.0.3"]))
        #expect(try gone.forget(tracking) == 1)
        try await b.serve(in: stage.second) { () async throws in
            let again = try await stage.client.run { Self.socket(boundTo: 4000) }
            defer { close(again) }
            #expect(exchange(again, SOCK_STREAM, stage.service, 80).server == "b")
        }
    }

    /// The pod has ended in the middle of a connection, and the client's port is used again.
    /// - Parameter isForgotten: the kernel forgets broken connections by itself, as nodes are set to.
    @Test(arguments: [false, true])
    func aPortOfAConnectionThatADyingPodBrokeOffCanBeUsedAgain(isForgotten: Bool) async throws {
        let network = try await PrivateNetwork()
        if isForgotten {
            let isSet = try await network.node.run {
                let setting = open("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close", O_WRONLY)
                defer { close(setting) }
                return write(setting, "0", 1) == 1
            }
            try #require(isSet)
        }
        var proxy = try await Proxy(network)
        let tracking = try await ConnectionTracking(in: network.node)
        let client = try await network.addPod("10.244.0.9")
        let first = try await network.addPod("10.244.0.2")
        let second = try await network.addPod("10.244.0.3")
        let listener = try await NamedServer("a", in: first, port: 3000)
        let b = try await NamedServer("b", in: second, port: 3000)
        _ = try proxy.setEndpoints(["10.244.0.2"])
        let service = PrivateNetwork.address(Self.service)
        let old = try await client.run { Self.socket(boundTo: 4000) }
        try #require(withSocketAddress(service, 80) { connect(old, $0, $1) } == 0)
        let accepted = try Self.accepted(by: listener.descriptor)
        let going = StaleConnections(try proxy.setEndpoints(["10.244.0.3"], terminating: ["10.244.0.2"]))
        #expect(try going.forget(tracking) == 0)
        // What the client sent is not read: the pod's kernel resets the connection.
        #expect(send(old, "?", 1, Int32(MSG_NOSIGNAL)) == 1)
        var unread = pollfd(fd: accepted, events: Int16(POLLIN), revents: 0)
        try #require(poll(&unread, 1, 20_000) == 1)
        close(listener.descriptor)
        close(accepted)
        var buffer: UInt8 = 0
        #expect(recv(old, &buffer, 1, 0) < 0)
        close(old)
        try await b.serve(in: second) { () async throws in
            let again = try await client.run { Self.socket(boundTo: 4000) }
            defer { close(again) }
            let outcome = exchange(again, SOCK_STREAM, service, 80)
            if isForgotten {
                #expect(outcome.server == "b")
            } else {
                #expect(outcome == .refused(ECONNREFUSED))
            }
        }
    }

    /// The next connection to a listener, which must come within 20 seconds; and reading it waits no longer.
    private static func accepted(by listener: Int32) throws -> Int32 {
        var wait = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        try #require(poll(&wait, 1, 20_000) == 1, "nobody connects")
        let accepted = accept(listener, nil, nil)
        try #require(accepted >= 0)
        var time = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(accepted, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        return accepted
    }

    private static func socket(boundTo port: UInt16) -> Int32 {
        let descriptor = clientSocket(SOCK_STREAM)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
        _ = withSocketAddress(.unspecified(.ipv4), port) { bind(descriptor, $0, $1) }
        return descriptor
    }

    @Test func establishedConnectionsLiveOn() async throws {
        let stage = try await Stage()
        defer { withExtendedLifetime(stage) {} }
        let listener = try await NamedServer("a", in: stage.first, port: 3000)
        defer { close(listener.descriptor) }
        let socket = try await stage.client.run { clientSocket(SOCK_STREAM) }
        defer { close(socket) }
        try #require(withSocketAddress(stage.service, 80) { connect(socket, $0, $1) } == 0)
        let accepted = try Self.accepted(by: listener.descriptor)
        defer { close(accepted) }
        // The endpoint goes, the proxy restarts, even its table is made anew.
        let stale = StaleConnections(try stage.proxy.setEndpoints([]))
        #expect(try stale.forget(stage.tracking) == 0)
        try stage.proxy.backEnd.cleanUp()
        stage.proxy = try await Proxy(stage.network)
        for text in ["one", "two"] {
            #expect(send(socket, text, 3, Int32(MSG_NOSIGNAL)) == 3)
            var buffer = [UInt8](repeating: 0, count: 3)
            #expect(recv(accepted, &buffer, 3, 0) == 3)
            #expect(String(decoding: buffer, as: UTF8.self) == text)
        }
    }

    @Test func aRestartedProxyTakesOverWhatIsThere() async throws {
        let network = try await PrivateNetwork()
        var proxy = try await Proxy(network)
        _ = try proxy.setEndpoints(["10.244.0.2", "10.244.0.3"])
        let before = proxy.planner.table
        var next = try await Proxy(network)
        #expect(next.planner.table == before)
        // Nothing changed while it was away: nothing to do.
        #expect(try next.setEndpoints(["10.244.0.3", "10.244.0.2"]).isEmpty)
        // One endpoint changed while it was away: one slot differs.
        var third = try await Proxy(network)
        let changes = try third.setEndpoints(["10.244.0.2", "10.244.0.4"])
        let entry = try #require(changes.entries.values.first)
        #expect(entry.removedBackends == [Backend(PrivateNetwork.address("10.244.0.3"), 3000)])
        #expect(changes.entries.count == 1)
    }

    @Test func endpointsMayHaveTheNodesOwnAddress() async throws {
        let network = try await PrivateNetwork()
        var proxy = try await Proxy(network)
        let client = try await network.addPod("10.244.0.9")
        _ = try proxy.setEndpoints(["172.31.0.1"], target: 6443)
        let server = try await NamedServer("api", in: network.node, port: 6443)
        try await server.serve(in: network.node) { () async throws in
            #expect(
                try await client.attempt(Self.service, port: 80) == [
                    .answered(by: "api", client: "10.244.0.9")
                ])
            #expect(
                try await network.node.attempt(Self.service, port: 80)
                    == [.answered(by: "api", client: "172.31.0.1")])
        }
    }

    @Test(arguments: [ServiceRange.Carrier.bridge, .loopback])
    func otherCarriersOfTheRangeDoAsWell(_ carrier: ServiceRange.Carrier) async throws {
        let network = try await PrivateNetwork()
        var proxy = try await Proxy(network, carriers: [carrier])
        let client = try await network.addPod("10.244.0.9")
        let pod = try await network.addPod("10.244.0.2")
        _ = try proxy.setEndpoints(["10.244.0.2"])
        let a = try await NamedServer("a", in: pod, port: 3000)
        let own = try await NamedServer("node", in: network.node, port: 80)
        try await own.serve(in: network.node) {
            try await a.serve(in: pod) { () async throws in
                for place in [client, network.node, pod] {
                    #expect(try await place.attempt(Self.service, port: 80).first?.server == "a")
                    #expect(try await place.attempt(Self.service, port: 81) == [.refused(ECONNREFUSED)])
                    #expect(
                        try await place.attempt("10.96.7.7", port: 80, patience: 200).first?.server == nil)
                    #expect(try await place.attempt("10.96.0.10", port: 80).first?.server == "node")
                }
                #expect(
                    try await network.node.attempt(Self.service, port: 80)
                        == [.answered(by: "a", client: "172.31.0.1")])
            }
        }
        try proxy.range.remove()
        #expect(try network.routes.links().allSatisfy { $0.name != "swiftlet0" })
        #expect(try !network.routes.routes().contains { $0.destination.description == "10.96.0.0/16" })
        #expect(try !network.routes.addresses().contains { $0.network.description == "10.96.0.10/32" })
    }

    @Test func nothingIsLeftAfterCleaningUp() async throws {
        let network = try await PrivateNetwork()
        var proxy = try await Proxy(network)
        _ = try proxy.setEndpoints(["10.244.0.2"])
        try proxy.backEnd.cleanUp()
        try proxy.range.remove()
        let nftables = try await NftablesSocket(in: network.node)
        #expect(try nftables.comment(of: TableName(.ipv4, "swiftlet")) == nil)
        #expect(try network.routes.links().map(\.name) == ["lo"])
        #expect(try !network.routes.routes().contains { $0.owner == Route.swiftlet })
        #expect(
            try network.routes.addresses().filter { $0.network.address.family == .ipv4 }.map(
                \.network.description
            ).sorted()
                == ["127.0.0.1/8", "172.31.0.1/32"])
        // Again does no harm.
        try proxy.backEnd.cleanUp()
        try proxy.range.remove()
    }
}
