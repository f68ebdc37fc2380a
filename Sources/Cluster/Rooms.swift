import APIServer
import ContainerRuntime
import Controllers
import Glibc
import HTTPService
import KubernetesAPI
import KubernetesClient
import Logging
import NIOPosix
import Netlink
import NodeAgent
import PKI
import PodNetwork
import Scheduler
import ServiceProxy

/// Every room of the house, wired to its neighbours.
struct Rooms: Sendable {
    /// The administrator's way in.
    var kubeconfig: KubeconfigEntry { serving.keys.kubeconfig }

    private let configuration: ClusterConfiguration
    private let logger: Logger
    private let serving: ServingAPI
    private let informers: InformerSet
    private let controllers: ControllerManager
    private let scheduler: Scheduler
    private let containerd: ContainerdSupervisor
    private let registry: ImageRegistry
    private let agent: NodeAgent
    private let proxy: ServiceProxy
    private let traffic: ServiceTraffic
    private let publisher: RevisionPublisher
    private let dns: NodeDNS
    private let tables: NodeTables

    /// Opens the store, makes keys, network and runtime ready, and lets the API server listen.
    init(_ configuration: ClusterConfiguration, logger: Logger) async throws {
        self.configuration = configuration
        self.logger = logger
        let log = logger.forRooms

        // The slowest first: containerd gets up while the rest is made.
        let network = try NodeNetwork(configuration, logger: log("network"))
        async let runtime = Self.startRuntime(configuration, network: network, logger: log("runtime"))

        let local = LocalNode(name: configuration.nodeName)
        serving = try await ServingAPI(
            configuration, address: network.address, nodes: local,
            components: ["controller-manager", "scheduler"], log: log)

        // One set of caches for everybody in this process; each writes under its own name.
        let (api, keys) = (serving.api, serving.keys)
        // As field managers they are called what upstream's components are, for tools know those by name.
        func client(
            _ user: String, as program: String, groups: [String] = ["system:authenticated"]
        ) -> KubernetesClient {
            KubernetesClient(
                transport: InProcessTransport(responder: api, user: user, groups: groups),
                userAgent: "\(program)/\(Version.swiftlet) (\(user))")
        }
        let informers = InformerSet(
            client: client("system:kube-controller-manager", as: "kube-controller-manager"),
            logger: log("informers"))
        self.informers = informers
        api.addReadinessCheck("informer-sync") {
            let count = informers.unsyncedCount
            return count == 0 ? nil : "\(count) informers not started yet"
        }
        let node = client(
            "system:node:\(configuration.nodeName)", as: "kubelet",
            groups: ["system:nodes", "system:authenticated"])
        proxy = ServiceProxy(
            network.proxyConfiguration, informers: informers,
            recorder: EventRecorder(
                client: client("system:kube-proxy", as: "kube-proxy"), component: "kube-proxy",
                host: configuration.nodeName, logger: log("events")),
            logger: log("proxy"))
        publisher = RevisionPublisher(
            proxy.revision, client: node, nodeName: configuration.nodeName, logger: log("proxy"))
        traffic = ServiceTraffic(
            informers: informers, dataPlane: proxy.revision, nodeAddresses: network.nodeAddresses,
            logger: log("traffic"))
        controllers = ControllerManager(
            ControllerContext(
                client: client("system:kube-controller-manager", as: "kube-controller-manager"),
                informers: informers, logger: log("controllers"),
                dataPlane: configuration.hasGates ? traffic : NoDataPlane()),
            certificateAuthority: keys.authority.certificatePEM,
            signToken: { account, secret in
                try keys.tokens.sign(
                    LegacyServiceAccountClaims(
                        namespace: account.metadata.namespace,
                        serviceAccount: .init(name: account.metadata.name, uid: account.metadata.uid),
                        secret: secret))
            },
            client: { account in
                client(
                    "system:serviceaccount:kube-system:\(account)", as: "kube-controller-manager",
                    groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system"])
            })
        scheduler = Scheduler(
            client: client("system:kube-scheduler", as: "kube-scheduler"), informers: informers,
            logger: log("scheduler"))
        dns = try NodeDNS(
            network, informers: informers,
            client: client("system:apiserver", as: "swiftlet", groups: ["system:masters"]),
            logger: log("dns"))
        tables = NodeTables(network.tables, logger: log("network"))
        network.warnOfObstacles()
        try network.establishServiceRange()
        try await dns.bind()
        let images: ImageFolder
        (containerd, registry, images) = try await runtime
        var nodeConfiguration = network.nodeConfiguration
        nodeConfiguration.hasImage = { images.has($0) }
        agent = try await NodeAgent(
            configuration: nodeConfiguration,
            client: node, informers: informers, runtime: containerd.runtime,
            traffic: configuration.hasGates ? traffic : NoServices(), podIsWired: network.podIsWired,
            logger: log("node"))
        local.connect(agent.api)
        try await agent.register()
    }

    private static func startRuntime(
        _ configuration: ClusterConfiguration, network: NodeNetwork, logger: Logger
    ) async throws -> (ContainerdSupervisor, ImageRegistry, ImageFolder) {
        let group = MultiThreadedEventLoopGroup.singleton
        let folder = try ImageFolder(path: configuration.imageDirectory, logger: logger)
        try folder.addPauseImage()
        let registry = try await ImageRegistry.start(folder: folder, group: group, logger: logger)
        try network.pods.establish()
        let containerd = ContainerdSupervisor(
            configuration: network.containerd, environment: Teardown.environment, group: group, logger: logger
        )
        try await containerd.useRegistry(port: registry.port)
        try await containerd.start()
        return (containerd, registry, folder)
    }

    /// What runs, in the order of starting; stopping goes the other way.
    func services(progress: Progress) -> [Room] {
        serving.services + [
            Room("informers") { [informers] in try await informers.run() },
            Room("containerd") { [containerd] in try await containerd.supervise() },
            Room("proxy") { [proxy] in try await proxy.run() },
            Room("traffic") { [traffic] in await traffic.run() },
            Room("revisions") { [publisher] in try await publisher.run() },
            Room("proxy-metrics") { [self] in await serveProxy(at: ProxyOptions.standardMetricsAddress) },
            Room("proxy-health") { [self] in await serveProxy(at: ProxyOptions.standardHealthzAddress) },
            Room("tables") { [tables] in await tables.run() },
            Room("dns") { [dns] in try await dns.run() },
            Room("controllers") { [controllers] in try await controllers.run() },
            Room("scheduler") { [scheduler] in try await scheduler.run() },
            Room("node") { [agent] in try await agent.run() },
            Room("readiness") { [self] in await reportReadiness(progress) },
        ]
    }

    /// Serves what the proxy tells about itself, at the ports where kube-proxy does. Another program that has them
    /// is no reason not to run a cluster.
    private func serveProxy(at address: String) async {
        do {
            let server = try ProxyServing.server(at: address, for: proxy, logger: logger.forRooms("http"))
            try await server.run()
        } catch {
            logger.warning(
                "the proxy's metrics or health cannot be asked for",
                metadata: ["address": "\(address)", "error": "\(error)"])
            for await _ in AsyncStream<Never>.makeStream().stream {}
        }
    }

    /// Tells when the node is ready, then waits for the end.
    private func reportReadiness(_ progress: Progress) async {
        let nodes = informers.informer(Node.self)
        let (changes, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        nodes.subscribe { _ in signal.yield() }
        for await _ in changes {
            let node = nodes.get(name: configuration.nodeName)
            if node?.status.conditions.contains(where: { $0.type == "Ready" && $0.status == "True" }) == true
            {
                break
            }
        }
        guard !Task.isCancelled else { return }
        progress.report("Node \(configuration.nodeName) is ready")
        progress.ready(
            "The cluster is up; kubectl finds it through the context '\(KubeconfigEntry.contextName)'.")
        // Ending would end the others as well.
        for await _ in AsyncStream<Never>.makeStream().stream {}
    }
}
