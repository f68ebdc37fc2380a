import BenchmarkSupport
import Glibc
import Logging
import Netlink
import ServiceProxy

/// What a Service costs: a packet, a change, a load; and how soon it is right.
///
/// Run it in a sandbox: `make bench-services`.
@main
struct Services {
    private let swiftlet = environment("SWIFTLET") ?? ".build/release/swiftlet"
    private let rounds = environment("ROUNDS").flatMap { Int($0) } ?? 21

    static func main() async throws {
        guard environment("SWIFTLET_SANDBOX") != nil else {
            throw Command.Failure(
                description: "Expected to run in a sandbox, found none: make bench-services.")
        }
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "memory" {
            figure("memory", try await Loads.memory(10_000, 3), "MiB")
        } else if arguments.first == "freshness" {
            try await Services().freshness()
        } else {
            try await Services().run()
            try await Services().freshness()
        }
    }

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private func run() async throws {
        let small = try await Site(services: 1)
        let large = try await Site(services: 10_000)
        let connections = try await compare("new connections", small, large, Traffic.connections, 2000)
        let kept = try await compare("kept connections", small, large, Traffic.keptConnections, 6000)
        let datagrams = try await compare("datagrams", small, large, Traffic.datagrams, 6000)
        let load3 = try await Loads.full(10_000, 3)
        let load50 = try await Loads.full(5_000, 50)
        let loadOne = try await Loads.full(1, 5_000)
        let planning = Loads.planning(among: 10_000)
        let changes = try await Loads.changes(among: 10_000)
        let memory = try grown()
        print("memory for 10000 Services × 3: \(decimal(memory)) MiB")
        let yardstick = try ChainPerService(services: 10_000).measure(changes: 10)

        figure("cpu_per_connection_ratio", connections.large.processor, "1")
        figure("cpu_per_connection_ratio_1_service", connections.small.processor, "1")
        figure("connections_ratio", connections.large.rate, "1")
        figure("connections_ratio_1_service", connections.small.rate, "1")
        figure("keepalive_ratio", kept.large.rate, "1")
        figure("keepalive_ratio_1_service", kept.small.rate, "1")
        figure("udp_ratio", datagrams.large.rate, "1")
        figure("udp_ratio_1_service", datagrams.small.rate, "1")
        figure("change_at_10000_services_ms", changes.median, "ms")
        figure("change_at_10000_services_p99_ms", changes.percentile(0.99), "ms")
        figure("planning_at_10000_services_us", planning.median, "us")
        figure("chain_per_service_ratio", yardstick.median / changes.median, "1")
        figure("load_10000x3_s", load3, "s")
        figure("load_5000x50_s", load50, "s")
        figure("load_1x5000_s", loadOne, "s")
        figure("memory_10000x3_mib", memory, "MiB")
    }

    /// The memory of a process of its own, which has nothing else to hold.
    private func grown() throws -> Double {
        var result = Double.nan
        try Command([CommandLine.arguments[0], "memory"]).run { line in
            let words = line.split(separator: " ")
            if words.first == "figure:", words.count > 2 { result = Double(words[2]) ?? .nan }
        }
        return result
    }

    // MARK: How soon it is right

    private func freshness() async throws {
        try Command([swiftlet, "down", "--purge"]).run()
        try Command([swiftlet, "up", "--detach"]).run()
        let few = try await Freshness(rounds: 200, services: 10)
        let many = try await Freshness(rounds: 200, services: 10_000)
        try Command([swiftlet, "down", "--purge"]).run()
        for (way, name) in [
            (\Freshness.readyToFirst, "ready_to_first_connection"),
            (\Freshness.goneToLast, "gone_to_last_connection"),
        ] {
            figure("\(name)_p99_ms", many[keyPath: way].total.percentile(0.99), "ms")
            figure("\(name)_10_services_p99_ms", few[keyPath: way].total.percentile(0.99), "ms")
        }
    }

    // MARK: Through a Service, against straight to the pods

    /// A node whose kernel has so many Services, the first of which is the one that is asked.
    private struct Site {
        let lab: Lab
        /// Holds the tables.
        private let plane: DataPlane

        init(services: Int) async throws {
            lab = try await Lab()
            var logger = Logger(label: "bench-services")
            logger.logLevel = .error
            var plane = try await DataPlane.opened(Made.configuration, in: lab.node, logger: logger)
            try plane.establish()
            var batch = Made.batch(0..<services, endpoints: 3)
            let slice = Made.slice(0, lab.servers)
            batch.slices[slice.name] = .some(slice)
            plane.learn(batch)
            _ = try plane.commit()
            self.plane = plane
        }

        var direct: [Traffic.Target] { lab.servers.map { .init(address: $0, port: Lab.port) } }
        var service: [Traffic.Target] { [.init(address: Made.address(0), port: 80)] }
    }

    private struct Ratios {
        /// Through the Service over straight, of processor time and of requests a second.
        var processor: Double
        var rate: Double
    }

    private typealias Kind = (Lab, [Traffic.Target], Int) async throws -> Burst

    /// Medians over rounds in each of which all four ways are taken, in another order.
    private func compare(
        _ what: String, _ small: Site, _ large: Site, _ kind: Kind, _ count: Int
    ) async throws -> (small: Ratios, large: Ratios) {
        let ways = [
            (small.lab, small.direct), (small.lab, small.service), (large.lab, large.direct),
            (large.lab, large.service),
        ]
        var processor = [Samples](repeating: Samples(), count: 4)
        var rate = [Samples](repeating: Samples(), count: 4)
        for way in ways { _ = try await kind(way.0, way.1, count / 4) }
        for round in 0..<rounds {
            for index in 0..<4 {
                let way = (index + round) % 4
                let burst = try await kind(ways[way].0, ways[way].1, count)
                processor[way].add(burst.processorTime)
                rate[way].add(burst.rate)
            }
        }
        func ratios(_ direct: Int) -> Ratios {
            Ratios(
                processor: processor[direct + 1].median / processor[direct].median,
                rate: rate[direct + 1].median / rate[direct].median)
        }
        for (direct, services) in [(0, 1), (2, 10_000)] {
            let found = ratios(direct)
            print(
                "\(what), \(services) Services: \(decimal(rate[direct + 1].median))/s through the Service, "
                    + "\(decimal(rate[direct].median))/s straight (× \(decimal(found.rate))); processor time "
                    + "\(decimal(processor[direct + 1].median * 1e6)) µs, "
                    + "\(decimal(processor[direct].median * 1e6)) µs straight (× \(decimal(found.processor)))"
            )
        }
        return (ratios(0), ratios(2))
    }
}
