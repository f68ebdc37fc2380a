import ArgumentParser
import Cluster
import Logging

struct APIServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apiserver",
        abstract: "Run the API server alone.",
        discussion: """
            Serves the API on 127.0.0.1 over a folder, in the foreground, until it is interrupted. It needs no \
            privileges and touches nothing else: no controllers act on what is stored, no pods run. The \
            administrator's kubeconfig is DATA-DIR/server/admin.kubeconfig.

            EXAMPLE
              swiftlet apiserver --data-dir ./state --port 7443
              kubectl --kubeconfig ./state/server/admin.kubeconfig get namespaces
            """)

    @Option(help: "Folder of the store and of the keys; made when there is none.")
    var dataDir: String

    @Option(help: "Port on 127.0.0.1.")
    var port = ClusterConfiguration().apiPort

    @Option(help: "Addresses of Services: an IPv4 range, and perhaps an IPv6 one behind a comma.")
    var serviceCIDR = ClusterConfiguration().serviceCIDRText

    @OptionGroup(title: "Audit") var audit: AuditOptions

    @Option(help: "Least severe log messages to show: trace, debug, info, notice, warning, error.")
    var logLevel = LogLevel.notice

    func run() async throws {
        var configuration = ClusterConfiguration()
        configuration.stateDirectory = dataDir
        configuration.apiPort = port
        try configuration.setServiceCIDR(serviceCIDR)
        audit.apply(to: &configuration)
        logLevel.bootstrap()
        try await RunningAPIServer.run(
            configuration, progress: Progress(isDetached: false), logger: Logger(label: "swiftlet"))
    }
}
