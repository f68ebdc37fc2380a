import Glibc
import Netlink
import ServiceProxy
import Testing

/// What clients stick to, in the kernel's own map.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"), .serialized)
struct AffinityTests {
    private let socket: NftablesSocket
    private let form: NftablesForm
    private var backEnd: NftablesBackEnd
    private let entry = ServiceAddress(PrivateNetwork.address("10.96.0.42"), .tcp, 80)
    private let first = Backend(PrivateNetwork.address("10.244.0.2"), 3000)
    private let second = Backend(PrivateNetwork.address("10.244.0.3"), 3000)

    init() async throws {
        let namespace = try await NetworkNamespace.make()
        let configuration = ProxyConfiguration(
            nodeName: "node", nodeAddress: PrivateNetwork.nodeAddress,
            serviceRanges: [try #require(IPNetwork("10.96.0.0/16"))],
            podRanges: [try #require(IPNetwork("10.244.0.0/16"))])
        form = NftablesForm(.ipv4, configuration)
        socket = try await NftablesSocket(in: namespace)
        backEnd = NftablesBackEnd(form, socket)
        var table = ForwardingTable()
        table.entries[entry] = Forwarding(.spread([first, second]), affinity: 600)
        try backEnd.replace(by: table)
    }

    /// As a packet would have the kernel learn it: `nft add element ip swiftlet affinity { … }`
    private func learn(_ client: String, _ backend: Backend) throws {
        let element = SetElement(
            PrivateNetwork.address(client).bytes + NftablesForm.key(entry),
            .data(NftablesForm.data(backend)))
        try socket.commit(
            NftablesTransaction(form.table, [.addElements(set: NftablesForm.affinity, [element])]))
    }

    private func learnt() throws -> [String: Backend] {
        let clients = try socket.elements(of: NftablesForm.affinity, in: form.table).compactMap(form.client)
        return Dictionary(uniqueKeysWithValues: clients.map { ($0.client.description, $0.backend) })
    }

    private func change(_ old: Forwarding?, _ new: Forwarding?) -> TableChanges {
        var changes = TableChanges()
        changes.entries[entry] = .init(old: old, new: new)
        return changes
    }

    @Test mutating func clientsAreForgottenWithTheirEndpoint() throws {
        try learn("10.244.0.7", first)
        try learn("10.244.0.8", second)
        let both = Forwarding(.spread([first, second]), affinity: 600)
        try backEnd.apply(change(both, Forwarding(.spread([second]), affinity: 600)))
        #expect(try learnt() == ["10.244.0.8": second])
    }

    @Test mutating func nobodySticksAcrossATimeWithoutAffinity() throws {
        try learn("10.244.0.7", first)
        try learn("10.244.0.8", second)
        let both = Forwarding(.spread([first, second]), affinity: 600)
        try backEnd.apply(change(both, .spread([first, second])))
        #expect(try learnt().isEmpty)
    }

    @Test mutating func whatWasLearntTooLateIsForgottenAfterwards() throws {
        let both = Forwarding(.spread([first, second]), affinity: 600)
        let changes = change(both, Forwarding(.spread([second]), affinity: 600))
        try backEnd.apply(changes)
        try learn("10.244.0.7", first)
        try learn("10.244.0.8", second)
        #expect(try backEnd.forgetClients(of: StaleConnections(changes).clients) == 1)
        #expect(try learnt() == ["10.244.0.8": second])
    }

    @Test mutating func aTableThatIsTakenOverSticksToNothingThatIsNotThere() throws {
        try learn("10.244.0.7", Backend(PrivateNetwork.address("10.244.0.4"), 3000))
        try learn("10.244.0.8", second)
        var next = NftablesBackEnd(form, socket)
        #expect(try next.adopt()?.entries.count == 1)
        #expect(try learnt() == ["10.244.0.8": second])
    }

    /// A packet that was picked an endpoint just before this left must not make others follow it.
    @Test func anEndpointThatLeftMeanwhileIsNotRemembered() throws {
        var table = ForwardingTable()
        table.entries[entry] = Forwarding(.spread([first]), affinity: 600)
        var program = NftablesProgram(form)
        var model = KernelModel(.ipv4)
        try model.commit(program.replace(by: table))
        var tracer = PacketTracer(model: model, nodeAddresses: [PrivateNetwork.nodeAddress])
        let packet = Packet(source: PrivateNetwork.address("10.244.0.9"), destination: entry)
        var late = tracer
        try late.model.commit([
            .deleteElements(set: NftablesForm.members, [NftablesForm.key(entry, member: first)])
        ])
        #expect(try late.send(packet, choice: 0) == .translated(first, isMasqueraded: false))
        #expect(late.model.elements[NftablesForm.affinity] == [:])
        #expect(try tracer.send(packet, choice: 0) == .translated(first, isMasqueraded: false))
        #expect(tracer.model.elements[NftablesForm.affinity]?.count == 1)
    }
}
