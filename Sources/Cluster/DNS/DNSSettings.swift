import ClusterDNS

/// What can be chosen about DNS, as it is given on the command line.
public struct DNSSettings: Sendable, Equatable {
    /// `ADDRESS` or `ADDRESS:PORT` of servers to ask for names outside of the cluster; none: those of the node's
    /// resolv.conf.
    public var upstreams: [String] = []
    /// `DOMAIN=ADDRESS[,ADDRESS…]`: servers for the names in a domain.
    public var stubDomains: [String] = []
    /// Whether a pod's search path is completed in the first answer.
    public var completesSearchPaths = true
    /// Whether each query is logged.
    public var logsQueries = false

    public init() {}

    /// Puts what was chosen into a server's configuration.
    ///
    /// - Throws: ``ClusterError`` with code `badConfiguration`.
    func apply(to configuration: inout DNSConfiguration) throws {
        configuration.upstreams = try upstreams.map { try Self.address($0, "--dns-upstream") }
        configuration.stubDomains = [:]
        for text in stubDomains {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw ClusterError(
                    .badConfiguration,
                    "Expected --stub-domain to be DOMAIN=ADDRESS, such as corp.example=192.0.2.53, found \"\(text)\"."
                )
            }
            configuration.stubDomains[parts[0]] = try parts[1].split(separator: ",").map {
                try Self.address(String($0), "--stub-domain")
            }
        }
        configuration.completesSearchPaths = completesSearchPaths
        configuration.logsQueries = logsQueries
    }

    static func address(_ text: String, _ option: String) throws -> ListenAddress {
        guard let address = ListenAddress(text) else {
            throw ClusterError(
                .badConfiguration,
                "Expected \(option) to name an address such as 192.0.2.53 or 192.0.2.53:5353, found \"\(text)\"."
            )
        }
        return address
    }
}
