import Netlink
import ServiceProxy
import Testing

@Suite struct PlannerTests {
    private static let configuration = ProxyConfiguration(
        nodeName: "node", nodeAddress: nil, serviceRanges: [], podRanges: [])

    private func address(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(ipv4: 0) }

    private func service(_ name: String, _ addressText: String, created: Int64 = 0) -> ServiceFacts {
        var facts = ServiceFacts(ObjectName("default", name))
        facts.clusterAddresses = [address(addressText)]
        facts.ports = [.init("", .tcp, 80)]
        facts.created = created
        return facts
    }

    private func slice(_ service: String, _ addresses: [String]) -> SliceFacts {
        var facts = SliceFacts(ObjectName("default", "\(service)-1"), of: ObjectName("default", service))
        facts.ports = [.init("", .tcp, 3000)]
        facts.endpoints = addresses.map { SliceFacts.Endpoint(address($0)) }
        return facts
    }

    private func entry(_ text: String) -> ServiceAddress { ServiceAddress(address(text), .tcp, 80) }

    private func backends(_ texts: String...) -> [Backend] { texts.map { Backend(address($0), 3000) } }

    @Test func orderOfArrivalDoesNotMatter() {
        var forwards = Planner(Self.configuration)
        forwards.setService(service("web", "10.96.0.1"))
        #expect(forwards.plan().entries.values.map(\.new) == [.refuse])
        forwards.setSlice(slice("web", ["10.0.0.1", "10.0.0.2"]))
        _ = forwards.plan()
        var backwards = Planner(Self.configuration)
        backwards.setSlice(slice("web", ["10.0.0.2", "10.0.0.1"]))
        #expect(backwards.plan().isEmpty)
        backwards.setService(service("web", "10.96.0.1"))
        _ = backwards.plan()
        #expect(forwards.table == backwards.table)
        #expect(forwards.table.entries == [entry("10.96.0.1"): .spread(backends("10.0.0.1", "10.0.0.2"))])
        #expect(forwards.table.serviceAddresses == [address("10.96.0.1")])
    }

    @Test func unchangedFactsChangeNothing() {
        var planner = Planner(Self.configuration)
        planner.setService(service("web", "10.96.0.1"))
        planner.setSlice(slice("web", ["10.0.0.1"]))
        #expect(!planner.plan().isEmpty)
        planner.setService(service("web", "10.96.0.1"))
        planner.setSlice(slice("web", ["10.0.0.1"]))
        #expect(planner.plan().isEmpty)
    }

    @Test func slotsChangeAsLittleAsPossible() {
        func slots(_ wanted: [String], _ old: [String]) -> [String] {
            Forwarding.slots(
                for: Set(wanted.map { Backend(address($0), 1) }), after: old.map { Backend(address($0), 1) }
            )
            .map(\.address.description)
        }
        #expect(slots(["1.0.0.1", "1.0.0.2"], []) == ["1.0.0.1", "1.0.0.2"])
        // One replaced: the newcomer takes the free slot.
        #expect(
            slots(["1.0.0.1", "1.0.0.9", "1.0.0.3"], ["1.0.0.1", "1.0.0.2", "1.0.0.3"])
                == ["1.0.0.1", "1.0.0.9", "1.0.0.3"])
        // One gone: the last moves into its slot.
        #expect(slots(["1.0.0.2", "1.0.0.3"], ["1.0.0.1", "1.0.0.2", "1.0.0.3"]) == ["1.0.0.3", "1.0.0.2"])
        // The last gone: nothing else moves.
        #expect(slots(["1.0.0.1", "1.0.0.2"], ["1.0.0.1", "1.0.0.2", "1.0.0.3"]) == ["1.0.0.1", "1.0.0.2"])
        #expect(slots([], ["1.0.0.1"]) == [])
        #expect(slots(["1.0.0.3"], ["1.0.0.1", "1.0.0.2", "1.0.0.3"]) == ["1.0.0.3"])
    }

    /// Whatever happens, in whatever order: slots hold exactly what is wanted, and changes lead from table to table.
    @Test func manyRandomChangesKeepTheTableExact() {
        var random = SplitMix(state: 4)
        var planner = Planner(Self.configuration)
        var wanted: [String: Set<Int>] = [:]
        var endpoints: [String: Set<Int>] = [:]
        for _ in 0..<3000 {
            let before = planner.table
            let name = "s\(random.next() % 5)"
            switch random.next() % 4 {
            case 0:
                planner.removeService(ObjectName("default", name))
                wanted[name] = nil
            case 1:
                planner.setService(service(name, "10.96.0.\(name.dropFirst())"))
                wanted[name] = wanted[name] ?? []
            default: break
            }
            let numbers = Set((0..<(random.next() % 7)).map { _ in Int(random.next() % 9) })
            planner.setSlice(slice(name, numbers.map { "10.0.0.\($0)" }))
            if wanted[name] != nil { wanted[name] = numbers }
            endpoints[name] = numbers
            for known in wanted.keys { wanted[known] = endpoints[known] ?? [] }
            let changes = planner.plan()
            var applied = before
            applied.apply(changes)
            #expect(applied == planner.table)
            #expect(planner.table.changes(from: before) == changes)
            let expected = Dictionary(
                uniqueKeysWithValues: wanted.map { name, numbers in
                    (entry("10.96.0.\(name.dropFirst())"), Set(numbers.flatMap { backends("10.0.0.\($0)") }))
                })
            #expect(planner.table.entries.mapValues { Set($0.backends) } == expected)
            #expect(planner.table.entries.values.allSatisfy { Set($0.backends).count == $0.backends.count })
        }
    }

    @Test func theOlderServiceKeepsAContestedAddress() {
        var planner = Planner(Self.configuration)
        planner.setService(service("late", "10.96.0.1", created: 2))
        planner.setSlice(slice("late", ["10.0.0.2"]))
        _ = planner.plan()
        planner.setService(service("early", "10.96.0.1", created: 1))
        planner.setSlice(slice("early", ["10.0.0.1"]))
        _ = planner.plan()
        #expect(planner.table.entries == [entry("10.96.0.1"): .spread(backends("10.0.0.1"))])
        // What happens to the loser does not matter, until the winner goes.
        planner.setSlice(slice("late", ["10.0.0.3"]))
        #expect(planner.plan().isEmpty)
        planner.removeService(ObjectName("default", "early"))
        _ = planner.plan()
        #expect(planner.table.entries == [entry("10.96.0.1"): .spread(backends("10.0.0.3"))])
        planner.removeService(ObjectName("default", "late"))
        _ = planner.plan()
        #expect(planner.table.entries.isEmpty)
        #expect(planner.table.serviceAddresses.isEmpty)
    }

    @Test func anAdoptedTableIsCorrected() {
        var planner = Planner(Self.configuration)
        planner.setService(service("web", "10.96.0.1"))
        planner.setSlice(slice("web", ["10.0.0.1", "10.0.0.2"]))
        var found = ForwardingTable()
        found.entries[entry("10.96.0.1")] = .spread(backends("10.0.0.7", "10.0.0.2"))
        found.entries[entry("10.96.0.9")] = .refuse
        found.serviceAddresses = [address("10.96.0.1"), address("10.96.0.9")]
        found.hairpinAddresses = [address("10.0.0.7")]
        planner.adopt(found)
        let changes = planner.plan()
        #expect(
            changes.entries == [
                entry("10.96.0.1"): .init(
                    old: .spread(backends("10.0.0.7", "10.0.0.2")),
                    new: .spread(backends("10.0.0.1", "10.0.0.2"))),
                entry("10.96.0.9"): .init(old: .refuse, new: nil),
            ])
        #expect(changes.removedServiceAddresses == [address("10.96.0.9")])
        #expect(changes.addedServiceAddresses.isEmpty)
        #expect(changes.removedHairpinAddresses == [address("10.0.0.7")])
        #expect(StaleConnections(changes).removed == [entry("10.96.0.1"): Set(backends("10.0.0.7"))])
    }

    @Test func aSliceCanMoveToAnotherService() {
        var planner = Planner(Self.configuration)
        planner.setService(service("a", "10.96.0.1"))
        planner.setService(service("b", "10.96.0.2"))
        var moving = slice("a", ["10.0.0.1"])
        planner.setSlice(moving)
        _ = planner.plan()
        moving.service = ObjectName("default", "b")
        planner.setSlice(moving)
        _ = planner.plan()
        #expect(
            planner.table.entries
                == [entry("10.96.0.1"): .refuse, entry("10.96.0.2"): .spread(backends("10.0.0.1"))])
    }

    @Test func onlyDifferentSlotsAndVerdictsAreSent() {
        let key = entry("10.96.0.1")
        var replaced = ElementOperations()
        replaced.add(
            key,
            .init(
                old: .spread(backends("10.0.0.1", "10.0.0.2", "10.0.0.3")),
                new: .spread(backends("10.0.0.1", "10.0.0.9", "10.0.0.3"))))
        #expect(replaced.removed == [NftablesForm.endpoints: [NftablesForm.key(key, slot: 1)]])
        #expect(replaced.added.mapValues { $0.map(\.key) } == replaced.removed)
        var emptied = ElementOperations()
        emptied.add(key, .init(old: .spread(backends("10.0.0.1")), new: .refuse))
        #expect(
            emptied.removed == [
                NftablesForm.endpoints: [NftablesForm.key(key, slot: 0)]
            ])
        #expect(emptied.added.isEmpty)
    }

    @Test func namesOfChainsCanBeReadBack() {
        var chains: [PickChain] = []
        for affinity in [nil, 1, 10_800] {
            for (isNodePort, group) in [
                (false, EndpointGroup.inside), (true, .inside), (false, .outside), (true, .outside),
            ] {
                var chain = PickChain(17)
                (chain.isNodePort, chain.group, chain.affinity) = (isNodePort, group, affinity)
                chains.append(chain)
            }
        }
        #expect(Set(chains.map(\.name)).count == 12)
        for chain in chains { #expect(PickChain(name: chain.name) == chain) }
        for name in [
            "refuse", "pick", "pick0", "pick-3", "pick3-", "pick3-sticky", "pick3-outside-node", "pick03",
        ] {
            #expect(PickChain(name: name) == nil, "\(name)")
        }
    }

    @Test func tablesSurviveTheWayThroughTheKernelsForm() throws {
        for family in [IPAddress.Family.ipv4, .ipv6] {
            let form = NftablesForm(family, Self.configuration)
            let prefix = family == .ipv4 ? "10.0.0." : "fd00::"
            func address(_ number: Int) -> IPAddress { self.address("\(prefix)\(number)") }
            var table = ForwardingTable()
            for number in 1...5 {
                let list = (0..<number).map { Backend(address(100 + $0), UInt16(3000 + $0)) }
                table.entries[ServiceAddress(address(number), .udp, 53)] = .spread(list)
            }
            table.entries[ServiceAddress(address(6), .tcp, 443)] = .refuse
            let first = [Backend(address(100), 3000), Backend(address(101), 3000)]
            table.entries[ServiceAddress(.unspecified(family), .tcp, 30080)] = Forwarding(
                .spread(first), outside: .spread([first[1]]), affinity: 10_800)
            table.entries[ServiceAddress(.unspecified(family), .udp, 30080)] = Forwarding(
                .spread(first), outside: .drop)
            let all = IPNetwork(address(0), prefixLength: family.bitCount / 2)
            table.entries[ServiceAddress(address(8), .tcp, 80)] = Forwarding(
                .spread(first), affinity: 60,
                sources: Set([all, IPNetwork(host: address(9))].compactMap { $0?.canonical }))
            table.entries[ServiceAddress(address(7), .sctp, 9)] = .drop
            table.serviceAddresses = [address(1), address(2)]
            table.hairpinAddresses = [address(100)]
            let elements = form.elements(of: table)
            #expect(form.table(from: elements) == table)
            // A table that contradicts itself is not taken over. A Service without endpoints does not.
            let only = NftablesForm.key(ServiceAddress(address(1), .udp, 53), slot: 0)
            for endpoint in elements[NftablesForm.endpoints] ?? [] {
                var damaged = elements
                damaged[NftablesForm.endpoints]?.removeAll { $0 == endpoint }
                #expect((form.table(from: damaged) == nil) == (endpoint.key != only))
            }
        }
    }

    @Test func damagedElementsDoNoHarm() {
        let form = NftablesForm(.ipv4, Self.configuration)
        var random = SplitMix(state: 99)
        var table = ForwardingTable()
        table.entries[entry("10.96.0.1")] = .spread(backends("10.0.0.1", "10.0.0.2"))
        let good = form.elements(of: table)
        for _ in 0..<5000 {
            var elements = good
            for name in [NftablesForm.services, NftablesForm.endpoints] {
                guard var list = elements[name], !list.isEmpty else { continue }
                let index = Int(random.next() % UInt64(list.count))
                let position = Int(random.next() % UInt64(list[index].key.count))
                switch random.next() % 3 {
                case 0: list[index].key[position] = UInt8(truncatingIfNeeded: random.next())
                case 1: list[index].key.removeSubrange(position...)
                default: list[index].value = .data([1, 2])
                }
                elements[name] = list
            }
            _ = form.table(from: elements)
        }
    }

    @Test func whatCameBackIsNotStale() {
        let key = entry("10.96.0.1")
        var gone = TableChanges()
        gone.entries[key] = .init(old: .spread(backends("10.0.0.1")), new: .refuse)
        var back = TableChanges()
        back.entries[key] = .init(old: .refuse, new: .spread(backends("10.0.0.1")))
        var stale = StaleConnections()
        stale.add(gone)
        #expect(!stale.isEmpty)
        stale.add(back)
        #expect(stale.isEmpty)
    }

    /// An endpoint that comes and goes a thousand times while connections are looked for asks for one more look.
    @Test func whatPilesUpIsLookedForOnce() {
        var pending = PendingCut()
        for round in 1...1000 {
            var changes = TableChanges()
            let (all, none) = (Forwarding.spread(backends("10.0.0.1")), Forwarding.refuse)
            changes.entries[entry("10.96.0.1")] = .init(old: all, new: none)
            var revisions = DataPlaneRevision.Revisions()
            revisions.endpointSlices = UInt64(round)
            pending.add(changes, revisions)
        }
        #expect(pending.stale.questions.count == 1)
        #expect(pending.revisions.endpointSlices == 1000)
    }

    @Test func uncertaintyIsLookedIntoWithoutAnyChange() {
        var pending = PendingCut()
        pending.add(TableChanges(), DataPlaneRevision.Revisions())
        #expect(pending.isEmpty)
        pending.addUncertainty()
        #expect(!pending.isEmpty && pending.stale.isEmpty)
    }

    @Test func manyStaleEndpointsAreLookedForAtOnce() {
        var changes = TableChanges()
        for number in 1...3 {
            changes.entries[entry("10.96.0.\(number)")] = .init(
                old: .spread(backends("10.0.0.\(number)")), new: nil)
        }
        #expect(StaleConnections(changes).questions.count == 3)
        for number in 4...9 {
            changes.entries[entry("10.96.0.\(number)")] = .init(
                old: .spread(backends("10.0.0.\(number)")), new: nil)
        }
        #expect(
            StaleConnections(changes).questions
                == [ConnectionFilter(transportProtocol: 6, isAnswered: false)])
    }
}

/// A small seeded generator, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
