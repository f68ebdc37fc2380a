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
    package mutating func apply(_ changes: TableChanges) throws(NetlinkError) {
        try commit { $0.apply(changes) }
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

    /// Forgets which endpoints clients had at these entries, as far as they are not there any more. Until then such
    /// a client is led to another at each connection.
    /// - Returns: how many clients were forgotten.
    @discardableResult
    package func forgetClients(of removed: [ServiceAddress: Set<Backend>]) throws(NetlinkError) -> Int {
        guard !removed.isEmpty else { return 0 }
        let keys = try socket.elements(of: NftablesForm.affinity, in: form.table).compactMap { element in
            form.client(element).flatMap {
                removed[$0.entry]?.contains($0.backend) == true ? element.key : nil
            }
        }
        var forgotten = 0
        // One by one: an element whose time runs out meanwhile is not there any more, and would fail all others.
        for key in keys {
            do {
                try socket.commit(
                    NftablesTransaction(
                        form.table, [.deleteElements(set: NftablesForm.affinity, [key])]))
                forgotten += 1
            } catch {
                guard error.isNotThere else { throw error }
            }
        }
        return forgotten
    }
}

extension NftablesForm {
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
