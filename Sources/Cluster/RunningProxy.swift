import Glibc
import HTTPService
import KubernetesAPI
import KubernetesClient
import Logging
import Netlink
import ServiceLifecycle
import ServiceProxy

/// The service proxy by itself, against any Kubernetes API server: what `swiftlet proxy` runs.
public enum RunningProxy {
    /// Keeps this machine's kernel as the API says, until SIGTERM or SIGINT. The tables stay in force then, for the
    /// next run to take over.
    ///
    /// - Throws: ``ClusterError`` and the errors of the rooms.
    public static func run(_ options: ProxyOptions, logger: Logger) async throws {
        try requireRoot()
        let setup = try await ProxySetup(options, logger: logger)
        let informers = InformerSet(client: setup.client, logger: logger.forRooms("informers"))
        let proxy = ServiceProxy(
            setup.configuration, informers: informers, followsRanges: setup.followsRanges,
            recorder: EventRecorder(
                client: setup.client, component: "kube-proxy", host: options.nodeName,
                logger: logger.forRooms("events")),
            logger: logger.forRooms("proxy"))
        let publisher = RevisionPublisher(
            proxy.revision, client: setup.client, nodeName: options.nodeName,
            logger: logger.forRooms("proxy"))
        var rooms = [
            Room("informers") { try await informers.run() },
            Room("proxy") { try await proxy.run() },
            Room("revisions") { try await publisher.run() },
        ]
        for address in [options.metricsAddress, options.healthzAddress] where !address.isEmpty {
            let server = try ProxyServing.server(at: address, for: proxy, logger: logger.forRooms("http"))
            try await server.bind()
            rooms.append(Room("http") { try await server.run() })
        }
        var group = ServiceGroupConfiguration(
            services: rooms, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(10)
        try await ServiceGroup(configuration: group).run()
    }

    /// The forwarding table that the API's present state makes, drawn for people. The kernel is not asked, nor
    /// changed; no privileges are needed.
    public static func dump(_ options: ProxyOptions, logger: Logger) async throws -> String {
        let setup = try await ProxySetup(options, logger: logger)
        var planner = Planner(setup.configuration)
        planner.setZone(setup.zone)
        for service in try await setup.client.list(KubernetesAPI.Service.self).items {
            if let facts = ServiceFacts(service) { planner.setService(facts) }
        }
        for slice in try await setup.client.list(EndpointSlice.self).items {
            if let facts = SliceFacts(slice, nodeName: options.nodeName) { planner.setSlice(facts) }
        }
        _ = planner.plan()
        return "\(ForwardingDrawing(planner.explanation()))"
    }

    /// Removes everything that a proxy has made in this machine's kernel. The API server is not needed for it.
    public static func cleanUp(logger: Logger) throws {
        try requireRoot()
        try ServiceProxy.cleanUpAll(logger: logger)
    }

    private static func requireRoot() throws {
        guard geteuid() == 0 else {
            throw ClusterError(
                .notRoot, "Expected to run as root, found an ordinary user. Try again with sudo.")
        }
    }
}

/// Where the proxy tells about itself.
enum ProxyServing {
    /// A server at `ADDRESS:PORT`.
    static func server(
        at address: String, for proxy: ServiceProxy, logger: Logger
    ) throws -> HTTPServer {
        guard let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]),
            (0...65535).contains(port)
        else {
            throw ClusterError(
                .badConfiguration,
                "Expected an address and a port such as 127.0.0.1:10249, found \"\(address)\".")
        }
        let host = address[..<colon].trimmingPrefix("[")
        return try HTTPServer(
            ServerConfiguration(addresses: [
                .tcp(host: String(host.hasSuffix("]") ? host.dropLast() : host), port: port)
            ]), responder: ProxyEndpoints(proxy), logger: logger)
    }
}
