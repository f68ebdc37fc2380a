import ArgumentParser
import Cluster
import ContainerRuntime

struct KubeconfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kubeconfig",
        abstract: "Print a kubeconfig for the cluster.",
        discussion: """
            The administrator's own; keep it to yourself.

            EXAMPLE
              swiftlet kubeconfig > swiftlet.kubeconfig
              kubectl --kubeconfig swiftlet.kubeconfig get nodes
            """)

    @OptionGroup var cluster: ClusterOptions

    func run() throws {
        let path = try cluster.existing.adminKubeconfig
        guard let text = Files.text(path) else {
            throw ClusterError(
                .notRunning,
                "Expected a cluster's kubeconfig at \(path), found none. Start a cluster first: swiftlet up.")
        }
        print(text, terminator: "")
    }
}
