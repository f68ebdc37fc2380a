import Logging
import Netlink

/// The kernel's side of the proxy: the planner, the tables, the interface. Used by one task.
package struct DataPlane: Sendable {
    private var planner: Planner
    private var backEnds: [NftablesBackEnd]
    private let range: ServiceRange
    package let tracking: ConnectionTracking
    private let logger: Logger
    private var isFirst = true

    /// What the kernel has, as far as is known.
    package var table: ForwardingTable { planner.table }

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
        let nftables = try NftablesSocket()
        let families = Set(configuration.serviceRanges.map(\.address.family)).sorted()
        backEnds = families.map { NftablesBackEnd(NftablesForm($0, configuration), nftables) }
        range = ServiceRange(configuration, try RouteSocket())
        tracking = try ConnectionTracking()
        self.logger = logger
    }

    /// Makes the interface and the tables, or takes over those that are there.
    package mutating func establish() throws(NetlinkError) {
        try range.establish()
        var found = ForwardingTable()
        for index in backEnds.indices {
            let part = try backEnds[index].adopt()
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
        let changes = planner.plan()
        if !changes.isEmpty {
            for index in backEnds.indices { try backEnds[index].apply(changes) }
        }
        if isFirst {
            isFirst = false
            let count = try ContradictingConnections(planner.table).forget(tracking)
            if count > 0 {
                logger.info("cut off connections to endpoints that are gone", metadata: ["count": "\(count)"])
            }
        }
        return changes
    }

    /// Removes tables and interface.
    package mutating func cleanUp() throws(NetlinkError) {
        for index in backEnds.indices { try backEnds[index].cleanUp() }
        try range.remove()
    }
}
