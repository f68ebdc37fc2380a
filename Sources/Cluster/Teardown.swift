import CLinux
import ContainerRuntime
import Glibc
import KubernetesAPI
import KubernetesClient
import Logging
import NIOPosix
import NodeAgent
import ServiceProxy

/// Takes a cluster down: what `swiftlet down` does.
public enum Teardown {
    /// Ends the program, its pods and containerd, and removes everything that they made: namespaces, interfaces,
    /// tables, mounts, sockets, logs, the kubeconfig's context. What is gone already is no error.
    ///
    /// - Parameters:
    ///   - configuration: as ``ClusterConfiguration/found(runDirectory:stateDirectory:podLogDirectory:)`` tells it.
    ///   - purge: remove what was stored too.
    ///   - report: is given a line for each step.
    /// - Throws: ``ClusterError`` with code `notRoot`, and the errors of rooms that could not clean up.
    public static func run(
        _ configuration: ClusterConfiguration, purge: Bool, logger: Logger, report: (String) -> Void
    ) async throws {
        guard geteuid() == 0 else {
            throw ClusterError(
                .notRoot, "Expected to run as root, found an ordinary user. Try again with sudo.")
        }
        if let holder = InstanceLock.holder(of: configuration.lockFile) {
            try await end(holder)
            report("Stopped swiftlet (process \(holder))")
        }
        let network = try NodeNetwork(configuration, logger: logger)
        try await endPods(network, configuration, logger: logger)
        report("Removed pods and containers")
        try ServiceProxy.cleanUp(network.proxyConfiguration, logger: logger)
        try network.pods.cleanUp()
        try network.untrackedDNS?.remove()
        report("Removed network interfaces and kernel tables")
        try Preparation.removeFromKubeconfig()
        RuntimeRemains.remove(below: configuration.runDirectory)
        RuntimeRemains.remove(below: configuration.stateDirectory)
        try removeFolders(configuration, purge: purge)
        report(
            purge
                ? "Removed the data in \(configuration.stateDirectory)"
                : "The data stays in \(configuration.stateDirectory); 'swiftlet up' goes on from there")
    }

    /// Asks the process to end and, if it has not in 15 seconds, makes it.
    private static func end(_ process: pid_t) async throws {
        let handle = swiftlet_pidfd_open(process)
        guard handle >= 0 else { return }
        defer { close(handle) }
        _ = swiftlet_pidfd_send_signal(handle, SIGTERM)
        if waitForEnd(handle, milliseconds: 15_000) { return }
        _ = swiftlet_pidfd_send_signal(handle, SIGKILL)
        guard waitForEnd(handle, milliseconds: 5_000) else {
            throw ClusterError(
                .system, "Process \(process) did not end, not even by SIGKILL. See: ps -fp \(process)")
        }
    }

    private static func waitForEnd(_ handle: Int32, milliseconds: Int32) -> Bool {
        var descriptor = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
        while true {
            let count = poll(&descriptor, 1, milliseconds)
            if count < 0 && errno == EINTR { continue }
            return count > 0
        }
    }

    /// Removes every sandbox through the runtime, so that its network goes the way it came; then the runtime.
    private static func endPods(
        _ network: NodeNetwork, _ configuration: ClusterConfiguration, logger: Logger
    ) async throws {
        guard Files.exists(network.containerd.runDirectory) else { return }
        let containerd = ContainerdSupervisor(
            configuration: network.containerd, environment: environment,
            group: MultiThreadedEventLoopGroup.singleton, logger: logger)
        await drain(network, logger: logger)
        do {
            try await containerd.start()
            await NodeTeardown(
                runtime: containerd.runtime, configuration: network.nodeConfiguration, logger: logger
            ).run()
            await containerd.stop()
        } catch {
            // The remains are removed by force then.
            logger.warning(
                "containerd could not be asked to remove the pods", metadata: ["error": "\(error)"])
        }
    }

    /// Lets nothing new come to the pods, and gives what is under way its time, as a pod's end does.
    private static func drain(_ network: NodeNetwork, logger: Logger) async {
        do {
            try ServiceProxy.withdraw(network.proxyConfiguration, logger: logger)
            await GateKeeper(traffic: try NodeTraffic(network), clock: .system).pass(
                Pod(), limit: TerminationPlan.usualGateLimit
            ) { report in
                logger.debug("\(report.message)")
            }
        } catch {
            logger.warning("connections to pods are not waited for", metadata: ["error": "\(error)"])
        }
    }

    private static func removeFolders(_ configuration: ClusterConfiguration, purge: Bool) throws {
        for folder in [configuration.runDirectory] + (purge ? [configuration.stateDirectory] : []) {
            let mounts = RuntimeRemains.mounts(below: folder)
            guard mounts.isEmpty else {
                throw ClusterError(
                    .system,
                    "Expected nothing mounted below \(folder), found \(mounts.joined(separator: ", ")). "
                        + "Unmount it and try again; nothing below was removed.")
            }
            for name in Files.list(folder) { try Files.remove("\(folder)/\(name)") }
            // The folder itself may be a mount of whoever prepared the machine; then it stays, empty.
            guard rmdir(folder) == 0 || errno == EBUSY || errno == ENOENT else {
                throw ClusterError.system("remove \(folder)")
            }
        }
    }

    /// The environment that containerd runs in: the PATH and what proxies need.
    static var environment: [String: String] {
        var result: [String: String] = [:]
        for name in [
            "PATH", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
        ] {
            if let value = getenv(name) { result[name] = String(cString: value) }
        }
        return result
    }
}
