import ArgumentParser
import Cluster

struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show whether the cluster runs and how it is.",
        discussion: """
            Ends with status 0 if the cluster runs and its node is ready, else with 1.

            EXAMPLE
              swiftlet status
            """)

    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        let report = try await StatusReport.gather(cluster.existing)
        print(report.text)
        if !report.isHealthy { throw ExitCode.failure }
    }
}
