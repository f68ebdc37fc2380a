public import ClusterDNS
import Glibc
import KubernetesAPI
import KubernetesClient
import Logging
import ServiceLifecycle

/// Cluster DNS by itself, beside any Kubernetes API server: what `swiftlet dns` runs.
public struct RunningDNS: Sendable {
    /// What a server that runs alone has to be told.
    public struct Options: Sendable {
        /// The file that leads to the API server; nil: that of kubectl, or inside a pod the service account.
        public var kubeconfig: String?
        /// The file's context; nil: its current one.
        public var context: String?
        /// `ADDRESS` or `ADDRESS:PORT` to answer at.
        public var listen = ["127.0.0.1"]
        public var domain = "cluster.local"
        /// Ranges of pod and Service addresses, whose names nobody else is asked for.
        public var ranges: [String] = []
        public var resolverFile = "/etc/resolv.conf"
        /// `ADDRESS:PORT` at which `/metrics` is served; nil: nowhere.
        public var metrics: String?
        /// Search domains of the nodes' resolv.conf.
        public var nodeSearch = DNSConfiguration.NodeSearch.unknown
        public var settings = DNSSettings()

        public init() {}

        /// As the cluster that runs on this machine has them, for explanations of its answers; these where none runs.
        ///
        /// - Throws: ``ClusterError`` with code `badConfiguration`.
        public func ofRunningCluster(_ configuration: ClusterConfiguration) throws -> Options {
            guard InstanceLock.holder(of: configuration.lockFile) != nil else { return self }
            let running = try configuration.remembered()
            var result = self
            result.kubeconfig = running.adminKubeconfig
            result.domain = running.clusterDomain
            result.listen = [running.clusterDNS]
            result.ranges = running.podCIDR.split(separator: ",").map(String.init) + running.serviceCIDRs
            result.nodeSearch = .ofResolverFile
            result.settings = running.dns
            return result
        }
    }

    private let client: KubernetesClient
    private let informers: InformerSet
    private let server: DNSServer
    private let metrics: MetricsEndpoint?
    private let logger: Logger

    /// - Throws: ``ClusterError``, `KubeconfigError`, `DNSError`.
    public init(_ options: Options, logger: Logger) throws {
        var configuration = DNSConfiguration(
            listen: try options.listen.map { try DNSSettings.address($0, "--listen") },
            domain: options.domain,
            ranges: try options.ranges.map { text in
                guard let range = AddressRange(text) else {
                    throw ClusterError(
                        .badConfiguration,
                        "Expected --range to be a range such as 10.96.0.0/16, found \"\(text)\".")
                }
                return range
            }, resolverFile: options.resolverFile)
        configuration.nodeSearch = options.nodeSearch
        try options.settings.apply(to: &configuration)
        client = KubernetesClient(
            transport: try Self.transport(options), userAgent: "swiftlet-dns/\(Version.swiftlet)")
        let log = logger.forRooms
        informers = InformerSet(client: client, logger: log("informers"))
        server = try DNSServer(
            configuration: configuration, informers: informers, isAlone: true, logger: log("dns"))
        metrics = try options.metrics.map { text in
            let address = try DNSSettings.address(text, "--metrics")
            return try MetricsEndpoint(
                host: "\(address.address)", port: Int(address.port), logger: log("metrics"))
        }
        self.logger = logger
    }

    private static func transport(_ options: Options) throws -> HTTPSTransport {
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        if options.kubeconfig == nil, let host = variable("KUBERNETES_SERVICE_HOST"),
            let port = variable("KUBERNETES_SERVICE_PORT").flatMap({ Int($0) })
        {
            return try HTTPSTransport.inCluster(host: host, port: port)
        }
        let file = try Kubeconfig.load(path: options.kubeconfig ?? Kubeconfig.defaultPath)
        return try HTTPSTransport(kubeconfig: file, context: options.context)
    }

    /// Answers until SIGTERM or SIGINT.
    ///
    /// - Parameter progress: is told where the server answers.
    /// - Throws: `DNSError`, and `HTTPError` if metrics cannot be served.
    public func run(progress: Progress) async throws {
        try await server.bind()
        let addresses = server.addresses.map(\.description).joined(separator: ", ")
        progress.report("DNS answers at \(addresses)")
        var rooms = [
            Room("informers") { [informers] in try await informers.run() },
            Room("dns") { [server] in try await server.run() },
        ]
        if let metrics { rooms.append(Room("metrics") { try await metrics.run() }) }
        var group = ServiceGroupConfiguration(
            services: rooms, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(5)
        try await ServiceGroup(configuration: group).run()
    }

    /// How a question would be answered, step by step.
    ///
    /// - Parameter client: who asks: the address of a pod, or `NAMESPACE/POD`.
    /// - Throws: `DNSError` with code `invalidQuestion`, ``ClusterError``, the errors of `KubernetesClient`.
    public func explain(_ name: String, type: String, from client: String?) async throws -> String {
        let address = try await client.asyncMap { try await self.address(of: $0) }
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [informers] in try await informers.run() }
            defer { tasks.cancelAll() }
            return try await server.explain(name, type: type, from: address)
        }
    }

    private func address(of pod: String) async throws -> String {
        let parts = pod.split(separator: "/").map(String.init)
        guard parts.count == 2 else { return pod }
        let found = try await client.get(Pod.self, name: parts[1], namespace: parts[0])
        guard !found.status.podIP.isEmpty else {
            throw ClusterError(
                .notRunning, "Expected the pod \(pod) to have an address, found that it has none yet.")
        }
        return found.status.podIP
    }
}

extension Optional where Wrapped: Sendable {
    fileprivate func asyncMap<Value>(_ body: (Wrapped) async throws -> Value) async throws -> Value? {
        guard let self else { return nil }
        return try await body(self)
    }
}
