import BenchmarkSupport
import Glibc

/// What a Service costs: a packet, a change, a load; and how soon it is right.
///
/// Run it in a sandbox: `make bench-services`. Each part is a process of its own, with a time that it must not exceed, so
/// that what one leaves behind or fails to do is no other's loss. `bench-services PART` runs one.
@main
struct Services {
    private enum Part: String, CaseIterable {
        /// Through a Service, against straight to the pods.
        case traffic
        /// Tables of many Services: to load, to change.
        case tables
        /// The memory of a process that has nothing else to hold.
        case memory
        /// The same changes in the other shape.
        case yardstick
        /// A cluster that runs.
        case freshness

        /// Seconds after which it has failed.
        var limit: Int {
            switch self {
            case .traffic, .tables, .memory: 120
            case .yardstick, .freshness: 240
            }
        }

        /// All packets of a round, straight and through the Service, are handled by one processor: where the client
        /// and the servers are on several, each wake-up of another processor costs more than the Service does, and how
        /// many there are is up to the scheduler.
        var placement: [String] { self == .traffic ? ["taskset", "--cpu-list", "0"] : [] }
    }

    static func main() async throws {
        guard getenv("SWIFTLET_SANDBOX") != nil else {
            throw Command.Failure(
                description: "Expected to run in a sandbox, found none: make bench-services.")
        }
        guard let name = CommandLine.arguments.dropFirst().first else { return try runAll() }
        guard let part = Part(rawValue: name) else {
            throw Command.Failure(
                description: "Expected one of \(Part.allCases.map(\.rawValue)), found \(name).")
        }
        switch part {
        case .traffic: try await TrafficComparison().run()
        case .tables: try await tables()
        case .memory: figure("memory_10000x3_mib", try await Loads.memory(10_000, 3), "MiB")
        case .yardstick: try await yardstick()
        case .freshness: try await freshness()
        }
    }

    /// Runs all parts, and tells the figures of all at the end.
    private static func runAll() throws {
        var figures: [String] = []
        var failures: [String] = []
        for part in Part.allCases {
            let begin = ContinuousClock.now
            do {
                let limit = ["timeout", "--signal=KILL", "\(part.limit)"]
                try Command(limit + part.placement + [CommandLine.arguments[0], part.rawValue]).run { line in
                    if line.hasPrefix("figure: ") { figures.append(line) } else { print(line) }
                }
            } catch {
                failures.append("\(part.rawValue): \(error)")
            }
            print("(\(part.rawValue): \(decimal((ContinuousClock.now - begin) / .seconds(1))) s)")
            fflush(nil)
        }
        for line in figures { print(line) }
        if !failures.isEmpty { throw Command.Failure(description: failures.joined(separator: "\n")) }
    }

    private static func tables() async throws {
        figure("load_10000x3_s", try await Loads.full(10_000, 3), "s")
        figure("load_5000x50_s", try await Loads.full(5_000, 50), "s")
        figure("load_1x5000_s", try await Loads.full(1, 5_000), "s")
        figure("planning_at_10000_services_us", Loads.planning(among: 10_000).median, "us")
        let changes = try await Loads.changes(among: 10_000)
        figure("change_at_10000_services_ms", changes.median, "ms")
        figure("change_at_10000_services_p99_ms", changes.percentile(0.99), "ms")
    }

    private static func yardstick() async throws {
        let chains = try ChainPerService(services: 10_000).measure(rounds: 10)
        let maps = try await Loads.changes(among: 10_000)
        figure("chain_per_service_ratio", chains.median / maps.median, "1")
    }

    private static func freshness() async throws {
        let swiftlet = getenv("SWIFTLET").map { String(cString: $0) } ?? ".build/release/swiftlet"
        try Command([swiftlet, "down", "--purge"]).run()
        try Command([swiftlet, "up", "--detach"]).run()
        for (services, suffix) in [(10, "_10_services"), (10_000, "")] {
            let found = try await Freshness(rounds: 500, services: services)
            figure(
                "ready_to_first_connection\(suffix)_p99_ms", found.readyToFirst.total.percentile(0.99), "ms")
            figure("gone_to_last_connection\(suffix)_p99_ms", found.goneToLast.total.percentile(0.99), "ms")
        }
        try Command([swiftlet, "down", "--purge"]).run()
    }
}
