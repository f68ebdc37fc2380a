import BenchmarkSupport
import Glibc
import Logging
import Netlink
import ServiceProxy

/// Through a Service, against straight to the same pods, in one run and by turns. Straight is on a node without Services
/// and so without connection tracking, which is what a cluster would have if its clients knew the pods themselves; and,
/// to see what the translation alone costs, on a node with 10,000 Services.
struct TrafficComparison {
    /// At least 15.
    private let rounds = 41

    func run() async throws {
        let none = try await Site(services: 0)
        let small = try await Site(services: 1)
        let large = try await Site(services: 10_000)
        for (name, what, kind, count) in [
            ("connections", "new connections", Traffic.connections, 1000),
            ("keepalive", "kept connections", Traffic.keptConnections, 3000),
            ("udp", "datagrams", Traffic.datagrams, 3000),
        ] as [(String, String, Kind, Int)] {
            let ways = [
                (none.lab, none.direct), (small.lab, small.service), (large.lab, large.service),
                (large.lab, large.direct),
            ]
            let bursts = try await self.bursts(of: kind, ways, count)
            for (words, suffix, services, direct) in [
                ("10000 Services", "", 2, 0), ("1 Service", "_1_service", 1, 0),
                ("10000 Services, straight with connection tracking", "_translation", 2, 3),
            ] {
                let ratios = compare("\(what), \(words)", bursts[services], bursts[direct])
                if name == "connections" {
                    figure("cpu_per_connection_ratio\(suffix)", ratios.processor, "1")
                }
                figure("\(name)_ratio\(suffix)", ratios.rate, "1")
            }
        }
    }

    private struct Ratios {
        /// Through the Service over straight, of processor time and of requests a second: medians over the rounds.
        var processor: Double
        var rate: Double
    }

    private typealias Kind = (Lab, [Traffic.Target], Int) async throws -> Burst

    /// In each round all ways are taken, in another order.
    private func bursts(
        of kind: Kind, _ ways: [(Lab, [Traffic.Target])], _ count: Int
    ) async throws -> [[Burst]] {
        var bursts = [[Burst]](repeating: [], count: ways.count)
        for way in ways { _ = try await kind(way.0, way.1, count / 4) }
        for round in 0..<rounds {
            for index in ways.indices {
                let way = (index + round) % ways.count
                bursts[way].append(try await kind(ways[way].0, ways[way].1, count))
            }
        }
        return bursts
    }

    /// What comes through a Service is compared with what went straight in the same round, so that what the machine does
    /// besides weighs on both.
    private func compare(_ what: String, _ services: [Burst], _ direct: [Burst]) -> Ratios {
        func median(_ values: some Sequence<Double>) -> Double {
            var samples = Samples()
            for value in values { samples.add(value) }
            return samples.median
        }
        let result = Ratios(
            processor: median(zip(services, direct).map { $0.processorTime / $1.processorTime }),
            rate: median(zip(services, direct).map { $0.rate / $1.rate }))
        func words(_ value: (Burst) -> Double, _ factor: Double = 1) -> String {
            "\(decimal(median(services.map(value)) * factor)) through the Service, "
                + "\(decimal(median(direct.map(value)) * factor)) straight"
        }
        print(
            "\(what): a second \(words(\.rate)) (× \(decimal(result.rate))); processor time in µs "
                + "\(words(\.processorTime, 1e6)) (× \(decimal(result.processor)))")
        return result
    }
}

/// A node whose kernel has so many Services, the first of which is the one that is asked; with 0, no table either.
private struct Site {
    let lab: Lab
    /// Holds the tables.
    private let plane: DataPlane?

    init(services: Int) async throws {
        lab = try await Lab()
        guard services > 0 else {
            plane = nil
            return
        }
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
