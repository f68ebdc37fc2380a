import ArgumentParser
import Cluster

/// The program: one file a subcommand.
@main
struct Swiftlet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swiftlet",
        abstract: "Kubernetes Services in one program.",
        discussion: """
            Starts a Kubernetes cluster on this machine: API server, controllers, scheduler, node agent, \
            service proxy and cluster DNS. kubectl finds it through the context 'swiftlet'.

            EXAMPLE
              swiftlet up --detach
              kubectl get nodes
              swiftlet down
            """,
        version: Version.swiftlet,
        subcommands: [
            Up.self, Down.self, Status.self, KubeconfigCommand.self, Image.self, RolloutCommand.self,
            APIServerCommand.self, ProxyCommand.self, DNSCommand.self, VersionCommand.self,
        ])
}
