import Netlink

/// The connections that must not go on after a change: UDP flows to endpoints that left, and TCP connections to
/// them that wait for the first answer. Connection tracking would hold them to their endpoint for as long as the
/// client tries; forgotten, their next packet is a new connection's first and meets the new table. Established
/// TCP connections stay: the endpoint may serve them to their end.
package struct StaleConnections: Sendable, Hashable {
    /// Where clients sent to, and where they must not go any more.
    package private(set) var removed: [ServiceAddress: Set<Backend>] = [:]

    package init() {}

    /// What the changes make stale.
    package init(_ changes: TableChanges) {
        for (address, change) in changes.entries {
            let backends = change.removedBackends
            if !backends.isEmpty { removed[address] = backends }
        }
    }

    /// Whether nothing is stale.
    package var isEmpty: Bool { removed.isEmpty }

    /// Adds what another change made stale. What a later change brought back is not stale any more.
    package mutating func add(_ changes: TableChanges) {
        for (address, change) in changes.entries {
            let remaining = removed[address, default: []]
                .subtracting(change.new?.backends ?? [])
                .union(change.removedBackends)
            removed[address] = remaining.isEmpty ? nil : remaining
        }
    }

    /// Whether this connection must not go on.
    package func contains(_ connection: TrackedConnection) -> Bool {
        guard let transport = TransportProtocol(rawValue: connection.original.transportProtocol) else {
            return false
        }
        let address = ServiceAddress(
            connection.original.destination, transport, connection.original.destinationPort)
        let backend = Backend(connection.reply.source, connection.reply.sourcePort)
        guard removed[address]?.contains(backend) == true else { return false }
        return transport != .tcp || connection.isHalfOpen
    }

    /// The questions to the kernel by which they are found: one for each endpoint while these are few, then one
    /// for each protocol, since each walks the whole table.
    package var questions: Set<ConnectionFilter> {
        var narrow: Set<ConnectionFilter> = []
        var wide: Set<ConnectionFilter> = []
        for (address, backends) in removed {
            wide.insert(ConnectionFilter(transportProtocol: address.transportProtocol.rawValue))
            guard narrow.count <= 4 else { continue }
            for backend in backends {
                narrow.insert(
                    ConnectionFilter(
                        originalDestination: address.address,
                        transportProtocol: address.transportProtocol.rawValue, replySource: backend.address))
            }
        }
        return narrow.count <= 4 ? narrow : wide
    }

    /// Finds them and makes the kernel forget them.
    /// - Returns: how many there were.
    package func forget(_ tracking: ConnectionTracking) throws(NetlinkError) -> Int {
        var count = 0
        for question in questions {
            for family in Set(removed.keys.map(\.address.family)) {
                if let address = question.originalDestination, address.family != family { continue }
                count += try tracking.forget(
                    try tracking.connections(question, family: family).filter(contains))
            }
        }
        return count
    }
}

/// What connection tracking holds that contradicts the table, found once at start: a proxy that was away has not
/// seen which endpoints left.
package struct ContradictingConnections: Sendable {
    package let table: ForwardingTable

    package init(_ table: ForwardingTable) {
        self.table = table
    }

    /// Whether this connection goes where the table would not send it.
    package func contains(_ connection: TrackedConnection) -> Bool {
        guard let transport = TransportProtocol(rawValue: connection.original.transportProtocol) else {
            return false
        }
        let address = ServiceAddress(
            connection.original.destination, transport, connection.original.destinationPort)
        guard let forwarding = table.entries[address] else { return false }
        let backend = Backend(connection.reply.source, connection.reply.sourcePort)
        return !forwarding.backends.contains(backend) && (transport != .tcp || connection.isHalfOpen)
    }

    /// Finds them and makes the kernel forget them.
    /// - Returns: how many there were.
    package func forget(_ tracking: ConnectionTracking) throws(NetlinkError) -> Int {
        var count = 0
        for family in Set(table.entries.keys.map(\.address.family)) {
            for transport in Set(table.entries.keys.map(\.transportProtocol)) {
                let filter = ConnectionFilter(transportProtocol: transport.rawValue)
                count += try tracking.forget(
                    try tracking.connections(filter, family: family).filter(contains))
            }
        }
        return count
    }
}
