import Netlink

/// The connections that must not go on after a change: UDP flows to endpoints that left, and TCP connections to
/// them that wait for the first answer. Connection tracking would hold them to their endpoint for as long as the
/// client tries; forgotten, their next packet is a new connection's first and meets the new table. Established
/// TCP connections stay: the endpoint may serve them to their end.
///
/// Of an endpoint whose pod is gone none goes on. A client that uses the port of a connection again which was being
/// closed would be led to the dead pod's address for up to two minutes; and one that still waits there is told that
/// the connection is no more by its next packet.
///
/// So must UDP flows that began before there was anything to lead them to: connection tracking would leave them
/// untranslated for as long as the client sends.
package struct StaleConnections: Sendable, Hashable {
    /// Where clients sent to, and where they must not go any more.
    package private(set) var removed: [ServiceAddress: Set<Backend>] = [:]
    /// Where clients may have sent to before there was an endpoint.
    package private(set) var begun: Set<ServiceAddress> = []
    /// Where clients sent to, and which endpoints they had that they must not be led to again.
    package private(set) var clients: [ServiceAddress: Set<Backend>] = [:]
    /// Where clients sent to, and the addresses of endpoints whose pods are gone.
    package private(set) var departed: [ServiceAddress: Set<IPAddress>] = [:]
    /// Every address of the node: the addresses that the node's ports have.
    package var nodeAddresses: Set<IPAddress> = []

    package init() {}

    /// What the changes make stale.
    package init(_ changes: TableChanges) {
        departed = changes.departed
        for (address, change) in changes.entries {
            let backends = change.removedBackends
            if !backends.isEmpty { removed[address] = backends }
            if Self.begins(address, change) { begun.insert(address) }
            guard let old = change.old, old.affinity != nil else { continue }
            // Which side a client is on decides which endpoints it may have: when that changes, all begin anew.
            let isRegrouped = (old.outside == nil) != (change.new?.outside == nil)
            // Without affinity nobody would notice which endpoints leave, until it is there again.
            let isOver = change.new?.affinity == nil
            let forgotten =
                isRegrouped || isOver ? Set(old.backends) : backends.union(change.backendsGoneOutside)
            if !forgotten.isEmpty { clients[address] = forgotten }
        }
    }

    private static func begins(_ address: ServiceAddress, _ change: TableChanges.Entry) -> Bool {
        address.transportProtocol == .udp && change.old?.backends.isEmpty != false
            && change.new?.backends.isEmpty == false
    }

    /// Whether nothing is stale.
    package var isEmpty: Bool {
        removed.isEmpty && begun.isEmpty && clients.isEmpty && departed.isEmpty
    }

    /// Adds what another change made stale. What a later change brought back is not stale any more.
    package mutating func add(_ changes: TableChanges) {
        let later = StaleConnections(changes)
        for (address, change) in changes.entries {
            let remaining = removed[address, default: []]
                .subtracting(change.new?.backends ?? [])
                .union(change.removedBackends)
            removed[address] = remaining.isEmpty ? nil : remaining
            departed[address]?.subtract(change.new?.backends.map(\.address) ?? [])
        }
        departed.merge(later.departed) { $0.union($1) }
        begun.formUnion(later.begun)
        clients.merge(later.clients) { $0.union($1) }
    }

    /// Whether this connection must not go on.
    package func contains(_ connection: TrackedConnection) -> Bool {
        guard let address = ServiceAddress(connection) else { return false }
        let backend = Backend(connection.reply.source, connection.reply.sourcePort)
        for entry in [address, address.onNode] where departed[entry]?.contains(backend.address) == true {
            return true
        }
        if begun.contains(address)
            || nodeAddresses.contains(address.address) && begun.contains(address.onNode)
        {
            return address.transportProtocol == .udp && !connection.isTranslated
        }
        guard
            removed[address]?.contains(backend) == true || removed[address.onNode]?.contains(backend) == true
        else { return false }
        return !connection.isUnderWay
    }

    /// The questions to the kernel by which they are found: one for each endpoint's address while these are few, then
    /// one for each protocol, since each walks the whole table. Of TCP only what was not answered is copied.
    package var questions: Set<ConnectionFilter> {
        var narrow: Set<ConnectionFilter> = []
        var wide: Set<ConnectionFilter> = []
        for (address, backends) in removed {
            let question = ConnectionFilter(unfinished: address.transportProtocol)
            wide.insert(question)
            guard narrow.count <= 4 else { continue }
            for backend in backends {
                var question = question
                question.replySource = backend.address
                narrow.insert(question)
            }
        }
        for address in begun {
            var question = ConnectionFilter(unfinished: address.transportProtocol)
            wide.insert(question)
            question.originalDestination = address.isNodePort ? nil : address.address
            narrow.insert(question)
        }
        for (address, endpoints) in departed {
            let question = ConnectionFilter(transportProtocol: address.transportProtocol.rawValue)
            wide.insert(question)
            guard narrow.count <= 4 else { continue }
            for endpoint in endpoints {
                var question = question
                question.replySource = endpoint
                narrow.insert(question)
            }
        }
        return narrow.count <= 4 ? narrow : wide
    }

    /// The families of the connections.
    package var families: Set<IPAddress.Family> {
        Set((Set(removed.keys).union(departed.keys).union(begun)).map(\.address.family))
    }

    /// Finds those of a family and makes the kernel forget them.
    /// - Returns: how many there were.
    package func forget(
        _ tracking: ConnectionTracking, family: IPAddress.Family = .ipv4
    ) throws(NetlinkError) -> Int {
        var count = 0
        for question in questions {
            if let address = question.originalDestination ?? question.replySource, address.family != family {
                continue
            }
            count += try tracking.forget(
                try tracking.connections(question, family: family).filter(contains))
        }
        return count
    }
}

extension ServiceAddress {
    /// Where a connection's client sent to; nil for protocols that Services do not have.
    fileprivate init?(_ connection: TrackedConnection) {
        guard let transport = TransportProtocol(rawValue: connection.original.transportProtocol) else {
            return nil
        }
        self.init(connection.original.destination, transport, connection.original.destinationPort)
    }
}

extension ConnectionFilter {
    /// What may have to be forgotten of a protocol's connections: of UDP anything, of the others what was not answered.
    fileprivate init(unfinished transport: TransportProtocol) {
        self.init(transportProtocol: transport.rawValue, isAnswered: transport == .udp ? nil : false)
    }
}

extension TrackedConnection {
    /// Whether it is a connection that was answered, which its endpoint may serve to its end. Of UDP nobody knows.
    fileprivate var isUnderWay: Bool {
        switch TransportProtocol(rawValue: original.transportProtocol) {
        case .tcp: !isHalfOpen
        case .sctp: isAnswered
        case .udp, nil: false
        }
    }
}

/// What connection tracking holds that contradicts the table, found once at start and after somebody else has changed
/// the tables: a proxy that was away has not seen which endpoints left.
package struct ContradictingConnections: Sendable {
    package let table: ForwardingTable
    /// Every address of the node.
    package let nodeAddresses: Set<IPAddress>

    package init(_ table: ForwardingTable, nodeAddresses: Set<IPAddress>) {
        self.table = table
        self.nodeAddresses = nodeAddresses
    }

    /// Whether this connection goes where the table would not send it.
    package func contains(_ connection: TrackedConnection) -> Bool {
        guard let address = ServiceAddress(connection) else { return false }
        let own = nodeAddresses.contains(address.address) ? table.entries[address.onNode] : nil
        guard let forwarding = table.entries[address] ?? own else { return false }
        let backend = Backend(connection.reply.source, connection.reply.sourcePort)
        return !forwarding.backends.contains(backend) && !connection.isUnderWay
    }

    /// The families of the connections.
    package var families: Set<IPAddress.Family> { Set(table.entries.keys.map(\.address.family)) }

    /// Finds those of a family. The kernel walks its whole table for it, and meanwhile our table may change: what is
    /// found is to be asked again, of what is true then, before it is forgotten.
    package func find(
        _ tracking: ConnectionTracking, family: IPAddress.Family = .ipv4
    ) throws(NetlinkError) -> [TrackedConnection] {
        var found: [TrackedConnection] = []
        for transport in Set(table.entries.keys.map(\.transportProtocol)) {
            let filter = ConnectionFilter(unfinished: transport)
            found += try tracking.connections(filter, family: family).filter(contains)
        }
        return found
    }
}
