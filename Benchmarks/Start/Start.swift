import BenchmarkSupport
import Glibc
import KubernetesAPI
import KubernetesClient

/// How fast a cluster is there, how much it weighs, and how soon pods and their Service answer.
///
/// Run it in a sandbox: `make bench-start`.
@main
struct Start {
    let swiftlet = environment("SWIFTLET") ?? ".build/release/swiftlet"
    let images = environment("IMAGES") ?? "images"
    let rounds = environment("ROUNDS").flatMap { Int($0) } ?? 5

    static func main() async throws {
        try await Start().run()
    }

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    private func run() async throws {
        guard Self.environment("SWIFTLET_SANDBOX") != nil else {
            throw Command.Failure(
                description: "Expected to run in a sandbox, found none: scripts/sandbox or make bench-start.")
        }
        let (api, node) = try coldStarts()
        print("cold start to API answering:  \(api.summary) s")
        print("cold start to node ready:     \(node.summary) s")
        for image in ["web_1.0", "web_2.0", "busybox_latest"] {
            try Command([swiftlet, "image", "load", "\(images)/\(image).oci.tar"]).run()
        }
        let resting = try await memoryAtRest()
        print("memory of swiftlet at rest:   \(decimal(resting)) MiB")
        let pods = try await PodTimings(rounds: rounds)
        print("apply to three ready:         \(pods.apply.summary) s")
        print("ready to first success:       \(pods.firstSuccess.summary) ms")
        try Command([swiftlet, "down", "--purge"]).run()

        figure("api_answers", api.median, "s")
        figure("node_ready", node.median, "s")
        figure("memory_at_rest", resting, "MiB")
        figure("apply_to_three_ready", pods.apply.median, "s")
        figure("ready_to_first_success_p50", pods.firstSuccess.median, "ms")
        figure("ready_to_first_success_p99", pods.firstSuccess.percentile(0.99), "ms")
        figure("binary_size", try size(swiftlet), "MB")
    }

    /// Starts from nothing, several times; the last cluster stays up.
    private func coldStarts() throws -> (api: Samples, node: Samples) {
        var api = Samples()
        var node = Samples()
        for _ in 0..<rounds {
            try Command([swiftlet, "down", "--purge"]).run()
            let begin = ContinuousClock.now
            try Command([swiftlet, "up", "--detach"]).run { line in
                let seconds = (ContinuousClock.now - begin) / .seconds(1)
                if line.hasPrefix("API server answers") { api.add(seconds) }
                if line.hasPrefix("Node ") { node.add(seconds) }
            }
        }
        return (api, node)
    }

    /// Resident memory once the process has used no processor time for two seconds.
    private func memoryAtRest() async throws -> Double {
        guard let process = text("/run/swiftlet/swiftlet.pid").flatMap({ Int($0.prefix { $0.isNumber }) })
        else {
            throw Command.Failure(
                description: "Expected a running swiftlet, found no /run/swiftlet/swiftlet.pid.")
        }
        let clock = ContinuousClock()
        var before = ""
        for _ in 0..<60 {
            let used = (text("/proc/\(process)/stat") ?? "").split(separator: " ").dropFirst(13).prefix(2)
                .joined(separator: " ")
            if used == before { break }
            before = used
            try await clock.sleep(for: .seconds(2))
        }
        let line = (text("/proc/\(process)/status") ?? "").split(separator: "\n").first {
            $0.hasPrefix("VmRSS:")
        }
        let kilobytes = line?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? .nan
        return kilobytes / 1024
    }

    private func size(_ path: String) throws -> Double {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Command.Failure(description: "no \(path)") }
        return Double(status.st_size) / 1e6
    }

    private func text(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&buffer, 1, buffer.count, file)
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}
