import CLinux
import Glibc
import Synchronization

/// The nftables rules of one network namespace, over nfnetlink.
public struct NftablesSocket: Sendable {
    let socket: NetlinkSocket
    private let commits: Commits

    private final class Commits: Sendable {
        let count = Atomic<UInt32>(0)
    }

    /// How many transactions were put into force through this socket.
    var commitCount: UInt32 { commits.count.load(ordering: .relaxed) }

    /// Opens a socket in the calling thread's network namespace.
    public init() throws(NetlinkError) {
        socket = try NetlinkSocket(.netfilter)
        commits = Commits()
    }

    /// Opens a socket in `namespace`.
    public init(in namespace: NetworkNamespace) async throws {
        self = try await namespace.run { try NftablesSocket() }
    }

    /// Puts a transaction into force, whole or not at all. When this returns, packets see the new rules.
    /// - Throws: `NetlinkError` that names the first change which the kernel refused.
    public func commit(_ transaction: NftablesTransaction) throws(NetlinkError) {
        if transaction.isEmpty { return }
        let words = { "commit \(transaction.size) bytes to nftables table \(transaction.table)" }
        let answers = try socket.sendAll(words(), transaction.finished())
        for answer in answers {
            if let error = answer.error(transaction.words(for: answer.sequence)) { throw error }
        }
        guard answers.contains(where: { $0.sequence == transaction.lastSequence }) else {
            throw NetlinkError(.unanswered, request: words())
        }
        commits.count.wrappingAdd(1, ordering: .relaxed)
    }

    /// The generation of the rules: it grows with every transaction of anybody's. Shell: `nft monitor`.
    public func generation() throws(NetlinkError) -> UInt32 {
        let answers = try socket.query("ask for the generation of the rules", type: Self.type(NFT_MSG_GETGEN))
        {
            Self.header(&$0, family: 0)
        }
        guard let value: UInt32 = answers.first?.attributes(afterHeaderOf: 4)[NFTA_GEN_ID]?.bigEndian() else {
            throw NetlinkError(.malformedAnswer, request: "ask for the generation of the rules")
        }
        return value
    }

    /// Waits until transactions that are being put into force, by anybody, are in force and have been told of.
    ///
    /// The kernel holds a lock for each transaction, from its first message to its last notice. One that must fail
    /// waits for that lock like any other, and then changes nothing: the generation stays as it is, and no notice is
    /// written. Shell: `nft delete chain ip swiftlet-barrier none`, which is told that there is no such thing.
    package func waitForTransactions() throws(NetlinkError) {
        // In a table that nobody has, so that there is nothing which this could delete.
        var transaction = NftablesTransaction(TableName(.ipv4, "swiftlet-barrier"))
        transaction.deleteChain("none")
        do {
            try commit(transaction)
        } catch {
            guard error.isNotThere else { throw error }
        }
    }

    /// A table's comment: nil when there is no such table, empty when it has none.
    /// Shell: `nft list table ip NAME`.
    public func comment(of table: TableName) throws(NetlinkError) -> String? {
        do {
            let answers = try socket.query("show table \(table)", type: Self.type(NFT_MSG_GETTABLE)) {
                Self.header(&$0, family: table.family.rawValue)
                $0.attribute(NFTA_TABLE_NAME, table.name)
            }
            guard let answer = answers.first else { return nil }
            let data = answer.attributes(afterHeaderOf: 4)[NFTA_TABLE_USERDATA]?.payload
            return data.flatMap { UserData.comment(in: $0) } ?? ""
        } catch {
            if error.isNotThere { return nil }
            throw error
        }
    }

    /// The names of a table's chains. Shell: `nft list chains ip`.
    public func chains(of table: TableName) throws(NetlinkError) -> [String] {
        try socket.dump("list the chains of table \(table)", type: Self.type(NFT_MSG_GETCHAIN)) {
            Self.header(&$0, family: table.family.rawValue)
        }
        .compactMap { message in
            let attributes = message.attributes(afterHeaderOf: 4)
            guard attributes[NFTA_CHAIN_TABLE]?.string == table.name else { return nil }
            return attributes[NFTA_CHAIN_NAME]?.string
        }
    }

    /// The chains of all tables, whoever has made them, that packets meet by themselves. Shell: `nft list chains`.
    public func baseChains() throws(NetlinkError) -> [BaseChain] {
        try socket.dump("list all chains", type: Self.type(NFT_MSG_GETCHAIN)) {
            Self.header(&$0, family: UInt8(AF_UNSPEC))
        }
        .compactMap { BaseChain($0) }
    }

    /// How many rules the chains of a table have. Shell: `nft list table ip NAME`.
    public func ruleCount(of table: TableName) throws(NetlinkError) -> Int {
        try socket.dump("list the rules of table \(table)", type: Self.type(NFT_MSG_GETRULE)) {
            Self.header(&$0, family: table.family.rawValue)
            $0.attribute(NFTA_RULE_TABLE, table.name)
        }
        .filter { $0.attributes(afterHeaderOf: 4)[NFTA_RULE_TABLE]?.string == table.name }.count
    }

    /// The names of a table's sets and maps. Shell: `nft list sets ip`.
    public func sets(of table: TableName) throws(NetlinkError) -> [String] {
        try socket.dump("list the sets of table \(table)", type: Self.type(NFT_MSG_GETSET)) {
            Self.header(&$0, family: table.family.rawValue)
            $0.attribute(NFTA_SET_TABLE, table.name)
        }
        .compactMap { $0.attributes(afterHeaderOf: 4)[NFTA_SET_NAME]?.string }
    }

    /// All elements of a set or a map. Shell: `nft list set ip TABLE NAME`.
    ///
    /// The kernel tells of many elements part by part. When it is giving the set more room meanwhile, which it does
    /// beside and some time after many were added, parts repeat or leave out elements, and nothing says so.
    /// - Parameter isSteady: nobody changes the set meanwhile, packets neither, so that what comes in several parts
    ///   can be read until it comes the same twice.
    /// - Throws: `NetlinkError`; with `.interrupted` when a set that was said to be steady came differently each time.
    public func elements(
        of set: String, in table: TableName, isSteady: Bool = true
    ) throws(NetlinkError) -> [SetElement] {
        var last: Set<SetElement>?
        for _ in 0..<16 {
            let parts = try parts(of: set, in: table)
            let elements = parts.flatMap(Self.elements)
            guard isSteady, parts.count > 1 else { return elements }
            let found = Set(elements)
            if found == last { return Array(found) }
            last = found
        }
        throw NetlinkError(.interrupted, request: "list the elements of \(set) in table \(table)")
    }

    private func parts(of set: String, in table: TableName) throws(NetlinkError) -> [Message] {
        try socket.dump("list the elements of \(set) in table \(table)", type: Self.type(NFT_MSG_GETSETELEM))
        {
            Self.header(&$0, family: table.family.rawValue)
            $0.attribute(NFTA_SET_ELEM_LIST_TABLE, table.name)
            $0.attribute(NFTA_SET_ELEM_LIST_SET, set)
        }
    }

    package static func elements(_ message: Message) -> [SetElement] {
        guard let list = message.attributes(afterHeaderOf: 4)[NFTA_SET_ELEM_LIST_ELEMENTS] else { return [] }
        return list.attributes.compactMap { item -> SetElement? in
            let attributes = item.attributes
            guard let key = attributes[NFTA_SET_ELEM_KEY]?.attributes[NFTA_DATA_VALUE]?.payload else {
                return nil
            }
            let data = attributes[NFTA_SET_ELEM_DATA]?.attributes
            if let bytes = data?[NFTA_DATA_VALUE]?.payload {
                return SetElement(Array(key), .data(Array(bytes)))
            }
            if let verdict = data?[NFTA_DATA_VERDICT].flatMap({ Verdict($0.attributes) }) {
                return SetElement(Array(key), .verdict(verdict))
            }
            return SetElement(Array(key))
        }
    }

    private static func type(_ message: nf_tables_msg_types) -> UInt16 {
        UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(truncatingIfNeeded: message.rawValue)
    }

    /// `struct nfgenmsg`.
    private static func header(_ writer: inout MessageWriter, family: UInt8) {
        writer.raw(family)
        writer.raw(UInt8(NFNETLINK_V0))
        writer.raw(UInt16(0))
    }
}
