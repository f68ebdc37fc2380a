/// What a DNS server answers, and where.
public struct DNSConfiguration: Sendable {
    /// The cluster's domain.
    public var domain: String
    /// Where it listens, by UDP and TCP. An address need not be assigned to an interface yet. Port 0 takes
    /// any free port (the same one for UDP and TCP).
    public var listen: [ListenAddress]
    /// The ranges of pod and Service addresses: nobody else is asked for names of addresses in them.
    public var ranges: [AddressRange]
    /// How long clients may keep records, in seconds. Short: records change with the cluster.
    public var timeToLive: UInt32
    /// Names the servers that other names are asked of, and the node's search domains (resolv.conf(5)). Read
    /// again when it changes.
    public var resolverFile: String
    /// Servers to ask instead of those in `resolverFile`.
    public var upstreams: [ListenAddress]
    /// Servers for the names in a domain, instead of those for all names.
    public var stubDomains: [String: [ListenAddress]] = [:]
    /// Whether a pod's search path is completed here, instead of in several rounds.
    public var completesSearchPaths = true
    /// The search domains of the nodes' resolv.conf, which come after the cluster's in pods.
    public var nodeSearch = NodeSearch.ofResolverFile
    /// Whether each query is written to the log.
    public var logsQueries = false
    /// Bytes that answers of other servers may take in memory.
    public var cacheCapacity = 8 << 20
    /// How long other servers have.
    package var timing = ForwardTiming()
    /// How long a TCP connection may say nothing (RFC 7766, 6.2.3: a few seconds).
    package var idleLimit = Duration.seconds(10)
    /// UDP threads for each address; 0 chooses by the machine's processors.
    public var threads: Int
    /// How long to wait, at most, for the cluster's objects before the first answer. Queries that arrive
    /// meanwhile wait in the sockets and are answered then.
    public var patience: Duration

    /// Where the nodes' search domains come from.
    public enum NodeSearch: Sendable, Hashable {
        /// The resolver file is the node's own.
        case ofResolverFile
        case domains([String])
        /// Nobody knows them, so that a name outside of the cluster is not completed.
        case unknown
    }

    public init(
        listen: [ListenAddress], domain: String = "cluster.local", ranges: [AddressRange] = [],
        timeToLive: UInt32 = 5, resolverFile: String = "/etc/resolv.conf", upstreams: [ListenAddress] = [],
        threads: Int = 0, patience: Duration = .seconds(4)
    ) {
        self.domain = domain
        self.listen = listen
        self.ranges = ranges
        self.timeToLive = timeToLive
        self.resolverFile = resolverFile
        self.upstreams = upstreams
        self.threads = threads
        self.patience = patience
    }
}
