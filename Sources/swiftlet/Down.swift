import ArgumentParser
import Cluster
import Logging

struct Down: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stop the cluster and remove what it made.",
        discussion: """
            Ends the program, its pods and containers, and removes network namespaces, interfaces, kernel tables, \
            mounts and the kubeconfig context. What was stored stays for the next 'up', unless --purge is given.

            EXAMPLE
              swiftlet down
              swiftlet down --purge       forget the data as well
            """)

    @OptionGroup var cluster: ClusterOptions

    @Flag(help: "Remove the data too: store, certificates, images.")
    var purge = false

    func run() async throws {
        LogLevel.warning.bootstrap()
        try await Teardown.run(cluster.existing, purge: purge, logger: Logger(label: "swiftlet")) {
            print($0)
        }
    }
}
