import Glibc
import Netlink
import ServiceProxy
import Testing

/// A packet that looks up its Service before a transaction and its endpoint after it: the slot that it chose can be
/// gone.
struct HalfwayTests {
    private static let entry = ServiceAddress(PrivateNetwork.address("10.96.0.42"), .tcp, 80)
    private static let backends = ["10.244.0.2", "10.244.0.3", "10.244.0.4"].map {
        Backend(PrivateNetwork.address($0), 3000)
    }

    private static func form() throws -> NftablesForm {
        NftablesForm(
            .ipv4,
            ProxyConfiguration(
                nodeName: "node", nodeAddress: PrivateNetwork.nodeAddress,
                serviceRanges: [try #require(IPNetwork("10.96.0.0/16"))],
                podRanges: [try #require(IPNetwork("10.244.0.0/16"))]))
    }

    private static func table(_ affinity: Int?) -> ForwardingTable {
        var table = ForwardingTable()
        table.entries[entry] = Forwarding(
            .spread(backends), outside: .spread(Array(backends.prefix(2))), affinity: affinity)
        return table
    }

    /// What the transaction has done by the time of the second look-up: the endpoints of these slots are gone.
    private static func removal(_ slots: Range<Int>, _ group: EndpointGroup = .inside) -> NftablesOperation {
        .deleteElements(
            set: NftablesForm.endpoints, slots.map { NftablesForm.key(entry, group, slot: $0) })
    }

    @Test(arguments: [nil, 600]) func whoeverChoseASlotThatIsGoneTakesTheFirst(_ affinity: Int?) throws {
        var program = NftablesProgram(try Self.form())
        var model = KernelModel(.ipv4)
        try model.commit(program.replace(by: Self.table(affinity)))
        func fates(of client: String) throws -> Set<Fate> {
            try PacketTracer(model: model, nodeAddresses: [PrivateNetwork.nodeAddress]).fates(
                of: Packet(source: PrivateNetwork.address(client), destination: Self.entry))
        }
        func inside(_ count: Int) -> Set<Fate> {
            Set(Self.backends.prefix(count).map { .translated($0, isMasqueraded: false) })
        }
        #expect(try fates(of: "10.244.0.9") == inside(3))
        try model.commit([Self.removal(2..<3)])
        #expect(try fates(of: "10.244.0.9") == inside(2))
        try model.commit([Self.removal(1..<2)])
        #expect(try fates(of: "10.244.0.9") == inside(1))
        // Nothing is left. The kernel must not remember the packet, so that the client's next attempt begins anew.
        try model.commit([Self.removal(0..<1)])
        #expect(try fates(of: "10.244.0.9") == [.dropped])
        // Those for the outside have slots of their own.
        try model.commit([Self.removal(1..<2, .outside)])
        #expect(
            try fates(of: "203.0.113.9").allSatisfy {
                if case .translated(Self.backends[0], _) = $0 { true } else { false }
            })
        try model.commit([Self.removal(0..<1, .outside)])
        #expect(try fates(of: "203.0.113.9") == [.dropped])
    }

    @Test(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"))
    func theKernelDoesLikewise() async throws {
        let network = try await PrivateNetwork()
        let client = try await network.addPod("10.244.0.9")
        let pod = try await network.addPod("10.244.0.2")
        let server = try await NamedServer("first", in: pod, port: 3000)
        let form = try Self.form()
        let socket = try await NftablesSocket(in: network.node)
        let tracking = try await ConnectionTracking(in: network.node)
        var backEnd = NftablesBackEnd(form, socket)
        try backEnd.replace(by: Self.table(nil))
        try socket.commit(NftablesTransaction(form.table, [Self.removal(1..<3)]))
        try await server.serve(in: pod) { () async throws in
            let outcomes = try await client.attempt("10.96.0.42", port: 80, times: 60)
            #expect(outcomes.allSatisfy { $0.server == "first" })
            try socket.commit(NftablesTransaction(form.table, [Self.removal(0..<1)]))
            #expect(try await client.attempt("10.96.0.42", port: 80, patience: 100) == [.silence])
            let remembered = try tracking.connections(.init(transportProtocol: 6)).filter { !$0.isTranslated }
            #expect(remembered.isEmpty)
        }
        try backEnd.cleanUp()
    }
}
