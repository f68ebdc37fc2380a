import ArgumentParser
import Cluster
import Logging

struct DNSCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dns",
        abstract: "Run cluster DNS alone, or explain how a name is answered.",
        discussion: """
            Answers DNS queries for the Services and pods of any Kubernetes cluster, in the foreground, until it \
            is interrupted; other names are asked of the servers in resolv.conf. With --query it answers one \
            question and says which resolver found what, and why; nothing listens then.

            EXAMPLE
              swiftlet dns --kubeconfig admin.kubeconfig --listen 192.0.2.10
              swiftlet dns --query web.default.svc.cluster.local
              swiftlet dns --query example.com.default.svc.cluster.local --from default/client
            """)

    @Option(help: "The way to the API server (default: kubectl's; in a pod its service account).")
    var kubeconfig: String?

    @Option(help: "Context of the kubeconfig (default: its current one).")
    var context: String?

    @Option(help: "ADDRESS or ADDRESS:PORT to answer at; may be given several times (default: 127.0.0.1).")
    var listen: [String] = []

    @Option(help: "The cluster's domain.")
    var domain = RunningDNS.Options().domain

    @Option(help: "Range of pod or Service addresses, whose names nobody else is asked for.")
    var range: [String] = []

    @Option(
        help:
            "Search domains of the nodes' resolv.conf, in order, separated by commas; empty: they have none. Not given: unknown, and only names in the cluster are completed."
    )
    var nodeSearch: String?

    @Option(help: "File that names the servers for all other names.")
    var resolvConf = RunningDNS.Options().resolverFile

    @Option(help: "ADDRESS:PORT at which /metrics is served (default: nowhere).")
    var metrics: String?

    @OptionGroup(title: "DNS") var dns: DNSOptions

    @Option(
        help:
            "Explain how this name is answered: by the cluster that runs on this machine, or with a kubeconfig or options about DNS by a server that has these."
    )
    var query: String?

    @Option(help: "Record type of the name to explain.")
    var type = "A"

    @Option(help: "Who asks for the name to explain: NAMESPACE/POD, or a pod's address.")
    var from: String?

    @Option(help: "Least severe log messages to show: trace, debug, info, notice, warning, error.")
    var logLevel = LogLevel.notice

    func run() async throws {
        logLevel.bootstrap()
        var options = RunningDNS.Options()
        options.kubeconfig = kubeconfig
        options.context = context
        if !listen.isEmpty { options.listen = listen }
        options.domain = domain
        options.ranges = range
        options.resolverFile = resolvConf
        options.metrics = metrics
        if let nodeSearch {
            options.nodeSearch = .domains(nodeSearch.split(separator: ",").map(String.init))
        }
        options.settings = dns.settings
        // Of the cluster that runs here, unless another one is meant.
        if query != nil, kubeconfig == nil, context == nil, range.isEmpty, dns.settings == DNSSettings() {
            options = try options.ofRunningCluster(ClusterConfiguration())
        }
        let server = try RunningDNS(options, logger: Logger(label: "swiftlet"))
        if let query {
            print(try await server.explain(query, type: type, from: from))
        } else {
            try await server.run(progress: Progress(isDetached: false))
        }
    }
}
