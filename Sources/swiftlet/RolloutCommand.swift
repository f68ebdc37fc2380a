import ArgumentParser
import Cluster
import Glibc

struct RolloutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollout",
        abstract: "See how a rollout goes.",
        discussion: """
            EXAMPLE
              swiftlet rollout watch deployment/web
            """,
        subcommands: [Watch.self])

    struct Watch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a Deployment's pods, old and new, and which connections each gets.",
            discussion: """
                Shows, until it is interrupted, what Services send to each pod and its share of the connections \
                of the last seconds, counted in the kernel of this machine (as root). On a terminal the picture \
                is drawn in place, elsewhere there is a line for everything that changes.

                EXAMPLE
                  swiftlet rollout watch deployment/web
                  swiftlet rollout watch deployment/web --namespace shop --once
                """)

        @OptionGroup var cluster: ClusterOptions

        @Argument(help: "The Deployment: deployment/NAME.")
        var deployment: String

        @Option(name: .shortAndLong, help: "Its namespace.")
        var namespace = "default"

        @Flag(help: "Show it once and end.")
        var once = false

        func run() async throws {
            LogLevel.error.bootstrap()
            var size: (@Sendable () -> TerminalSize)?
            if let first = TerminalSize(of: STDOUT_FILENO) {
                size = { TerminalSize(of: STDOUT_FILENO) ?? first }
            }
            let watch = try RolloutWatch(cluster.existing, deployment: deployment, namespace: namespace)
            try await watch.run(once: once, size: size) { text in
                // At once: whoever reads it should not wait for a buffer to fill.
                let bytes = Array(text.utf8)
                _ = write(STDOUT_FILENO, bytes, bytes.count)
            }
        }
    }
}
