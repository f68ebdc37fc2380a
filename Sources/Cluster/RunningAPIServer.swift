import APIServer
import ContainerRuntime
import HTTPService
import KubernetesAPI
import Logging
import ServiceLifecycle

/// The API server by itself, in this process: what `swiftlet apiserver` runs.
public enum RunningAPIServer {
    /// Serves until SIGTERM or SIGINT, to clients on this machine. It needs no privileges and touches nothing but
    /// the state folder; nobody acts on what is stored.
    ///
    /// - Parameter progress: is told where the server answers.
    /// - Throws: ``ClusterError`` and the errors of the rooms.
    public static func run(
        _ configuration: ClusterConfiguration, progress: Progress, logger: Logger
    ) async throws {
        try Files.createFolder("\(configuration.stateDirectory)/server", mode: 0o700)
        let serving = try await ServingAPI(
            configuration, address: "127.0.0.1", nodes: NoNodes(), log: logger.forRooms)
        progress.report("API server answers at \(serving.keys.kubeconfig.server)")
        var group = ServiceGroupConfiguration(
            services: serving.services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(10)
        do {
            try await ServiceGroup(configuration: group).run()
        } catch {
            await serving.store.close()
            throw error
        }
        await serving.store.close()
    }
}

/// An API server alone reaches no node.
private struct NoNodes: NodeConnector {
    func respond(node: String, to request: HTTPRequest) async -> HTTPResponse {
        LocalNode.unreachable(node)
    }
}
