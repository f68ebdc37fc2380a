import Netlink

/// Brings the forwarding table into the kernel, one family's part of it.
///
/// Every call is one transaction: packets see the old table or the new one, nothing between.
package struct NftablesBackEnd: Sendable {
    private let form: NftablesForm
    private let socket: NftablesSocket
    private var program: NftablesProgram

    package var table: TableName { form.table }
    package var family: IPAddress.Family { form.family }

    package init(_ form: NftablesForm, _ socket: NftablesSocket) {
        self.form = form
        self.socket = socket
        program = NftablesProgram(form)
    }

    /// Makes an empty table if there is none, or takes over the one that is there, and returns what it holds.
    ///
    /// The rules are written again, which repairs what somebody may have done to them.
    /// - Returns: nil when a table is there that cannot be taken over, of another form or damaged. It stays in
    ///   force until ``replace(by:)``.
    package mutating func adopt() throws(NetlinkError) -> ForwardingTable? {
        guard let comment = try socket.comment(of: form.table) else {
            try replace(by: ForwardingTable())
            return ForwardingTable()
        }
        guard comment == form.comment else { return nil }
        let names = try socket.sets(of: form.table)
        guard Set(names) == Set(form.sets.map(\.name)) else { return nil }
        var elements: [String: [SetElement]] = [:]
        for name in names where NftablesForm.holdsTable(name) {
            elements[name] = try socket.elements(of: name, in: form.table)
        }
        guard let found = form.table(from: elements) else { return nil }
        let chains = try socket.chains(of: form.table)
        do {
            try commit { $0.adopt(found, chains: chains) }
            // Whoever wrote the table may have ended before this was done.
            let stale = try clients { !(found.entries[$0]?.backends.contains($1) ?? false) }
            _ = try forget(stale[...])
            return found
        } catch {
            // The table has our comment and our sets, but they or the chains are not ours.
            if error.refusal == nil { throw error }
            return nil
        }
    }

    /// Makes the table anew with these entries, whatever is there.
    package mutating func replace(by table: ForwardingTable) throws(NetlinkError) {
        try commit { $0.replace(by: table) }
    }

    /// Brings changes into the kernel, all or none of them.
    ///
    /// Clients that stick to endpoints which leave are forgotten by the same transaction, and those that came to stick
    /// to them while it was made, right after it. Only packets that had met the old table already can make the kernel
    /// learn such a client later still: ``forgetClients(of:)``.
    package mutating func apply(_ changes: TableChanges) throws(NetlinkError) {
        let stale = StaleConnections(changes).clients.filter { $0.key.address.family == family }
        guard !stale.isEmpty else { return try commit { $0.apply(changes) } }
        let clients = try clients { stale[$0]?.contains($1) == true }
        do {
            try commit { $0.apply(changes, forgetting: clients) }
        } catch {
            // The time of one of them ran out meanwhile.
            guard error.isNotThere, !clients.isEmpty else { throw error }
            try commit { $0.apply(changes) }
        }
        try forgetClients(of: stale)
    }

    /// Removes the table. Nothing of it is left in the kernel.
    package mutating func cleanUp() throws(NetlinkError) {
        try commit { $0.remove() }
    }

    private mutating func commit(
        _ change: (inout NftablesProgram) -> [NftablesOperation]
    ) throws(NetlinkError) {
        var next = program
        let operations = change(&next)
        try socket.commit(NftablesTransaction(form.table, operations))
        program = next
    }

    /// Forgets which clients stick to endpoints at these entries that are not there any more.
    /// - Returns: how many clients were forgotten.
    @discardableResult
    package func forgetClients(of removed: [ServiceAddress: Set<Backend>]) throws(NetlinkError) -> Int {
        let removed = removed.filter { $0.key.address.family == family }
        guard !removed.isEmpty else { return 0 }
        return try forget(try clients { removed[$0]?.contains($1) == true }[...])
    }

    /// The keys in `affinity` of clients that stick to such endpoints.
    private func clients(
        _ isStale: (ServiceAddress, Backend) -> Bool
    ) throws(NetlinkError) -> [[UInt8]] {
        form.clients(try socket.elements(of: NftablesForm.affinity, in: form.table, isSteady: false), isStale)
    }

    /// An element whose time runs out meanwhile is not there any more, and fails those that are deleted with it: they
    /// are tried again in two halves.
    private func forget(_ clients: ArraySlice<[UInt8]>) throws(NetlinkError) -> Int {
        guard !clients.isEmpty else { return 0 }
        do {
            try socket.commit(
                NftablesTransaction(
                    form.table, [.deleteElements(set: NftablesForm.affinity, Array(clients))]))
            return clients.count
        } catch {
            guard error.isNotThere else { throw error }
            guard clients.count > 1 else { return 0 }
            let middle = clients.startIndex + clients.count / 2
            return try forget(clients[..<middle]) + forget(clients[middle...])
        }
    }
}

extension NftablesForm {
    /// The keys among elements of `affinity` of clients that stick to these endpoints of entries.
    package func clients(
        _ learnt: [SetElement], _ isStale: (ServiceAddress, Backend) -> Bool
    ) -> [[UInt8]] {
        learnt.compactMap { element in
            client(element).flatMap { isStale($0.entry, $0.backend) ? element.key : nil }
        }
    }

    /// What an element of `affinity` says: a client of this entry was led to this backend.
    package func client(_ element: SetElement) -> (
        client: IPAddress, entry: ServiceAddress, backend: Backend
    )? {
        var key = KeyReader(element.key, family)
        guard let client = key.address(), let entry = key.entry(), case .data(let bytes) = element.value
        else { return nil }
        var data = KeyReader(bytes, family)
        return data.backend().map { (client, entry, $0) }
    }
}
