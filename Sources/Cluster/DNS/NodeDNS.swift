import ClusterDNS
import KubernetesClient
import Logging
import PodNetwork

/// Cluster DNS on this node: the server, the address that it answers at, and the Service that names the address.
struct NodeDNS: Sendable {
    private let server: DNSServer
    private let address: String
    private let untracked: UntrackedPort?
    private let keeper: DNSServiceKeeper
    private let logger: Logger

    /// - Parameters:
    ///   - client: may make the Service `kube-dns`.
    init(
        _ network: NodeNetwork, informers: InformerSet, client: KubernetesClient, logger: Logger
    ) throws {
        server = try DNSServer(
            configuration: try network.dnsConfiguration, informers: informers, logger: logger)
        address = network.dnsAddress
        untracked = network.untrackedDNS
        keeper = DNSServiceKeeper(
            wanted: DNSService(address: address), client: client, informers: informers,
            clock: ContinuousClock(), logger: logger)
        self.logger = logger
    }

    /// Opens the sockets: queries wait from now on, until `run` answers them.
    func bind() async throws {
        do {
            try untracked?.establish()
        } catch {
            // Works without, only not as well.
            logger.warning("DNS queries are subject to connection tracking", metadata: ["error": "\(error)"])
        }
        try await server.bind()
    }

    /// Answers until the task is cancelled.
    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [server] in try await server.run() }
            tasks.addTask { [keeper] in try await keeper.run() }
            tasks.addTask { [self] in await serveMetrics() }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
    }

    /// Names are more important than numbers: a port that is taken must not keep anybody from answering.
    private func serveMetrics() async {
        do {
            try await MetricsEndpoint(host: address, logger: logger).run()
        } catch {
            logger.warning(
                "metrics are not served at the address of cluster DNS, only by the API server",
                metadata: ["address": "\(address):\(MetricsEndpoint.port)", "error": "\(error)"])
            for await _ in AsyncStream<Never>.makeStream().stream {}
        }
    }
}
