import APILoad
import BenchmarkSupport
import Glibc
import HTTPService
import KubernetesClient

/// How fast cluster names are answered beside a load generator on the same machine, how soon a change is seen,
/// and what a large cluster weighs: `swiftlet dns` beside `swiftlet apiserver`. And what names cost a program in a
/// pod.
///
/// Run it in a sandbox: `make bench-dns`.
@main
struct DNS {
    /// On the disk of `scripts/sandbox --disk`.
    private static let folder = "/var/lib/swiftlet/bench-dns"
    private let services = number("SERVICES") ?? 10_000
    private let endpointsEach = 5
    private let seconds = number("SECONDS") ?? 10

    private let images = getenv("IMAGES").map { String(cString: $0) } ?? "images"

    private static func number(_ name: String) -> Int? {
        getenv(name).flatMap { Int(String(cString: $0)) }
    }

    static func main() async throws {
        guard getenv("SWIFTLET_SANDBOX") != nil else {
            throw Command.Failure(
                description: "Expected to run in a sandbox, found none: scripts/sandbox or make bench-dns.")
        }
        try await DNS().run()
    }

    private func run() async throws {
        let curl = try NamesOfCurl(images: images).samples
        print("curl http://web in a pod spends on names: \(curl.summary) ms")
        try await runAlone()
        figure("curl_names_p99_ms", curl.percentile(0.99), "ms")
    }

    private func runAlone() async throws {
        mkdir(Self.folder, 0o755)
        let api = try APIProcess.start(in: "\(Self.folder)/state")
        defer { api.end() }
        let client = try api.connect()
        try await client.exchange(.POST, "/api/v1/namespaces", Payloads.namespace("bench"), expecting: 201)
        let dns = try DNSProcess.start(kubeconfig: "\(Self.folder)/state/server/admin.kubeconfig")
        defer { dns.end() }
        let asker = try Asker(port: DNSProcess.port)
        try await asker.wait(for: "kubernetes.default.svc.cluster.local", "10.96.0.1")
        let rest = dns.residentMemory()

        try await fill(api, client)
        try await asker.wait(for: Objects.name(services - 1), nil)
        let full = dns.residentMemory()
        print(
            "memory: \(decimal(rest)) MiB at rest, \(decimal(full)) MiB with \(services) Services and "
                + "\(services * endpointsEach) endpoints")

        let visible = try await changes(client, asker)
        print("acknowledged change to first answer that shows it: \(visible.summary) ms")

        try writeQueries()
        let all = try dnsperf(limit: nil)
        print("cluster queries a second: \(decimal(all))")
        async let probing = probe()
        let half = try dnsperf(limit: Int(all / 2))
        let latencies = try await probing
        print("at \(decimal(half)) queries a second: \(latencies.summary) ms")

        figure("queries_per_second", all, "1/s")
        figure("half_load_p99_ms", latencies.percentile(0.99), "ms")
        figure("change_visible_p99_ms", visible.percentile(0.99), "ms")
        figure("memory_50000_endpoints_mib", full - rest, "MiB")
    }

    /// Most Services have an address, a tenth are headless.
    private func fill(_ api: APIProcess, _ client: HTTPSTransport) async throws {
        let begin = ContinuousClock.now
        let each = endpointsEach
        _ = try await ClosedLoop(clients: 8, requests: services, to: api) { transport, number in
            try await transport.exchange(
                .POST, "/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices",
                Objects.slice(number, endpoints: each), expecting: 201)
            try await transport.exchange(
                .POST, "/api/v1/namespaces/bench/services", Objects.service(number), expecting: 201)
        }
        print("filled in \(decimal((ContinuousClock.now - begin) / .seconds(1))) s")
    }

    /// Moves an endpoint of a headless Service again and again, and asks until that is seen.
    private func changes(_ client: HTTPSTransport, _ asker: Asker) async throws -> Samples {
        var samples = Samples()
        for round in 0..<300 {
            let address = "10.200.\(round / 200).\(round % 200 + 1)"
            let patch = Array(#"{"endpoints":[{"addresses":["\#(address)"]}]}"#.utf8)
            try await client.exchange(
                .PATCH, "/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices/svc-0", patch,
                contentType: "application/merge-patch+json")
            let begin = ContinuousClock.now
            try await asker.wait(for: Objects.name(0), address)
            samples.add((ContinuousClock.now - begin) / .milliseconds(1))
        }
        return samples
    }

    private var queryFile: String { "\(Self.folder)/queries" }

    private func writeQueries() throws {
        guard let file = fopen(queryFile, "w") else {
            throw Command.Failure(description: "\(queryFile) cannot be written")
        }
        defer { fclose(file) }
        // In an order that jumps about.
        for step in 0..<services { fputs("\(Objects.name(step &* 7919 % services)) A\n", file) }
    }

    /// Queries answered in a second; with a limit, how many of these.
    private func dnsperf(limit: Int?) throws -> Double {
        var rate = Double.nan
        var arguments = [
            "dnsperf", "-s", "127.0.0.1", "-p", "\(DNSProcess.port)", "-d", queryFile, "-l", "\(seconds)",
            "-c", "16", "-q", "400",
        ]
        if let limit { arguments += ["-Q", "\(limit)"] }
        try Command(arguments).run { line in
            guard line.contains("Queries per second:") else {
                if line.contains("Queries lost:"), !line.contains(" 0 (") { print(line) }
                return
            }
            rate = line.split(separator: " ").last.flatMap { Double($0) } ?? .nan
        }
        return rate
    }

    /// What a client beside the load waits for its answers, for as long as the load lasts.
    private func probe() async throws -> Samples {
        let asker = try Asker(port: DNSProcess.port)
        var samples = Samples()
        let end = ContinuousClock.now + .seconds(max(1, seconds - 2))
        var number = 1
        while ContinuousClock.now < end {
            number = number &* 7919 % max(2, services)
            samples.add(try await asker.ask(Objects.name(number)).milliseconds)
        }
        return samples
    }
}
