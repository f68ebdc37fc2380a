import ArgumentParser
import Cluster

/// Options that say which cluster on this machine is meant.
struct ClusterOptions: ParsableArguments {
    @Option(
        name: .customLong("state"),
        help: "Folder of what survives a restart: store, certificates, containers.")
    var stateDirectory = ClusterConfiguration().stateDirectory

    @Option(name: .customLong("run"), help: "Folder of sockets, lock and log.")
    var runDirectory = ClusterConfiguration().runDirectory

    @Option(name: .customLong("pod-logs"), help: "Folder of container logs.")
    var podLogDirectory = ClusterConfiguration().podLogDirectory

    var configuration: ClusterConfiguration {
        var configuration = ClusterConfiguration()
        configuration.stateDirectory = stateDirectory
        configuration.runDirectory = runDirectory
        configuration.podLogDirectory = podLogDirectory
        return configuration
    }
}
