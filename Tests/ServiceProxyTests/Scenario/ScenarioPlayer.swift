import Netlink
import ServiceProxy
import Testing

/// A scenario being played: the planner plans, the back end's operations go into models of the kernel's tables,
/// and virtual packets walk through these.
struct ScenarioPlayer {
    let scenario: Scenario
    private var planner: Planner
    private var programs: [NftablesProgram]
    private var tracers: [PacketTracer]

    init(_ scenario: Scenario) throws {
        self.scenario = scenario
        planner = Planner(scenario.configuration)
        planner.setZone(scenario.zone)
        programs = [IPAddress.Family.ipv4, .ipv6].map {
            NftablesProgram(NftablesForm($0, scenario.configuration))
        }
        tracers = []
        for index in programs.indices {
            var model = KernelModel(programs[index].form.family)
            try model.commit(programs[index].replace(by: ForwardingTable()))
            tracers.append(
                PacketTracer(
                    model: model,
                    nodeAddresses: Set(
                        scenario.configuration.nodeAddresses + scenario.configuration.nodeLocalAddresses
                            + Scenario.gateways)))
        }
    }

    mutating func play() throws {
        for step in scenario.steps {
            let place = Comment(rawValue: "\(scenario.name): \(step.what)")
            try learn(step)
            let changes = planner.plan()
            let stale = StaleConnections(changes)
            for index in tracers.indices {
                let clients = learntClients(of: stale, index)
                try tracers[index].model.commit(programs[index].apply(changes, forgetting: clients))
                try compareWithFreshLoad(index, place)
            }
            if let table = step.table { #expect(drawn(planner.table) == table.mapValues(Set.init), place) }
            if let expected = step.stale {
                let found = stale.removed.map { ($0.key.description, Set($0.value.map(\.description))) }
                #expect(Dictionary(uniqueKeysWithValues: found) == expected.mapValues(Set.init), place)
            }
            if let expected = step.departed {
                let found = stale.departed.map { ($0.key.description, Set($0.value.map(\.description))) }
                #expect(Dictionary(uniqueKeysWithValues: found) == expected.mapValues(Set.init), place)
            }
            if let begun = step.begun { #expect(Set(stale.begun.map(\.description)) == Set(begun), place) }
            if let health = step.health {
                let found = planner.healthChecks().map { ("\($0.key)", ["\($0.value.localEndpoints)"]) }
                #expect(Dictionary(uniqueKeysWithValues: found) == health, place)
            }
            for packet in step.packets { try check(packet, place) }
        }
    }

    private mutating func learn(_ step: Scenario.Step) throws {
        if let zone = step.zone { planner.setZone(zone.isEmpty ? nil : zone) }
        let batch = try step.batch(nodeName: scenario.configuration.nodeName)
        for (name, facts) in batch.services {
            if let facts { planner.setService(facts) } else { planner.removeService(name) }
        }
        for (name, facts) in batch.slices {
            if let facts { planner.setSlice(facts) } else { planner.removeSlice(name) }
        }
    }

    /// Whom the back end makes the kernel forget when endpoints leave.
    private func learntClients(of stale: StaleConnections, _ index: Int) -> [[UInt8]] {
        let learnt = tracers[index].model.elements[NftablesForm.affinity, default: [:]]
        return programs[index].form.clients(learnt.map { SetElement($0.key, $0.value) }) {
            stale.clients[$0]?.contains($1) == true
        }
    }

    /// Changed step by step, and written at once: the kernel has the same.
    private func compareWithFreshLoad(_ index: Int, _ place: Comment) throws {
        var program = NftablesProgram(programs[index].form)
        var fresh = KernelModel(programs[index].form.family)
        try fresh.commit(program.replace(by: planner.table))
        let model = tracers[index].model
        for set in fresh.sets.keys where set != NftablesForm.affinity {
            #expect(model.elements[set] == fresh.elements[set], "\(place.rawValue): set \(set)")
        }
        // Chains that no element leads to any more stay.
        #expect(model.rules.filter { fresh.rules[$0.key] != nil } == fresh.rules, place)
        // And it can be read back.
        let elements = model.elements.mapValues { $0.map { SetElement($0.key, $0.value) } }
        var own = planner.table
        own.entries = own.entries.filter { $0.key.address.family == model.family }
        own.serviceAddresses = own.serviceAddresses.filter { $0.family == model.family }
        own.hairpinAddresses = own.hairpinAddresses.filter { $0.family == model.family }
        #expect(programs[index].form.table(from: elements) == own, place)
    }

    private func drawn(_ table: ForwardingTable) -> [String: Set<String>] {
        func drawn(_ destination: Forwarding.Destination) -> Set<String> {
            switch destination {
            case .spread(let backends): Set(backends.map(\.description))
            case .refuse: ["refuse"]
            case .drop: ["drop"]
            }
        }
        var result: [String: Set<String>] = [:]
        for (address, forwarding) in table.entries {
            var lines = drawn(forwarding.inside)
            if let outside = forwarding.outside {
                lines.formUnion(drawn(outside).map { "outside: \($0)" })
            }
            if let seconds = forwarding.affinity { lines.insert("sticky for \(seconds) s") }
            lines.formUnion((forwarding.sources ?? []).map { "only from \($0)" })
            result[address.description] = lines
        }
        return result
    }

    private mutating func check(_ expected: Scenario.ExpectedPacket, _ place: Comment) throws {
        let packet = Packet(
            source: try expected.sender(scenario.configuration), destination: try expected.destination())
        guard let index = tracers.firstIndex(where: { $0.model.family == packet.source.family }) else {
            return
        }
        let comment: Comment = "\(place.rawValue): a packet from \(expected.from) to \(expected.to)"
        let fates = try tracers[index].fates(of: packet)
        #expect(Set(fates.map(\.words)) == expected.fates, comment)
        guard expected.sticks else { return }
        for choice in 0..<UInt32(fates.count) {
            var tracer = tracers[index]
            let fate = try tracer.send(packet, choice: choice)
            #expect(try tracer.fates(of: packet) == [fate], comment)
        }
        _ = try tracers[index].send(packet, choice: 0)
    }
}

extension Fate {
    /// As the files have it.
    var words: String {
        switch self {
        case .untouched: "untouched"
        case .refused: "refused"
        case .dropped: "dropped"
        case .translated(let backend, let isMasqueraded):
            "\(backend)" + (isMasqueraded ? " masqueraded" : "")
        }
    }
}
