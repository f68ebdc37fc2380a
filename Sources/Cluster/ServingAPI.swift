import APIServer
import CLinux
import ContainerRuntime
import HTTPService
import KubernetesAPI
import Logging
import ObjectStore

/// The part of a cluster that clients talk to: the keys, the store, and the API server over them, listening.
struct ServingAPI: Sendable {
    let keys: Keys
    let store: ObjectStore
    let api: APIServer
    let server: HTTPServer

    /// Opens the store, makes the keys that are missing, and lets the API server listen.
    ///
    /// - Parameters:
    ///   - address: where clients inside the cluster reach the server; 127.0.0.1 for nobody but this machine.
    ///   - nodes: reaches the agents behind `pods/log` and its kin.
    ///   - components: the parts of the control plane that run in this process; none of them ends alone.
    ///   - log: makes the logger of a room.
    init(
        _ configuration: ClusterConfiguration, address: String, nodes: any NodeConnector,
        components: [String] = [], log: (String) -> Logger
    ) async throws {
        // Each connection is an open file, and the usual 1024 are soon taken by clients that only look.
        let raised = swiftlet_raise_file_limit()
        if raised != 0 {
            log("api").warning("the limit of open files stays", metadata: ["errno": "\(-raised)"])
        }
        store = try await ObjectStore.open(.sqlite(path: configuration.databaseFile), logger: log("store"))
        keys = try Keys(configuration, nodeAddress: address)
        let kubeconfig = try keys.kubeconfig.document()
        // A start must not fail for want of room where nothing is new.
        if Files.text(configuration.adminKubeconfig) != kubeconfig {
            try Files.write(Array(kubeconfig.utf8), to: configuration.adminKubeconfig, mode: 0o600)
        }
        var apiConfiguration = APIServerConfiguration()
        apiConfiguration.serviceRanges = configuration.serviceCIDRs
        apiConfiguration.advertisedAddress = address
        apiConfiguration.advertisedPort = configuration.apiPort
        apiConfiguration.audiences = [keys.tokens.issuer]
        if let policy = configuration.auditPolicyFile, let path = configuration.auditLogPath {
            apiConfiguration.audit = AuditConfiguration(
                policy: try Files.read(policy), path: path,
                maximumSize: configuration.auditLogMaximumSize,
                maximumBackups: configuration.auditLogMaximumBackups)
        }
        apiConfiguration.components = { components.map { ($0, nil) } }
        apiConfiguration.issuer = IssuerDocuments(
            configuration: keys.tokens.discovery(
                keySetURL: "https://\(address):\(configuration.apiPort)/openid/v1/jwks"
            ).json(), keySet: keys.tokens.keySet.json())
        api = try APIServer(
            configuration: apiConfiguration, store: store,
            credentials: Credentials(certificates: keys.verifier, tokens: keys.tokens), nodes: nodes,
            logger: log("api"))
        try await api.prepare()
        server = try HTTPServer(
            keys.serverConfiguration(configuration, nodeAddress: address), responder: api, logger: log("http")
        )
        try await server.bind()
    }

    /// What runs, in the order of starting; stopping goes the other way.
    var services: [Room] {
        [
            Room("api") { [api] in try await api.run() },
            Room("http") { [server] in try await server.run() },
            // Stops first: others are told before the server goes.
            Room("readiness") { [api] in
                for await _ in AsyncStream<Never>.makeStream().stream {}
                api.beginShutdown()
            },
        ]
    }
}

extension Logger {
    /// Makes loggers of the program's rooms that are as talkative as this one.
    var forRooms: @Sendable (String) -> Logger {
        { [logLevel] room in
            var logger = Logger(label: "swiftlet.\(room)")
            logger.logLevel = logLevel
            return logger
        }
    }
}
