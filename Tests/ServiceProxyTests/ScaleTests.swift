import Netlink
import ServiceProxy
import Testing

/// However many Services there are, a change of one is a few elements, and many changes lead where a fresh load
/// does. Counted, not timed.
@Suite struct ScaleTests {
    struct Size: Sendable, CustomTestStringConvertible {
        var services: Int
        var endpoints: Int
        var testDescription: String { "\(services) × \(endpoints)" }
    }

    private static let configuration = ProxyConfiguration(
        nodeName: "node", nodeAddress: IPAddress("172.31.0.1"),
        serviceRanges: ["10.96.0.0/12"].compactMap { IPNetwork($0) },
        podRanges: ["10.128.0.0/9"].compactMap { IPNetwork($0) })

    private func service(_ number: Int) -> ServiceFacts {
        var facts = ServiceFacts(ObjectName("default", "s\(number)"))
        facts.clusterAddresses = [IPAddress(ipv4: 0x0a60_0001 + UInt32(number))]
        facts.ports = [.init("", .tcp, 80)]
        return facts
    }

    /// Slices of up to 100 endpoints, as the controller makes them.
    private func slices(_ number: Int, _ endpoints: [Int]) -> [SliceFacts] {
        stride(from: 0, to: endpoints.count, by: 100).map { start in
            var facts = SliceFacts(
                ObjectName("default", "s\(number)-\(start / 100)"), of: ObjectName("default", "s\(number)"))
            facts.ports = [.init("", .tcp, 3000)]
            facts.endpoints = endpoints[start..<min(start + 100, endpoints.count)].map {
                SliceFacts.Endpoint(IPAddress(ipv4: 0x0a80_0000 + UInt32($0)))
            }
            return facts
        }
    }

    @Test(arguments: [
        Size(services: 10_000, endpoints: 3), Size(services: 5_000, endpoints: 50),
        Size(services: 1, endpoints: 5_000),
    ]) func aChangeIsSmallAndLeadsWhereAFreshLoadDoes(_ size: Size) throws {
        var planner = Planner(Self.configuration)
        func numbers(_ service: Int, _ count: Int) -> [Int] {
            (0..<count).map { service * size.endpoints + $0 }
        }
        for number in 0..<size.services {
            planner.setService(service(number))
            for slice in slices(number, numbers(number, size.endpoints)) { planner.setSlice(slice) }
        }
        var program = NftablesProgram(NftablesForm(.ipv4, Self.configuration))
        _ = program.replace(by: ForwardingTable())
        let load = program.apply(planner.plan())
        // One for each Service, one for each endpoint, one for each Service's address; and how many endpoints it has,
        // when these are few.
        let isCounted = NftablesForm.counted.contains(size.endpoints)
        #expect(
            load.reduce(0) { $0 + $1.elementCount } == size.services * (size.endpoints + (isCounted ? 3 : 2)))
        var model = KernelModel(.ipv4)
        var fresh = NftablesProgram(NftablesForm(.ipv4, Self.configuration))
        try model.commit(fresh.replace(by: planner.table))

        let chosen = size.services / 2
        var before = numbers(chosen, size.endpoints)
        func change(_ endpoints: [Int]) throws -> Int {
            for slice in slices(chosen, endpoints) { planner.setSlice(slice) }
            let operations = program.apply(planner.plan())
            try model.commit(operations)
            // The kernel looks at all Services when a verdict comes.
            #expect(!isCounted || !operations.contains { $0.adds(to: NftablesForm.services) })
            return operations.reduce(0) { $0 + $1.elementCount }
        }
        // One is replaced: its slot goes and comes.
        before[1] = 900_000
        #expect(try change(before) == 2)
        // One goes: its slot, the last one's slot twice (gone, and in its place), the number or verdict twice.
        before.removeFirst()
        #expect(try change(before) <= 5)
        // One comes: its slot, the number or verdict twice.
        before.append(900_001)
        #expect(try change(before) == 3)
        let touched = planner.plan()
        #expect(touched.isEmpty)

        var again = NftablesProgram(NftablesForm(.ipv4, Self.configuration))
        var whole = KernelModel(.ipv4)
        try whole.commit(again.replace(by: planner.table))
        // (Not compared in the macro, which would print all of it.) Chains that nothing leads to any more stay.
        let isSame =
            model.elements == whole.elements
            && model.rules.filter { whole.rules[$0.key] != nil } == whole.rules
        #expect(isSame)
        // Chains are as many as there are or were numbers of endpoints.
        let fixed = Set(NftablesForm(.ipv4, Self.configuration).chains.map(\.name))
        #expect(model.rules.keys.filter { $0.hasPrefix("pick") && !fixed.contains($0) }.count <= 2)
    }
}

extension NftablesOperation {
    fileprivate func adds(to name: String) -> Bool {
        if case .addElements(name, _) = self { true } else { false }
    }
}
