import Logging
import Netlink

/// The kernel's side of the proxy: the planner, the tables, the interface. Used by one task.
package struct DataPlane: Sendable {
    private var planner: Planner
    private var backEnds: [NftablesBackEnd]
    private var configuration: ProxyConfiguration
    private let nftables: NftablesSocket
    /// The ranges that are to be, until the kernel has them.
    private var wantedRanges: [IPNetwork]?
    private var range: ServiceRange
    private let routes: RouteSocket
    package let tracking: ConnectionTracking
    /// Tells when somebody else changes the tables.
    package let monitor: NftablesMonitor
    private let logger: Logger
    /// Whether everything that is wanted has been told, so that the rest may go.
    private var isComplete = false
    /// The back ends in whose place there is a table that could not be taken over.
    private var replacing: Set<Int> = []
    /// Whether connections may contradict the table in ways that no change of it tells.
    private var isUncertain = true

    /// What the kernel has, as far as is known.
    package var table: ForwardingTable { planner.table }

    /// The families that Services have addresses of.
    package var families: [IPAddress.Family] { backEnds.map(\.family) }
    /// The family of which the last transaction was that the kernel refused; nil when it was none of a family.
    package private(set) var refusedFamily: IPAddress.Family?
    /// The Service ports that lack an endpoint on this node.
    package var missingLocalEndpoints: MissingLocalEndpoints { planner.missingLocalEndpoints }

    /// Opens the sockets, in `namespace` or else where this process is.
    package static func opened(
        _ configuration: ProxyConfiguration, in namespace: NetworkNamespace?, logger: Logger
    ) async throws -> DataPlane {
        guard let namespace else { return try DataPlane(configuration, logger: logger) }
        return try await namespace.run { try DataPlane(configuration, logger: logger) }
    }

    /// Opens the sockets, in the calling thread's network namespace.
    package init(_ configuration: ProxyConfiguration, logger: Logger) throws(NetlinkError) {
        planner = Planner(configuration)
        self.configuration = configuration
        let nftables = try NftablesSocket()
        self.nftables = nftables
        let families = Set(configuration.serviceRanges.map(\.address.family)).sorted()
        backEnds = families.map { NftablesBackEnd(NftablesForm($0, configuration), nftables) }
        routes = try RouteSocket()
        range = ServiceRange(configuration, routes)
        monitor = try NftablesMonitor(of: backEnds.map(\.table), ignoring: nftables)
        tracking = try ConnectionTracking()
        self.logger = logger
    }

    /// Makes the interface and the tables, or takes over those that are there.
    package mutating func establish() throws(NetlinkError) {
        try range.establish()
        var found = ForwardingTable()
        replacing = []
        for index in backEnds.indices {
            guard let part = try backEnds[index].adopt() else {
                replacing.insert(index)
                continue
            }
            found.entries.merge(part.entries) { $1 }
            found.serviceAddresses.formUnion(part.serviceAddresses)
            found.hairpinAddresses.formUnion(part.hairpinAddresses)
        }
        planner.adopt(found)
        if !found.entries.isEmpty {
            logger.info(
                "took over the forwarding table in the kernel",
                metadata: ["entries": "\(found.entries.count)"])
        }
    }

    /// Learns new facts. Nothing changes in the kernel yet.
    package mutating func learn(_ batch: ProxyQueue.Batch) {
        if let ranges = batch.ranges, ranges != configuration.serviceRanges { wantedRanges = ranges }
        if let zone = batch.zone { learn(zone: zone) }
        for (name, facts) in batch.services {
            if let facts { planner.setService(facts) } else { planner.removeService(name) }
        }
        for (name, facts) in batch.slices {
            if let facts { planner.setSlice(facts) } else { planner.removeSlice(name) }
        }
    }

    /// Brings the kernel up to date with what was learnt.
    /// - Returns: what became stale by it.
    package mutating func commit() throws(NetlinkError) -> TableChanges {
        refusedFamily = nil
        if let wantedRanges { try follow(wantedRanges) }
        let changes = planner.plan()
        isComplete = true
        for index in backEnds.indices {
            refusedFamily = backEnds[index].family
            if replacing.contains(index) {
                try monitor.withoutNotices { () throws(NetlinkError) in
                    try backEnds[index].replace(by: planner.table)
                }
                replacing.remove(index)
                isUncertain = true
            } else if changes.entries.count > Self.fewEntries {
                try monitor.withoutNotices { () throws(NetlinkError) in try backEnds[index].apply(changes) }
            } else if !changes.isEmpty {
                try backEnds[index].apply(changes)
            }
        }
        refusedFamily = nil
        return changes
    }

    /// Whether connections may contradict the table in ways that no change of it tells: since the proxy started, or
    /// since somebody else changed the tables. Whoever takes it has them looked for (``contradictions()``).
    package mutating func takeUncertainty() -> Bool {
        // Before all that is wanted was told, the table is what an earlier proxy left.
        guard isComplete, isUncertain else { return false }
        isUncertain = false
        return true
    }

    /// What contradicts the table as it is now, on this node with the addresses that it has.
    package func contradictions() throws(NetlinkError) -> ContradictingConnections {
        ContradictingConnections(planner.table, nodeAddresses: try addressesOfNode())
    }

    /// With how many entries a change is still a small one.
    private static let fewEntries = 256

    /// Routes other ranges to the interface, and has the tables written anew that name them. Until they are, the old
    /// ones stay in force.
    private mutating func follow(_ ranges: [IPNetwork]) throws(NetlinkError) {
        let gone = configuration.serviceRanges.filter { !ranges.contains($0) }
        configuration.serviceRanges = ranges
        range = ServiceRange(configuration, routes)
        try range.establish()
        try range.removeRoutes(to: gone)
        let families = Set(ranges.map(\.address.family)).sorted()
        for backEnd in backEnds where !families.contains(backEnd.family) {
            var backEnd = backEnd
            try backEnd.cleanUp()
        }
        backEnds = families.map { NftablesBackEnd(NftablesForm($0, configuration), nftables) }
        monitor.watch(backEnds.map(\.table))
        replacing = Set(backEnds.indices)
        wantedRanges = nil
        logger.info(
            "Service addresses come from other ranges now",
            metadata: ["ranges": "\(ranges.map(\.description).joined(separator: " "))"])
    }

    /// Makes the tables again what they should be, after somebody else has changed them.
    package mutating func repair() throws(NetlinkError) {
        try establish()
        guard isComplete else { return }
        isUncertain = true
        _ = try commit()
    }

    /// Every address that this machine answers to.
    package func addressesOfNode() throws(NetlinkError) -> Set<IPAddress> {
        Set(try routes.addresses().map(\.network.address))
    }

    /// Makes the tables forget which of the endpoints that left clients had last.
    /// - Returns: the connections that are stale, on this node with the addresses that it has.
    package func forgetClients(of stale: StaleConnections) throws(NetlinkError) -> StaleConnections {
        for backEnd in backEnds { try backEnd.forgetClients(of: stale.clients) }
        var stale = stale
        stale.nodeAddresses = try addressesOfNode()
        return stale
    }

    /// What load balancers are told that ask for this node, by port.
    package var healthChecks: [UInt16: HealthCheck] { planner.healthChecks() }

    /// What is done for each Service port, and why.
    package func explanation() -> [ServicePortExplanation] { planner.explanation() }

    /// Learns the zone of the node.
    package mutating func learn(zone: String?) { planner.setZone(zone) }

    /// Removes tables and interface.
    package mutating func cleanUp() throws(NetlinkError) {
        for index in backEnds.indices { try backEnds[index].cleanUp() }
        try range.remove()
    }
}
