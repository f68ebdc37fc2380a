import Netlink

/// Which chains the table needs besides those that are always there, and the operations that lead from one state
/// of the table to another. A pure value: what it returns is sent to the kernel, or played in a model of it.
package struct NftablesProgram: Sendable {
    package let form: NftablesForm
    /// The chains that entries share, also those that none uses any more. These stay until a proxy takes the table over:
    /// to make one again, the kernel would look at every endpoint there is, which its rule may look up.
    private var shared: Set<SharedChain> = []
    /// How many ranges of sources have each prefix length.
    private var sourceLengths: [Int: Int] = [:]

    package init(_ form: NftablesForm) {
        self.form = form
    }

    /// Makes the table anew, whatever is there, with these entries.
    package mutating func replace(by table: ForwardingTable) -> [NftablesOperation] {
        count(table)
        var operations: [NftablesOperation] = [
            // Deleting what is not there would be an error.
            .addTable(comment: nil), .deleteTable, .addTable(comment: form.comment),
        ]
        operations += frame
        operations += form.elements(of: table).sorted { $0.key < $1.key }
            .filter { !$0.value.isEmpty }.map { .addElements(set: $0.key, $0.value) }
        return operations
    }

    /// Writes rules and fixed elements again around the entries that are there. Entries stay, so no new connection
    /// meets a gap, and clients keep the endpoints that they had.
    /// - Parameter chains: the names of the chains that are there.
    package mutating func adopt(_ table: ForwardingTable, chains: [String]) -> [NftablesOperation] {
        count(table)
        let wanted = Set(form.chains.map(\.name) + shared.map(\.name))
        let strangers = chains.filter { !wanted.contains($0) }
        var operations: [NftablesOperation] = [.addTable(comment: form.comment)]
        operations += frame
        operations += strangers.map { .flushChain($0) }
        operations += strangers.map { .deleteChain($0) }
        operations.append(.flushSet(NftablesForm.nodeLocal))
        let nodeLocal = form.own(form.configuration.nodeLocalAddresses)
        if !nodeLocal.isEmpty {
            operations.append(
                .addElements(set: NftablesForm.nodeLocal, nodeLocal.map { SetElement($0.bytes) }))
        }
        return operations
    }

    /// Changes entries.
    /// - Parameter clients: keys in `affinity` that go with them: ``NftablesForm/clients(_:_:)``.
    package mutating func apply(
        _ changes: TableChanges, forgetting clients: [[UInt8]] = []
    ) -> [NftablesOperation] {
        let (oldShared, oldLengths) = (shared, Set(sourceLengths.keys))
        for (address, change) in changes.entries where address.address.family == form.family {
            for (forwarding, difference) in [(change.old, -1), (change.new, 1)] {
                guard let forwarding else { continue }
                count(address, forwarding, difference)
            }
        }
        let elements = ElementOperations(changes, form.family)
        var operations: [NftablesOperation] = []
        for chain in shared.subtracting(oldShared).sorted() {
            operations += add(form.chain(chain))
        }
        // Who may come is known before, and forgotten after, who may not come is.
        if Set(sourceLengths.keys) != oldLengths {
            operations += rewrite(form.checkSourceChain(sourceLengths.keys))
        }
        operations += elements.deletions + elements.additions
        if !clients.isEmpty { operations.append(.deleteElements(set: NftablesForm.affinity, clients)) }
        return operations
    }

    /// Removes the table. Nothing of it is left in the kernel.
    package mutating func remove() -> [NftablesOperation] {
        (shared, sourceLengths) = ([], [:])
        return [.addTable(comment: nil), .deleteTable]
    }

    // MARK: Counting

    private mutating func count(_ table: ForwardingTable) {
        (shared, sourceLengths) = ([], [:])
        for (address, forwarding) in table.entries where address.address.family == form.family {
            count(address, forwarding, 1)
        }
    }

    /// Counts what an entry uses.
    private mutating func count(
        _ address: ServiceAddress, _ forwarding: Forwarding, _ difference: Int
    ) {
        if difference > 0 { shared.formUnion(SharedChain.chains(of: address, forwarding)) }
        for source in forwarding.sources ?? [] {
            Self.add(difference, to: &sourceLengths[source.prefixLength])
        }
    }

    /// A number that becomes 0 becomes nil.
    private static func add(_ difference: Int, to number: inout Int?) {
        let sum = (number ?? 0) + difference
        number = sum == 0 ? nil : sum
    }

    // MARK: Rules

    /// All sets and chains with their rules. Chains lead to each other, so all exist before any has rules.
    private var frame: [NftablesOperation] {
        var operations = form.sets.map(NftablesOperation.addSet)
        let fixed = form.chains.map {
            $0.name == NftablesForm.checkSource ? form.checkSourceChain(sourceLengths.keys) : $0
        }
        let chains = fixed + shared.sorted().map(form.chain)
        for chain in chains {
            operations += [.addChain(chain.name, chain.hook), .flushChain(chain.name)]
        }
        for chain in chains { operations += rules(of: chain) }
        return operations
    }

    private func add(_ chain: NftablesForm.Chain) -> [NftablesOperation] {
        [.addChain(chain.name, chain.hook)] + rules(of: chain)
    }

    private func rewrite(_ chain: NftablesForm.Chain) -> [NftablesOperation] {
        [.flushChain(chain.name)] + rules(of: chain)
    }

    private func rules(of chain: NftablesForm.Chain) -> [NftablesOperation] {
        chain.rules.enumerated().map { index, rule in
            .addRule(chain: chain.name, rule, comment: chain.comments[index])
        }
    }
}
