import APIServer
import ClusterDNS
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
import ObjectStore
import PKI
import PodNetwork
import Scheduler
import ServiceLifecycle
import ServiceProxy

/// The cluster, in this process: what `swiftlet up` runs.
public enum RunningCluster {
    /// Starts every room and runs until SIGTERM or SIGINT. Pods run on then; ``Teardown`` ends them too.
    ///
    /// - Parameters:
    ///   - mergesKubeconfig: whether the user's kubeconfig gets our context.
    ///   - progress: is told how far the start is.
    /// - Throws: ``ClusterError`` and the errors of the rooms.
    public static func run(
        _ configuration: ClusterConfiguration, mergesKubeconfig: Bool, progress: Progress, logger: Logger
    ) async throws {
        try Preparation.check(configuration)
        try Preparation.makeFolders(configuration)
        let lock = try InstanceLock(configuration.lockFile)
        defer { withExtendedLifetime(lock) {} }
        try configuration.remember()
        let rooms = try await Rooms(configuration, logger: logger)
        if mergesKubeconfig {
            let path = try Preparation.mergeKubeconfig(rooms.kubeconfig)
            logger.info("kubeconfig written", metadata: ["path": "\(path)"])
        }
        progress.report("API server answers at \(rooms.kubeconfig.server)")
        var group = ServiceGroupConfiguration(
            services: rooms.services(progress: progress), gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger)
        group.maximumGracefulShutdownDuration = .seconds(10)
        try await ServiceGroup(configuration: group).run()
    }
}

/// A part of the cluster that runs until it is told to stop.
struct Room: ServiceLifecycle.Service {
    let name: String
    let body: @Sendable () async throws -> Void

    init(_ name: String, _ body: @escaping @Sendable () async throws -> Void) {
        self.name = name
        self.body = body
    }

    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown(body)
        } catch is CancellationError {
            return
        }
    }
}
