import BenchmarkSupport
import Glibc
import Logging
import Netlink
import ServiceProxy

/// What happens to a Service of three endpoints, in two steps of which the second leads back.
enum ServiceChange: String, CaseIterable {
    case replaced = "an endpoint replaced"
    case scaled = "an endpoint added and removed"
    case removed = "gone and back"

    /// How many endpoints it has after each step; with 0 it is not there.
    var counts: [Int] {
        switch self {
        case .replaced: [3, 3]
        case .scaled: [4, 3]
        case .removed: [0, 3]
        }
    }

    /// Which endpoints it has after a step of a round, as ``Made/endpoints(_:_:shift:)`` counts them.
    func shift(_ round: Int, _ step: Int) -> Int {
        // All others begin with those that the last replacement in this round left.
        self == .replaced ? round + step + 1 : round + 2
    }
}

/// What tables of many Services cost: to load, to change, to hold.
enum Loads {
    /// Seconds from facts that are told to a kernel that has them; the median of three.
    static func full(_ services: Int, _ endpoints: Int) async throws -> Double {
        var samples = Samples()
        for _ in 0..<3 {
            var plane = try await empty()
            let batch = Made.batch(0..<services, endpoints: endpoints)
            let begin = ContinuousClock.now
            plane.learn(batch)
            _ = try plane.commit()
            samples.add((ContinuousClock.now - begin) / .seconds(1))
        }
        print("load of \(services) Services × \(endpoints): \(samples.summary) s")
        return samples.median
    }

    /// Milliseconds from an event to the commit of one change among many Services: an endpoint replaced, one added, one
    /// removed, a Service gone and back.
    static func changes(among services: Int) async throws -> Samples {
        var plane = try await empty()
        plane.learn(Made.batch(0..<services, endpoints: 3))
        _ = try plane.commit()
        var all = Samples()
        for change in ServiceChange.allCases {
            var samples = Samples()
            for round in 0..<200 {
                let number = (round * 7919) % services
                for (step, count) in change.counts.enumerated() {
                    var batch = ProxyQueue.Batch()
                    let slice = Made.slice(
                        number, Made.endpoints(number, max(count, 1), shift: change.shift(round, step)))
                    if count == 0 {
                        batch.services[Made.service(number).name] = .some(nil)
                        batch.slices[slice.name] = .some(nil)
                    } else {
                        batch.services[Made.service(number).name] = .some(Made.service(number))
                        batch.slices[slice.name] = .some(slice)
                    }
                    let begin = ContinuousClock.now
                    plane.learn(batch)
                    _ = try plane.commit()
                    let took = (ContinuousClock.now - begin) / .milliseconds(1)
                    samples.add(took)
                    all.add(took)
                }
            }
            print("change at \(services) Services, \(change.rawValue): \(samples.summary) ms")
        }
        return all
    }

    /// Microseconds of planning alone for one endpoint that is replaced.
    static func planning(among services: Int) -> Samples {
        var planner = Planner(Made.configuration)
        for (_, facts) in Made.batch(0..<services, endpoints: 3).services {
            if let facts { planner.setService(facts) }
        }
        for (_, facts) in Made.batch(0..<services, endpoints: 3).slices {
            if let facts { planner.setSlice(facts) }
        }
        _ = planner.plan()
        var samples = Samples()
        for round in 0..<500 {
            let number = (round * 7919) % services
            let slice = Made.slice(number, Made.endpoints(number, 3, shift: round + 1))
            let begin = ContinuousClock.now
            planner.setSlice(slice)
            _ = planner.plan()
            samples.add((ContinuousClock.now - begin) / .microseconds(1))
        }
        print("planning of one change at \(services) Services: \(samples.summary) µs")
        return samples
    }

    /// MiB by which a process grows that holds so many; run in a process of its own.
    static func memory(_ services: Int, _ endpoints: Int) async throws -> Double {
        var plane = try await empty()
        let before = residentMemory()
        // Told as watches tell it, object by object: what was only needed on the way is gone in the end.
        for number in 0..<services { plane.learn(Made.batch(number..<(number + 1), endpoints: endpoints)) }
        _ = try plane.commit()
        let grown = residentMemory() - before
        withExtendedLifetime(plane) {}
        return grown
    }

    private static func empty() async throws -> DataPlane {
        var logger = Logger(label: "bench-services")
        logger.logLevel = .error
        let node = try await NetworkNamespace.make()
        let routes = try await RouteSocket(in: node)
        if let loopback = try routes.link(named: "lo") {
            try routes.setLink(loopback.index, up: true)
            try routes.addAddress(
                InterfaceAddress(IPNetwork(host: Lab.nodeAddress), link: loopback.index))
        }
        var plane = try await DataPlane.opened(Made.configuration, in: node, logger: logger)
        try plane.establish()
        _ = try plane.commit()
        return plane
    }

    private static func residentMemory() -> Double {
        guard let file = fopen("/proc/self/statm", "r") else { return .nan }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, 256, file) != nil else { return .nan }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return (text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? .nan) * 4096
            / 1_048_576
    }
}
