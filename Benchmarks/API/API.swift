import APILoad
import BenchmarkSupport
import Glibc
import HTTPService
import KubernetesClient

/// How fast the API server answers real clients over TLS, and how much it weighs.
///
/// Run it in a sandbox: `make bench-api`, `make soak`.
@main
struct API {
    static func main() async throws {
        guard getenv("SWIFTLET_SANDBOX") != nil else {
            throw Command.Failure(
                description: "Expected to run in a sandbox, found none: make bench-api or make soak.")
        }
        if CommandLine.arguments.dropFirst().first == "soak" {
            try await soak(seconds: CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) } ?? 120)
        } else {
            try await API().run()
        }
    }

    /// On the disk of `scripts/sandbox --disk`.
    private static let folder = "/var/lib/swiftlet/bench"
    private let objects = 100_000
    private let pods = 5_000

    private func run() async throws {
        mkdir(Self.folder, 0o755)
        var figures: [(String, Double, String)] = []
        let empty = try await starts("empty", rounds: 5) { "\(Self.folder)/empty-\($0)" }
        figures.append(("start_empty_s", empty.median, "s"))
        figures += try await lists()
        figures += try await writesAndReads()
        for (name, value, unit) in figures { figure(name, value, unit) }
    }

    /// From the start of the process to the first answer.
    private func starts(_ what: String, rounds: Int, _ folder: (Int) -> String) async throws -> Samples {
        var samples = Samples()
        for round in 0..<rounds {
            let begin = ContinuousClock.now
            let server = try APIProcess.start(in: folder(round))
            let client = try server.connect()
            try await client.exchange(.GET, "/api/v1/namespaces/default")
            samples.add((ContinuousClock.now - begin) / .seconds(1))
            await client.close()
            server.end()
        }
        print("start, \(what): \(samples.summary) s")
        return samples
    }

    /// Lists of many pods, and events to many watchers.
    private func lists() async throws -> [(String, Double, String)] {
        let server = try APIProcess.start(in: "\(Self.folder)/lists")
        defer { server.end() }
        let client = try server.connect()
        try await client.exchange(.POST, "/api/v1/namespaces", Payloads.namespace("shop"), expecting: 201)
        try await client.exchange(
            .POST, "/api/v1/namespaces/shop/serviceaccounts",
            Payloads.serviceAccount("default", namespace: "shop"), expecting: 201)
        let path = "/api/v1/namespaces/shop/pods"
        _ = try await ClosedLoop(clients: 16, requests: pods, to: server) { client, number in
            try await client.exchange(.POST, path, Payloads.pod(number, namespace: "shop"), expecting: 201)
            try await client.exchange(
                .PATCH, "\(path)/\(Payloads.podName(number))/status", Payloads.podStatus(number),
                contentType: "application/merge-patch+json")
        }
        var list = Samples()
        var bytes = 0
        for _ in 0..<20 {
            let begin = ContinuousClock.now
            bytes = try await client.exchange(.GET, "/api/v1/pods").count
            list.add((ContinuousClock.now - begin) / .milliseconds(1))
        }
        print("list of \(pods) pods (\(decimal(Double(bytes) / 1e6)) MB): \(list.summary) ms")
        let fanOut = try await FanOut.measure(
            watchers: 100, events: 500, server: server, offersHTTP2: false)
        print("watch event to 100 watchers: \(fanOut.summary) ms")
        let fanOut2 = try await FanOut.measure(
            watchers: 100, events: 500, server: server, offersHTTP2: true)
        print("watch event to 100 watchers, HTTP/2: \(fanOut2.summary) ms")
        return [
            ("list_5000_pods_ms", list.median, "ms"), ("watch_100_p50_ms", fanOut.median, "ms"),
            ("watch_100_p99_ms", fanOut.percentile(0.99), "ms"),
            ("watch_100_p99_ms_http2", fanOut2.percentile(0.99), "ms"),
        ]
    }

    /// 100,000 ConfigMaps of 1 KiB: written, weighed, read, and there again after a restart.
    private func writesAndReads() async throws -> [(String, Double, String)] {
        let folder = "\(Self.folder)/objects"
        let server = try APIProcess.start(in: folder)
        let client = try server.connect()
        try await client.exchange(.POST, "/api/v1/namespaces", Payloads.namespace("bench"), expecting: 201)
        let path = "/api/v1/namespaces/bench/configmaps"
        let few = objects / 20
        let create: @Sendable (HTTPSTransport, Int) async throws -> Void = { client, number in
            try await client.exchange(
                .POST, path, Payloads.configMap("config-\(number)", namespace: "bench"), expecting: 201)
        }
        // The generator shares the machine with the server: over HTTP/1.1 it takes the least of it. The same over
        // HTTP/2, where the library on both sides does more for each request, stands beside.
        let single = try await ClosedLoop(
            clients: 1, requests: few, to: server, offersHTTP2: false, request: create)
        report("creates, 1 client", single)
        let half = objects / 2
        let many = try await ClosedLoop(
            clients: 16, requests: half - few, to: server, offersHTTP2: false
        ) {
            try await create($0, few + $1)
        }
        report("creates, 16 clients", many)
        let manyHTTP2 = try await ClosedLoop(clients: 16, requests: objects - half, to: server) {
            try await create($0, half + $1)
        }
        report("creates, 16 clients, HTTP/2", manyHTTP2)
        let memory = server.residentMemory()
        print("memory with \(objects) objects of 1 KiB: \(decimal(memory)) MiB")
        let objects = objects
        let get: @Sendable (HTTPSTransport, Int) async throws -> Void = { client, number in
            try await client.exchange(.GET, path + "/config-\(number &* 7919 % objects)")
        }
        var gets: [ClosedLoop] = []
        for (clients, requests, offersHTTP2) in [
            (1, 20_000, false), (16, 60_000, false), (1, 20_000, true), (16, 60_000, true),
        ] {
            let loop = try await ClosedLoop(
                clients: clients, requests: requests, to: server, offersHTTP2: offersHTTP2, request: get)
            report("gets, \(clients) clients, \(offersHTTP2 ? "HTTP/2" : "HTTP/1.1")", loop)
            gets.append(loop)
        }
        server.end()
        let full = try await starts("\(objects) objects", rounds: 3) { _ in folder }
        return [
            ("creates_per_second_1", single.rate, "1/s"), ("creates_per_second_16", many.rate, "1/s"),
            ("creates_per_second_16_http2", manyHTTP2.rate, "1/s"),
            ("gets_per_second_1", gets[0].rate, "1/s"), ("gets_per_second_16", gets[1].rate, "1/s"),
            ("gets_per_second_1_http2", gets[2].rate, "1/s"),
            ("gets_per_second_16_http2", gets[3].rate, "1/s"),
            ("objects_100000_mib", memory, "MiB"), ("start_100000_s", full.median, "s"),
        ]
    }

    private func report(_ what: String, _ loop: ClosedLoop) {
        print("\(what): \(decimal(loop.rate))/s, \(loop.latencies.summary) ms")
    }

    // MARK: The soak

    private static func soak(seconds: Int) async throws {
        mkdir(folder, 0o755)
        let server = try APIProcess.start(in: "\(folder)/soak")
        let client = try server.connect()
        try await client.exchange(.POST, "/api/v1/namespaces", Payloads.namespace("soak"), expecting: 201)
        let soak = Soak(duration: .seconds(seconds))
        let outcome = try await soak.run(on: server, namespace: "soak")
        for failure in outcome.failures { print("WRONG: \(failure)") }
        print("\(soak.writers) writers, \(soak.watchers) watchers, \(seconds) s: \(outcome.events) writes")
        print(
            "memory: \(decimal(outcome.memoryHalfway)) MiB halfway, \(decimal(outcome.memoryAfter)) MiB after"
        )
        figure("soak_events", Double(outcome.events), "1")
        figure("soak_failures", Double(outcome.failures.count), "1")
        figure("soak_memory_halfway_mib", outcome.memoryHalfway, "MiB")
        figure("soak_memory_after_mib", outcome.memoryAfter, "MiB")
        guard outcome.failures.isEmpty, outcome.memoryAfter < outcome.memoryHalfway * 1.1 + 8 else {
            throw Command.Failure(description: "The soak found something wrong.")
        }
    }
}
