import Netlink

/// An nftables table of ours that stays as it is from its making to its end.
public struct FixedTable: Sendable {
    /// A base chain with its rules.
    package struct Chain: Sendable {
        var name: String
        var hook: ChainHook
        var rules: [[Expression]]

        package init(_ name: String, _ hook: ChainHook, rules: [[Expression]]) {
            self.name = name
            self.hook = hook
            self.rules = rules
        }
    }

    /// What can be seen of a table in the kernel. Shell: `nft list table ip NAME`.
    package struct Picture: Sendable, Hashable {
        var comment: String
        var chains: Set<String>
        var ruleCount: Int

        package init(comment: String, chains: Set<String>, ruleCount: Int) {
            self.comment = comment
            self.chains = chains
            self.ruleCount = ruleCount
        }

        /// Of the table in the socket's network namespace; nil when there is none.
        package init?(of table: TableName, _ socket: NftablesSocket) throws(NetlinkError) {
            guard let comment = try socket.comment(of: table) else { return nil }
            self.comment = comment
            chains = Set(try socket.chains(of: table))
            ruleCount = try socket.ruleCount(of: table)
        }
    }

    /// The name, which nobody else uses.
    public let name: TableName
    private let comment: String
    private let chains: [Chain]

    package init(_ name: TableName, comment: String, chains: [Chain]) {
        self.name = name
        self.comment = comment
        self.chains = chains
    }

    /// What is seen of it while nobody else has changed it.
    package var picture: Picture {
        Picture(
            comment: comment, chains: Set(chains.map(\.name)),
            ruleCount: chains.map(\.rules.count).reduce(0, +))
    }

    /// Which of these are not what they should be, if that is what is seen of them.
    package static func damaged(_ tables: [FixedTable], found: [TableName: Picture]) -> [FixedTable] {
        tables.filter { found[$0.name] != $0.picture }
    }

    /// Puts the table into force, in place of an older one.
    package func establish(_ socket: NftablesSocket) throws(NetlinkError) {
        var transaction = NftablesTransaction(name)
        // Deleting a table that is not there would be an error.
        transaction.addTable()
        transaction.deleteTable()
        transaction.addTable(comment: comment)
        for chain in chains {
            transaction.addChain(chain.name, hook: chain.hook)
            for rule in chain.rules { transaction.addRule(to: chain.name, rule) }
        }
        try socket.commit(transaction)
    }

    /// Takes the table away.
    package func remove(_ socket: NftablesSocket) throws(NetlinkError) {
        var transaction = NftablesTransaction(name)
        transaction.addTable()
        transaction.deleteTable()
        try socket.commit(transaction)
    }
}
