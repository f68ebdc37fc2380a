import CLinux
import Glibc

/// Changes to one nftables table that happen all together or not at all.
///
/// The messages are written as the changes are named, so a transaction costs little more than their bytes.
/// Shell: `nft --file FILE`, where FILE holds the lines which the functions below show.
public struct NftablesTransaction: Sendable {
    /// The table that is changed.
    public let table: TableName
    private var writer: MessageWriter
    /// What each message asks, by its number after the first.
    private var words: [Words] = []
    private var lastMessage = 0
    private var nextSet: UInt32 = 1

    /// What a message asks; put into a sentence only when something goes wrong.
    private struct Words: Sendable {
        let verb: StaticString
        let object: String
    }

    /// Begins a transaction.
    /// - Parameter generation: if given, the transaction fails with ERESTART when anybody has changed any table
    ///   since this generation of the rules (see `NftablesSocket.generation()`).
    public init(_ table: TableName, generation: UInt32? = nil) {
        self.table = table
        writer = MessageWriter(reservingCapacity: 1024)
        message(
            UInt16(NFNL_MSG_BATCH_BEGIN), 0, family: 0, resource: UInt16(NFNL_SUBSYS_NFTABLES),
            Words(verb: "begin", object: "")
        ) { writer in
            if let generation { writer.attribute(NFNL_BATCH_GENID, bigEndian: generation) }
        }
    }

    /// Whether nothing has been asked yet.
    public var isEmpty: Bool { words.count == 1 }
    /// The size in bytes.
    public var size: Int { writer.bytes.count }

    private mutating func message(
        _ type: UInt16, _ flags: Int32, family: UInt8, resource: UInt16, _ asked: Words,
        _ body: (inout MessageWriter) -> Void
    ) {
        lastMessage = writer.bytes.count
        writer.message(
            type: type, flags: UInt16(truncatingIfNeeded: NLM_F_REQUEST | flags),
            sequence: NetlinkSocket.firstOfMany + UInt32(truncatingIfNeeded: words.count)
        ) { writer in
            // struct nfgenmsg
            writer.raw(family)
            writer.raw(UInt8(NFNETLINK_V0))
            writer.raw(resource.bigEndian)
            body(&writer)
        }
        words.append(asked)
    }

    private mutating func change(
        _ type: nf_tables_msg_types, _ flags: Int32 = 0, _ verb: StaticString, _ object: String,
        _ body: (inout MessageWriter) -> Void
    ) {
        message(
            UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(truncatingIfNeeded: type.rawValue), flags,
            family: table.family.rawValue, resource: 0, Words(verb: verb, object: object), body)
    }

    /// `add table ip NAME { comment "COMMENT" }`. A table that is there stays as it is.
    public mutating func addTable(comment: String? = nil) {
        let name = table.name
        change(NFT_MSG_NEWTABLE, NLM_F_CREATE, "add table", "") { writer in
            writer.attribute(NFTA_TABLE_NAME, name)
            if let comment { writer.attribute(NFTA_TABLE_USERDATA, UserData.comment(comment)) }
        }
    }

    /// `delete table ip NAME`, with all that is in it.
    public mutating func deleteTable() {
        let name = table.name
        change(NFT_MSG_DELTABLE, 0, "delete table", "") { $0.attribute(NFTA_TABLE_NAME, name) }
    }

    /// `add chain ip TABLE NAME { type nat hook prerouting priority dstnat; }`, or without hook.
    public mutating func addChain(_ name: String, hook: ChainHook? = nil) {
        let table = table.name
        change(NFT_MSG_NEWCHAIN, NLM_F_CREATE, "add chain", name) { writer in
            writer.attribute(NFTA_CHAIN_TABLE, table)
            writer.attribute(NFTA_CHAIN_NAME, name)
            guard let hook else { return }
            writer.nest(NFTA_CHAIN_HOOK) { writer in
                writer.attribute(NFTA_HOOK_HOOKNUM, bigEndian: hook.point.rawValue)
                writer.attribute(NFTA_HOOK_PRIORITY, bigEndian: hook.priority)
            }
            writer.attribute(NFTA_CHAIN_TYPE, hook.kind.rawValue)
            writer.attribute(NFTA_CHAIN_POLICY, bigEndian: UInt32(1))  // accept
        }
    }

    /// `delete chain ip TABLE NAME`. Nothing may lead to it any more.
    public mutating func deleteChain(_ name: String) {
        let table = table.name
        change(NFT_MSG_DELCHAIN, 0, "delete chain", name) { writer in
            writer.attribute(NFTA_CHAIN_TABLE, table)
            writer.attribute(NFTA_CHAIN_NAME, name)
        }
    }

    /// `add rule ip TABLE CHAIN EXPRESSIONS comment "COMMENT"`, at the end of the chain.
    public mutating func addRule(to chain: String, _ expressions: [Expression], comment: String? = nil) {
        let table = table.name
        change(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "add rule to chain", chain) { writer in
            writer.attribute(NFTA_RULE_TABLE, table)
            writer.attribute(NFTA_RULE_CHAIN, chain)
            writer.nest(NFTA_RULE_EXPRESSIONS) { writer in
                for expression in expressions { expression.write(to: &writer) }
            }
            if let comment { writer.attribute(NFTA_RULE_USERDATA, UserData.comment(comment)) }
        }
    }

    /// `flush chain ip TABLE NAME`: takes all rules out.
    public mutating func flushChain(_ name: String) {
        let table = table.name
        change(NFT_MSG_DELRULE, 0, "flush chain", name) { writer in
            writer.attribute(NFTA_RULE_TABLE, table)
            writer.attribute(NFTA_RULE_CHAIN, name)
        }
    }

    /// `add set ip TABLE NAME { type … }`, `add map ip TABLE NAME { type … : … }`.
    public mutating func addSet(_ set: SetDeclaration) {
        let table = table.name
        let id = nextSet
        nextSet += 1
        change(NFT_MSG_NEWSET, NLM_F_CREATE, "add set", set.name) { writer in
            writer.attribute(NFTA_SET_TABLE, table)
            set.write(to: &writer, id: id)
        }
    }

    /// `delete set ip TABLE NAME`.
    public mutating func deleteSet(_ name: String) {
        let table = table.name
        change(NFT_MSG_DELSET, 0, "delete set", name) { writer in
            writer.attribute(NFTA_SET_TABLE, table)
            writer.attribute(NFTA_SET_NAME, name)
        }
    }

    /// `add element ip TABLE SET { KEY : VALUE, … }`. An element that is there with another value is an error.
    public mutating func addElements(to set: String, _ elements: some Sequence<SetElement>) {
        change(NFT_MSG_NEWSETELEM, NLM_F_CREATE, "add elements to", set, elements)
    }

    /// `delete element ip TABLE SET { KEY, … }`. An element that is not there is an error.
    public mutating func deleteElements(from set: String, _ keys: some Sequence<[UInt8]>) {
        change(NFT_MSG_DELSETELEM, 0, "delete elements from", set, keys.lazy.map { SetElement($0) })
    }

    /// `flush set ip TABLE SET`.
    public mutating func flushSet(_ set: String) {
        let table = table.name
        change(NFT_MSG_DELSETELEM, 0, "flush", set) { writer in
            writer.attribute(NFTA_SET_ELEM_LIST_TABLE, table)
            writer.attribute(NFTA_SET_ELEM_LIST_SET, set)
        }
    }

    /// A list of elements is one attribute, which cannot be longer than 64 KiB: more go into another message.
    private static let mostElementBytes = 60_000

    private mutating func change(
        _ type: nf_tables_msg_types, _ flags: Int32, _ verb: StaticString, _ set: String,
        _ elements: some Sequence<SetElement>
    ) {
        let table = table.name
        var iterator = elements.makeIterator()
        var pending = iterator.next()
        while pending != nil {
            change(type, flags, verb, set) { writer in
                writer.attribute(NFTA_SET_ELEM_LIST_TABLE, table)
                writer.attribute(NFTA_SET_ELEM_LIST_SET, set)
                writer.nest(NFTA_SET_ELEM_LIST_ELEMENTS) { writer in
                    let start = writer.bytes.count
                    while let element = pending, writer.bytes.count - start < Self.mostElementBytes {
                        Self.write(element, to: &writer)
                        pending = iterator.next()
                    }
                }
            }
        }
    }

    private static func write(_ element: SetElement, to writer: inout MessageWriter) {
        writer.nest(NFTA_LIST_ELEM) { writer in
            writer.nest(NFTA_SET_ELEM_KEY) { $0.attribute(NFTA_DATA_VALUE, element.key) }
            switch element.value {
            case .data(let bytes):
                writer.nest(NFTA_SET_ELEM_DATA) { $0.attribute(NFTA_DATA_VALUE, bytes) }
            case .verdict(let verdict):
                writer.nest(NFTA_SET_ELEM_DATA) { verdict.write(to: &$0) }
            case nil: break
            }
        }
    }

    /// The messages with the one acknowledgement asked for, on the last change, and the end of the batch.
    func finished() -> MessageWriter {
        var copy = self
        copy.writer.setFlags(UInt16(NLM_F_ACK), ofMessageAt: lastMessage)
        copy.message(
            UInt16(NFNL_MSG_BATCH_END), 0, family: 0, resource: UInt16(NFNL_SUBSYS_NFTABLES),
            Words(verb: "commit", object: "")
        ) { _ in }
        return copy.writer
    }

    /// What the message with this sequence number asks.
    func words(for sequence: UInt32) -> String {
        let index = Int(sequence &- NetlinkSocket.firstOfMany)
        guard words.indices.contains(index) else { return "change table \(table)" }
        let asked = words[index]
        let object = asked.object.isEmpty ? "" : " \(asked.object)"
        return "\(asked.verb)\(object) (nftables table \(table))"
    }

    /// The sequence number of the last change.
    var lastSequence: UInt32 { NetlinkSocket.firstOfMany + UInt32(truncatingIfNeeded: words.count - 1) }
}

/// Notes that the kernel keeps for the `nft` program: type, length, value.
enum UserData {
    /// A comment on a table or a rule.
    static func comment(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8.prefix(250)) + [0]
        return [0, UInt8(truncatingIfNeeded: bytes.count)] + bytes
    }

    /// The comment in a table's or a rule's notes.
    static func comment(in data: ArraySlice<UInt8>) -> String? {
        guard let type = data.first, let length = data.dropFirst().first, type == 0 else { return nil }
        return String(decoding: data.dropFirst(2).prefix(Int(length)).prefix { $0 != 0 }, as: UTF8.self)
    }
}
