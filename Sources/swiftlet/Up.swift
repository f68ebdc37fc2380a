import ArgumentParser
import Cluster
import Logging

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Start the cluster.",
        discussion: """
            Runs in the foreground until it is interrupted; pods go on running then, and the next 'up' takes \
            them over. 'swiftlet down' ends them too.

            EXAMPLE
              swiftlet up                 in the foreground
              swiftlet up --detach        returns when the node is ready
              swiftlet up --port 7443 --node-name laptop
            """)

    @OptionGroup var cluster: ClusterOptions

    @Flag(name: .shortAndLong, help: "Run in the background; return when the cluster is ready.")
    var detach = false

    @Option(help: "Port of the API server, on 127.0.0.1 and the node's address.")
    var port = ClusterConfiguration().apiPort

    @Option(help: "Name of this machine's node.")
    var nodeName = ClusterConfiguration().nodeName

    @Option(
        help:
            "Address of this machine's node, or one of each family behind a comma (default: that of the default route's interface)."
    )
    var nodeAddress: String?

    @Option(
        help:
            "Addresses of pods: an IPv4 range, and perhaps an IPv6 one behind a comma (10.244.0.0/16,fd00:244::/56)."
    )
    var podCIDR = ClusterConfiguration().podCIDR

    @Option(
        help:
            "Addresses of Services: an IPv4 range, whose tenth is cluster DNS, and perhaps an IPv6 one behind a comma."
    )
    var serviceCIDR = ClusterConfiguration().serviceCIDRText

    @Flag(
        inversion: .prefixedNo,
        help: "Put a 'swiftlet' context into your kubeconfig and make it the current one.")
    var kubeconfig = true

    @OptionGroup(title: "DNS") var dns: DNSOptions

    @OptionGroup(title: "Audit") var audit: AuditOptions

    @Option(help: "Least severe log messages to show: trace, debug, info, notice, warning, error.")
    var logLevel = LogLevel.notice

    /// For tests that must see what is lost without them.
    @Flag(inversion: .prefixedNo, help: .hidden)
    var trafficGates = true

    @Flag(help: .hidden)
    var detached = false

    func run() async throws {
        var configuration = cluster.new
        configuration.apiPort = port
        configuration.nodeName = nodeName
        configuration.nodeAddress = nodeAddress
        configuration.podCIDR = podCIDR
        try configuration.setServiceCIDR(serviceCIDR)
        configuration.hasGates = trafficGates
        configuration.dns = dns.settings
        audit.apply(to: &configuration)
        if detach {
            try Preparation.check(configuration)
            let arguments = CommandLine.arguments.dropFirst().filter { $0 != "--detach" && $0 != "-d" }
            try Detached.start(arguments: arguments + ["--detached"], configuration: configuration) {
                print($0)
            }
            return
        }
        logLevel.bootstrap()
        try await RunningCluster.run(
            configuration, mergesKubeconfig: kubeconfig, progress: Progress(isDetached: detached),
            logger: Logger(label: "swiftlet"))
    }
}
