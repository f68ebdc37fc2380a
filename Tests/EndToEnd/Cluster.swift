import Glibc
import Testing

/// The cluster that the end-to-end tests share: started by the first that asks for it.
///
/// It runs in the sandbox that the tests run in (`scripts/sandbox swift test --filter EndToEndTests`), so that
/// nothing of the machine's own is touched.
actor Cluster {
    static let shared = Cluster()

    static let swiftlet = environment("SWIFTLET") ?? "\(Shell.repository)/.build/release/swiftlet"
    static let images = environment("IMAGES") ?? "\(Shell.repository)/images"

    private var isUp = false

    /// Whether we are where Service traffic may flow: in a network without an uplink.
    static var isSandboxed: Bool { environment("SWIFTLET_SANDBOX") != nil }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Starts the cluster and loads the sample images, once.
    func up() async throws {
        guard !isUp else { return }
        try await expect("\(Self.swiftlet) up --detach")
        for image in ["web_1.0", "web_2.0", "busybox_latest"] {
            try await expect("\(Self.swiftlet) image load \(Self.images)/\(image).oci.tar")
        }
        isUp = true
    }

    /// Notes that a test took the cluster down.
    func isDown() { isUp = false }
}

/// Runs a command that must succeed.
@discardableResult
func expect(
    _ command: String, environment: [String: String] = [:], in folder: String = Shell.repository,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws -> Outcome {
    let outcome = try await Shell.run(command, environment: environment, in: folder)
    if outcome.status != 0 {
        let more = await diagnosis()
        try #require(outcome.status == 0, "\(outcome)\n\(more)", sourceLocation: sourceLocation)
    }
    return outcome
}

/// Runs a command until its outcome is as wanted, for what follows a change a moment later.
@discardableResult
func eventually(
    _ command: String, within limit: Duration = .seconds(60), environment: [String: String] = [:],
    sourceLocation: SourceLocation = #_sourceLocation, _ isWanted: (Outcome) -> Bool
) async throws -> Outcome {
    let deadline = ContinuousClock.now + limit
    while true {
        let outcome = try await Shell.run(command, environment: environment)
        if isWanted(outcome) { return outcome }
        guard ContinuousClock.now < deadline else {
            Issue.record(
                "gave up after \(limit):\n\(outcome)\n\(await diagnosis())", sourceLocation: sourceLocation)
            return outcome
        }
    }
}

/// What a person would look at next when something failed.
private func diagnosis() async -> String {
    var text = ""
    for command in [
        "\(Cluster.swiftlet) status", "kubectl get nodes,pods,services,endpointslices -A -o wide",
        "kubectl get events -A --sort-by=.lastTimestamp | tail -30", "tail -50 /run/swiftlet/swiftlet.log",
    ] {
        if let outcome = try? await Shell.run(command) { text += "\(outcome)\n" }
    }
    return text
}
