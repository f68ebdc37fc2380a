import CLinux
import ContainerRuntime
import Glibc
import Netlink

/// What happens before anything is started.
public enum Preparation {
    /// Refuses to start where it could not end well. Nothing is made.
    ///
    /// - Throws: ``ClusterError`` that says what was expected, what was found, and what to do.
    public static func check(_ configuration: ClusterConfiguration) throws {
        // A process that was just killed needs a moment to go.
        if geteuid() == 0, let holder = InstanceLock.holder(of: configuration.lockFile),
            !ends(holder, within: 1000)
        {
            throw ClusterError(
                .alreadyRunning,
                "Expected no cluster on \(configuration.runDirectory), found one that runs (process \(holder)). "
                    + "Look at it with 'swiftlet status', stop it with 'swiftlet down'.")
        }
        let facts = Preflight.inspect(
            port: configuration.apiPort, hasNftables: (try? NftablesSocket().generation()) != nil)
        if let obstacle = Preflight.obstacle(facts, configuration: configuration) { throw obstacle }
    }

    /// Whether a process ends within so many milliseconds. Shell: `timeout 1 tail --pid=PROCESS -f /dev/null`
    private static func ends(_ process: pid_t, within milliseconds: Int32) -> Bool {
        let descriptor = swiftlet_pidfd_open(process)
        guard descriptor >= 0 else { return descriptor == -ESRCH }
        defer { close(descriptor) }
        var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&state, 1, milliseconds) > 0
    }

    /// Makes the folders that everything else relies on.
    static func makeFolders(_ configuration: ClusterConfiguration) throws {
        try Files.createFolder("\(configuration.stateDirectory)/server", mode: 0o700)
        try Files.createFolder(configuration.agentDirectory, mode: 0o711)
        try Files.createFolder(configuration.runDirectory)
        try Files.createFolder(configuration.podLogDirectory)
    }

    /// The user's kubeconfig: `SUDO_USER`'s when sudo was used would be a guess, so it is that of `HOME`.
    static var userKubeconfig: String {
        var environment: [String: String] = [:]
        if let list = getenv("KUBECONFIG") { environment["KUBECONFIG"] = String(cString: list) }
        let home = getenv("HOME").map { String(cString: $0) } ?? "/root"
        return KubeconfigEntry.userFile(environment: environment, home: home, exists: Files.exists)
    }

    /// Puts our context into the user's kubeconfig.
    static func mergeKubeconfig(_ kubeconfig: KubeconfigEntry) throws -> String {
        let path = userKubeconfig
        let merged = try kubeconfig.merged(into: Files.text(path) ?? "")
        if let slash = path.lastIndex(of: "/") { try Files.createFolder(String(path[..<slash]), mode: 0o750) }
        try Files.write(Array(merged.utf8), to: path, mode: 0o600)
        return path
    }

    /// Takes our context out of the user's kubeconfig again.
    static func removeFromKubeconfig() throws {
        let path = userKubeconfig
        guard let text = Files.text(path), let without = try KubeconfigEntry.removed(from: text) else {
            return
        }
        try Files.write(Array(without.utf8), to: path, mode: 0o600)
    }
}
