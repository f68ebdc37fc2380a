import Netlink

/// Brings the forwarding table into the kernel, one family's part of it, and keeps count of what is there.
///
/// Every call is one transaction: packets see the old table or the new one, nothing between.
package struct NftablesBackEnd: Sendable {
    private let form: NftablesForm
    private let socket: NftablesSocket
    /// How many entries pick among so many endpoints; the chains exist for these.
    private var pickUses: [Int: Int] = [:]

    package init(_ form: NftablesForm, _ socket: NftablesSocket) {
        self.form = form
        self.socket = socket
    }

    /// Makes the table, or takes over the one that is there, and returns what it holds.
    ///
    /// The rules are written again in either case, which repairs what somebody may have done to them. Entries
    /// stay, so no new connection meets a gap; established ones live in connection tracking anyway.
    package mutating func adopt() throws(NetlinkError) -> ForwardingTable {
        if let found = try readTable() {
            do {
                try write(found)
                return found
            } catch {
                // The table has our comment and not our form: fall through and replace it.
                if error.refusal == nil { throw error }
            }
        }
        var transaction = NftablesTransaction(form.table)
        transaction.addTable()
        transaction.deleteTable()
        transaction.addTable(comment: form.comment)
        addFrame(to: &transaction, picks: [])
        addNodeLocalAddresses(to: &transaction)
        try socket.commit(transaction)
        pickUses = [:]
        return ForwardingTable()
    }

    /// The table in the kernel; nil when there is none, or none that can be taken over.
    private func readTable() throws(NetlinkError) -> ForwardingTable? {
        guard try socket.comment(of: form.table) == form.comment else { return nil }
        let names = try socket.sets(of: form.table)
        guard Set(names) == Set(form.sets.map(\.name)) else { return nil }
        var elements: [String: [SetElement]] = [:]
        for name in names { elements[name] = try socket.elements(of: name, in: form.table) }
        return form.table(from: elements)
    }

    /// Writes rules and fixed elements again around the entries that are there.
    private mutating func write(_ found: ForwardingTable) throws(NetlinkError) {
        var uses: [Int: Int] = [:]
        for forwarding in found.entries.values where !forwarding.backends.isEmpty {
            uses[forwarding.backends.count, default: 0] += 1
        }
        let wanted = Set(form.chains.map(\.name) + uses.keys.map(NftablesForm.pick))
        let strangers = try socket.chains(of: form.table).filter { !wanted.contains($0) }
        var transaction = NftablesTransaction(form.table)
        transaction.addTable(comment: form.comment)
        addFrame(to: &transaction, picks: uses.keys.sorted())
        for chain in strangers {
            transaction.flushChain(chain)
        }
        for chain in strangers {
            transaction.deleteChain(chain)
        }
        transaction.flushSet(NftablesForm.nodeLocal)
        addNodeLocalAddresses(to: &transaction)
        try socket.commit(transaction)
        pickUses = uses
    }

    private func addFrame(to transaction: inout NftablesTransaction, picks: [Int]) {
        for set in form.sets { transaction.addSet(set) }
        // Chains lead to each other, so all exist before any has rules.
        let chains = form.chains + picks.map(form.pickChain)
        for chain in chains {
            transaction.addChain(chain.name, hook: chain.hook)
            transaction.flushChain(chain.name)
        }
        for chain in chains { addRules(of: chain, to: &transaction) }
    }

    private func addNodeLocalAddresses(to transaction: inout NftablesTransaction) {
        transaction.addElements(
            to: NftablesForm.nodeLocal,
            form.own(form.configuration.nodeLocalAddresses).map { SetElement($0.bytes) })
    }

    private func addRules(of chain: NftablesForm.Chain, to transaction: inout NftablesTransaction) {
        for rule in chain.rules { transaction.addRule(to: chain.name, rule) }
    }

    /// Brings changes into the kernel, all or none of them.
    package mutating func apply(_ changes: TableChanges) throws(NetlinkError) {
        var uses = pickUses
        let transaction = transaction(for: changes, &uses)
        try socket.commit(transaction)
        pickUses = uses
    }

    private func transaction(
        for changes: TableChanges, _ uses: inout [Int: Int]
    ) -> NftablesTransaction {
        var transaction = NftablesTransaction(form.table)
        var operations = ElementOperations()
        var touchedCounts: Set<Int> = []
        for (address, change) in changes.entries where address.address.family == form.family {
            operations.add(address, change)
            let (old, new) = (change.old?.backends.count ?? 0, change.new?.backends.count ?? 0)
            guard old != new else { continue }
            if old > 0 {
                uses[old, default: 0] -= 1
                touchedCounts.insert(old)
            }
            if new > 0 {
                uses[new, default: 0] += 1
                touchedCounts.insert(new)
            }
        }
        let counts = touchedCounts.sorted()
        for count in counts where uses[count, default: 0] > 0 && pickUses[count, default: 0] == 0 {
            let chain = form.pickChain(count)
            transaction.addChain(chain.name)
            addRules(of: chain, to: &transaction)
        }
        transaction.deleteElements(from: NftablesForm.services, operations.removedServices)
        transaction.deleteElements(from: NftablesForm.endpoints, operations.removedEndpoints)
        transaction.addElements(to: NftablesForm.endpoints, operations.addedEndpoints)
        transaction.addElements(to: NftablesForm.services, operations.addedServices)
        transaction.deleteElements(
            from: NftablesForm.serviceAddresses, form.own(changes.removedServiceAddresses).map(\.bytes))
        transaction.addElements(
            to: NftablesForm.serviceAddresses,
            form.own(changes.addedServiceAddresses).map { SetElement($0.bytes) })
        transaction.deleteElements(
            from: NftablesForm.hairpins, form.own(changes.removedHairpinAddresses).map { $0.bytes + $0.bytes }
        )
        transaction.addElements(
            to: NftablesForm.hairpins,
            form.own(changes.addedHairpinAddresses).map { SetElement($0.bytes + $0.bytes) })
        for count in counts where uses[count, default: 0] <= 0 {
            uses[count] = nil
            if pickUses[count, default: 0] > 0 {
                transaction.flushChain(NftablesForm.pick(count))
                transaction.deleteChain(NftablesForm.pick(count))
            }
        }
        return transaction
    }

    /// Removes the table. Nothing of it is left in the kernel.
    package mutating func cleanUp() throws(NetlinkError) {
        var transaction = NftablesTransaction(form.table)
        transaction.addTable()
        transaction.deleteTable()
        try socket.commit(transaction)
        pickUses = [:]
    }
}

/// The elements that come and go with a change. What goes is taken out before anything is put in, so an element
/// that changes its value does both.
package struct ElementOperations: Sendable, Hashable {
    package private(set) var removedServices: [[UInt8]] = []
    package private(set) var addedServices: [SetElement] = []
    package private(set) var removedEndpoints: [[UInt8]] = []
    package private(set) var addedEndpoints: [SetElement] = []

    package init() {}

    /// Adds what one entry's change needs: only slots and verdicts that differ.
    package mutating func add(_ address: ServiceAddress, _ change: TableChanges.Entry) {
        let oldVerdict = change.old.map(NftablesForm.verdict)
        let newVerdict = change.new.map(NftablesForm.verdict)
        if oldVerdict != newVerdict {
            if oldVerdict != nil { removedServices.append(NftablesForm.key(address)) }
            if let newVerdict {
                addedServices.append(SetElement(NftablesForm.key(address), .verdict(newVerdict)))
            }
        }
        let old = change.old?.backends ?? []
        let new = change.new?.backends ?? []
        for slot in 0..<max(old.count, new.count) {
            let before = slot < old.count ? old[slot] : nil
            let after = slot < new.count ? new[slot] : nil
            guard before != after else { continue }
            let key = NftablesForm.key(address, slot: slot)
            if before != nil { removedEndpoints.append(key) }
            if let after { addedEndpoints.append(SetElement(key, .data(NftablesForm.data(after)))) }
        }
    }
}
