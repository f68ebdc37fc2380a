import ArgumentParser
import Cluster
import Logging

struct ProxyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "Run the service proxy alone.",
        discussion: """
            Keeps this machine's kernel as the Services and EndpointSlices of a Kubernetes API server say, in the \
            foreground, in place of kube-proxy. When it ends, its tables stay in force, so that a restart disturbs \
            nobody.

            EXAMPLE
              swiftlet proxy --kubeconfig /etc/kubernetes/proxy.conf --node-name $(hostname)
              swiftlet proxy --kubeconfig ~/.kube/config --node-name worker-1 --dump
              swiftlet proxy --cleanup
            """)

    @Option(help: "The kubeconfig that leads to the API server.")
    var kubeconfig: String?

    @Option(help: "Its context (default: the current one).")
    var context: String?

    @Option(help: "Name of the Node that this machine is.")
    var nodeName = ClusterConfiguration().nodeName

    @Option(help: "Addresses of Services, several behind commas (default: what the ServiceCIDR objects say).")
    var serviceCIDR: String?

    @Option(help: "Addresses of all pods, several behind commas (default: those of this node's pods).")
    var clusterCIDR: String?

    @Option(help: "Address and port of /metrics; empty: none.")
    var metricsBindAddress = ProxyOptions.standardMetricsAddress

    @Option(help: "Address and port of /healthz; empty: none.")
    var healthzBindAddress = ProxyOptions.standardHealthzAddress

    @Flag(help: "Print what is forwarded where, and why, and change nothing.")
    var dump = false

    @Flag(help: "Remove everything that the proxy has made in the kernel.")
    var cleanup = false

    @Option(help: "Least severe log messages to show: trace, debug, info, notice, warning, error.")
    var logLevel = LogLevel.notice

    func validate() throws {
        if kubeconfig == nil, !cleanup {
            throw ValidationError("Expected --kubeconfig FILE, which leads to the API server.")
        }
        if dump, cleanup { throw ValidationError("Expected --dump or --cleanup, found both.") }
    }

    func run() async throws {
        logLevel.bootstrap()
        let logger = Logger(label: "swiftlet")
        if cleanup {
            try RunningProxy.cleanUp(logger: logger)
            return
        }
        var options = ProxyOptions(kubeconfig: kubeconfig ?? "", nodeName: nodeName)
        options.context = context
        options.serviceCIDRs = Self.list(serviceCIDR)
        options.clusterCIDRs = Self.list(clusterCIDR)
        options.metricsAddress = metricsBindAddress
        options.healthzAddress = healthzBindAddress
        if dump {
            print(try await RunningProxy.dump(options, logger: logger), terminator: "")
        } else {
            try await RunningProxy.run(options, logger: logger)
        }
    }

    private static func list(_ text: String?) -> [String] {
        text?.split(separator: ",").map(String.init) ?? []
    }
}
