import BenchmarkSupport
import CLinux
import Glibc

/// Whether requests are lost while pods come and go, and what that costs.
///
/// Run it in a sandbox: `make bench-rollout`, `make bench-rollout REQUESTS=50000`.
@main
struct Rollout {
    private let swiftlet = environment("SWIFTLET") ?? ".build/release/swiftlet"
    private let images = environment("IMAGES") ?? "images"
    /// Requests over new connections, in all.
    private let requests = environment("REQUESTS").flatMap { Int($0) } ?? 1_000_000

    private static let streams = [
        Stream(mode: "new", path: .pod, rate: 1000), Stream(mode: "new", path: .node, rate: 200),
        Stream(mode: "new", path: .nodePort, rate: 200),
        Stream(mode: "new", path: .pod, rate: 50, delay: 1000),
        Stream(mode: "keep-alive", path: .pod, rate: 200),
        Stream(mode: "keep-alive", path: .nodePort, rate: 1000), Stream(mode: "udp", path: .pod, rate: 1000),
        Stream(mode: "udp", path: .node, rate: 200),
    ]

    static func main() async throws {
        try await Rollout().run()
    }

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private func run() async throws {
        guard Self.environment("SWIFTLET_SANDBOX") != nil else {
            throw Command.Failure(
                description:
                    "Expected to run in a sandbox, found none: scripts/sandbox or make bench-rollout.")
        }
        _ = swiftlet_raise_file_limit()
        try Command([swiftlet, "up", "--detach"]).run()
        for image in ["web_1.0", "web_2.0", "busybox_latest"] {
            try Command([swiftlet, "image", "load", "\(images)/\(image).oci.tar"]).run()
        }
        let deletions = try await Deletions(count: 200)
        say("deletion, behind no Service:      \(deletions.apart.summary) ms")
        say("deletion, behind a Service:       \(deletions.behind.summary) ms")
        say("of that at the gates:             \(deletions.slowed.summary) ms")

        let course = Course(swiftlet: swiftlet)
        try Command(["kubectl", "apply", "-f", "Benchmarks/Rollout/rollout.yaml"]).run()
        try course.settle()
        try Command(["kubectl", "wait", "--for=condition=Ready", "pod/client", "--timeout=120s"]).run()
        let totals = try measure(Self.streams, course: course, until: requests, steps: course.steps)

        // The same without the gates: what this can see.
        try restart(["--no-traffic-gates"])
        try course.settle()
        let without = try measure(
            Self.streams.filter { $0.mode == "new" }, course: course, until: min(requests, 20_000),
            steps: Array(course.steps.prefix(3)))
        try Command([swiftlet, "down", "--purge"]).run()

        figure("requests", Double(totals["new"]?.requests ?? 0), "requests")
        figure("failed", Double(totals["new"]?.failed ?? 0), "requests")
        figure("requests_keep_alive", Double(totals["keep-alive"]?.requests ?? 0), "requests")
        figure("failed_keep_alive", Double(totals["keep-alive"]?.failed ?? 0), "requests")
        figure("requests_udp", Double(totals["udp"]?.requests ?? 0), "requests")
        figure("failed_udp", Double(totals["udp"]?.failed ?? 0), "requests")
        figure("requests_without_gates", Double(without["new"]?.requests ?? 0), "requests")
        figure("failed_without_gates", Double(without["new"]?.failed ?? 0), "requests")
        figure("delete_slowed_p50_ms", deletions.slowed.median, "ms")
        figure("delete_slowed_p99_ms", deletions.slowed.percentile(0.99), "ms")
        guard totals["new"]?.failed == 0, (without["new"]?.failed ?? 0) > 0 else {
            throw Command.Failure(
                description: "Expected no request over a new connection to fail, and some without the gates.")
        }
    }

    private func restart(_ options: [String]) throws {
        try Command([
            "bash", "-c",
            "p=$(cat /run/swiftlet/swiftlet.pid); kill -KILL $p; tail --pid=$p -s 0.01 -f /dev/null",
        ]).run()
        try Command([swiftlet, "up", "--detach"] + options).run()
    }

    /// Goes through the steps, again and again, until new connections have been as many as wanted.
    ///
    /// - Returns: what became of the requests, by mode.
    private func measure(
        _ streams: [Stream], course: Course, until wanted: Int,
        steps: [(name: String, body: () throws -> Void)]
    ) throws -> [String: LoadReport] {
        let clients = try streams.map(start)
        let rate = streams.filter { $0.mode == "new" }.map(\.rate).reduce(0, +)
        let begin = ContinuousClock.now
        let end = begin + .seconds(Double(wanted) / Double(max(rate, 1)))
        var history: [(begin: Int, name: String)] = []
        repeat {
            for step in steps {
                history.append((Self.now, step.name))
                let stepBegin = ContinuousClock.now
                try step.body()
                try course.settle()
                say("\(step.name): \(decimal((ContinuousClock.now - stepBegin) / .seconds(1))) s")
            }
        } while ContinuousClock.now < end
        var totals: [String: LoadReport] = [:]
        for client in clients {
            let report = try client.stop()
            say(
                "\(client.stream.name): \(report.requests) requests, \(report.failed) failed, "
                    + "latency p50 p99 max \(report.latency) ms")
            // What failed, and how many milliseconds after the step began.
            var kinds: [String: [String]] = [:]
            for failure in report.failures {
                let step = history.last { $0.begin <= failure.time } ?? (failure.time, "before")
                kinds["\(step.name): \(failure.reason)", default: []].append(
                    "\(failure.time - step.begin) ms (port \(failure.port))")
            }
            for (kind, moments) in kinds.sorted(by: { $0.key < $1.key }) {
                let some = moments.prefix(3) + (moments.count > 3 ? ["…", moments[moments.count - 1]] : [])
                say("  \(moments.count) × \(kind), begun after \(some.joined(separator: ", "))")
            }
            totals[client.stream.mode, default: LoadReport()].requests += report.requests
            totals[client.stream.mode, default: LoadReport()].failed += report.failed
        }
        return totals
    }

    /// Prints a line at once: this takes long, and somebody may watch.
    private func say(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = write(STDOUT_FILENO, bytes, bytes.count)
    }

    private static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    private func start(_ stream: Stream) throws -> LoadProcess {
        func said(_ command: [String]) throws -> String {
            var text = ""
            // What is read are lines; jsonpath ends without one.
            try Command(["bash", "-c", "\"$@\" && echo", "said"] + command).run { text += $0 }
            return text
        }
        let isUDP = stream.mode == "udp"
        let address: String
        let port: Int
        if stream.path == .nodePort {
            // Of each family one; the client speaks IPv4.
            let addresses = try said([
                "kubectl", "get", "nodes", "-o",
                "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}",
            ])
            address = addresses.split(separator: " ").first { $0.contains(".") }.map(String.init) ?? ""
            port = isUDP ? 30081 : 30080
        } else {
            address = try said(["kubectl", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"])
            port = isUDP ? 81 : 80
        }
        // The client pod's only process.
        let inside =
            stream.path == .pod
            ? Int(try said(["pgrep", "--full", "--exact", "sleep 86399"]).prefix { $0.isNumber }) : nil
        var program = CommandLine.arguments[0].split(separator: "/", omittingEmptySubsequences: false)
        program[program.count - 1] = "rollout-load"
        return try LoadProcess(
            stream, program: program.joined(separator: "/"),
            arguments: [
                address, String(port), stream.mode, String(stream.rate), "0", "/api?delay=\(stream.delay)",
            ], namespaceOf: inside)
    }
}
