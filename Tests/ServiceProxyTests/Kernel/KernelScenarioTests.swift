import Glibc
import Logging
import Netlink
import ServiceProxy
import Testing

/// The scenarios that are marked for it, played with the real kernel and real sockets.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"), .serialized)
struct KernelScenarioTests {
    static let scenarios: [Scenario] = ScenarioTests.files.compactMap { file in
        guard let yaml = try? ScenarioTests.contents("\(ScenarioTests.scenarios.folder)/\(file)"),
            let scenario = try? Scenario(name: file, yaml: yaml)
        else { return nil }
        return scenario.isForKernel ? scenario : nil
    }

    @Test func thereAreEnough() {
        #expect(Self.scenarios.count >= 25)
    }

    @Test(arguments: scenarios) func plays(_ scenario: Scenario) async throws {
        let network = try await ScenarioNetwork(scenario.configuration)
        var plane = try await DataPlane.opened(
            scenario.configuration, in: network.node, logger: Logger(label: "test"))
        try plane.establish()
        plane.learn(zone: scenario.zone)
        for step in scenario.steps {
            if let zone = step.zone { plane.learn(zone: zone.isEmpty ? nil : zone) }
            plane.learn(try step.batch(nodeName: scenario.configuration.nodeName))
            let changes = try plane.commit()
            _ = try plane.forgetClients(of: StaleConnections(changes)).forget(plane.tracking)
            for packet in step.packets {
                try await check(packet, scenario, network, "\(scenario.name): \(step.what)")
            }
        }
        try plane.cleanUp()
        await network.stopAll()
    }

    private func check(
        _ expected: Scenario.ExpectedPacket, _ scenario: Scenario, _ network: ScenarioNetwork, _ place: String
    ) async throws {
        let destination = try expected.destination()
        // Few machines have SCTP: DataPathTests make such packets by hand.
        guard destination.transportProtocol != .sctp else { return }
        let source = try expected.sender(scenario.configuration)
        let sender = try await network.namespace(of: source)
        for fate in expected.fates {
            if let backend = backend(fate) {
                try await network.serve(
                    ServiceAddress(backend.address, destination.transportProtocol, backend.port))
            }
        }
        if expected.fates == ["untouched"] {
            guard scenario.configuration.nodeAddresses.contains(destination.address) else { return }
            try await network.serve(destination)
        }
        var seen: Set<String> = []
        // Of several endpoints each comes sooner or later: 200 attempts miss one of three once in 10³⁵ times.
        for _ in 0..<(expected.sticks ? 12 : 200) {
            let patience = expected.fates == ["dropped"] ? 150 : 10_000
            let outcome = try await sender.attempt(from: source, destination, patience: patience)
            let fate = words(outcome, source, destination)
            // A packet that vanishes on its way out is told to its sender.
            let isExpected =
                expected.fates.contains(fate)
                || expected.fates == ["dropped"] && outcome == .refused(EPERM)
            #expect(
                isExpected,
                "\(place): a packet from \(expected.from) to \(expected.to) was \(fate) (\(outcome)), not \(expected.fates)"
            )
            seen.insert(fate)
            guard isExpected, expected.sticks || seen != expected.fates, expected.fates != ["dropped"] else {
                break
            }
        }
        if expected.sticks {
            #expect(seen.count == 1, "\(place): \(expected.from) went to \(seen)")
        } else if expected.fates != ["dropped"] {
            #expect(seen == expected.fates, "\(place): from \(expected.from) to \(expected.to)")
        }
        if expected.fates == ["untouched"] { await network.stop(destination) }
    }

    /// The endpoint of `ADDRESS:PORT`, which `masqueraded` may follow.
    private func backend(_ fate: String) -> Backend? {
        guard let first = fate.split(separator: " ").first, let colon = first.lastIndex(of: ":"),
            let port = UInt16(first[first.index(after: colon)...]),
            let address = IPAddress(first[..<colon].drop { $0 == "[" }.prefix { $0 != "]" })
        else { return nil }
        return Backend(address, port)
    }

    private func words(_ outcome: Outcome, _ source: IPAddress, _ destination: ServiceAddress) -> String {
        switch outcome {
        case .answered(let server, let client):
            if server == Backend(destination.address, destination.port).description { return "untouched" }
            return server + (client == source.description ? "" : " masqueraded")
        case .refused: return "refused"
        case .silence: return "dropped"
        case .failed(let number): return "failed with errno \(number)"
        }
    }
}
