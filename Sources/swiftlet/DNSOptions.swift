import ArgumentParser
import Cluster

/// Options about names, for `up` and `dns`.
struct DNSOptions: ParsableArguments {
    @Option(
        name: .customLong("dns-upstream"),
        help: "Server for names outside of the cluster; may be given several times (default: resolv.conf's).")
    var upstreams: [String] = []

    @Option(
        name: .customLong("stub-domain"),
        help: "DOMAIN=ADDRESS[,ADDRESS…]: servers for the names in a domain; may be given several times.")
    var stubDomains: [String] = []

    @Flag(
        inversion: .prefixedNo,
        help: "Answer at once what a pod's search path would find in several rounds.")
    var searchCompletion = true

    @Flag(name: .customLong("log-queries"), help: "Write each DNS query to the log.")
    var logsQueries = false

    var settings: DNSSettings {
        var settings = DNSSettings()
        settings.upstreams = upstreams
        settings.stubDomains = stubDomains
        settings.completesSearchPaths = searchCompletion
        settings.logsQueries = logsQueries
        return settings
    }
}
