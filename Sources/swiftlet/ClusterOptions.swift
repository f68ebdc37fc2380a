import ArgumentParser
import Cluster

/// Options that say which cluster on this machine is meant.
struct ClusterOptions: ParsableArguments {
    @Option(
        name: .customLong("state"),
        help: ArgumentHelp(
            "Folder of what survives a restart: store, certificates, containers.",
            discussion:
                "Without it that of the cluster that runs here, or ran last; 'up' takes \(standard.stateDirectory)."
        ))
    var stateDirectory: String?

    @Option(name: .customLong("run"), help: "Folder of sockets, lock and log.")
    var runDirectory = standard.runDirectory

    @Option(
        name: .customLong("pod-logs"),
        help: ArgumentHelp(
            "Folder of container logs.",
            discussion:
                "Without it that of the cluster that runs here, or ran last; 'up' takes \(standard.podLogDirectory)."
        ))
    var podLogDirectory: String?

    private static let standard = ClusterConfiguration()

    /// A cluster to be started.
    var new: ClusterConfiguration {
        var configuration = Self.standard
        configuration.runDirectory = runDirectory
        if let stateDirectory { configuration.stateDirectory = stateDirectory }
        if let podLogDirectory { configuration.podLogDirectory = podLogDirectory }
        return configuration
    }

    /// The cluster that runs, or ran last.
    var existing: ClusterConfiguration {
        get throws {
            try .found(
                runDirectory: runDirectory, stateDirectory: stateDirectory, podLogDirectory: podLogDirectory)
        }
    }
}
