import CLinux

/// A chain that packets meet by themselves, whoever has made it.
public struct BaseChain: Sendable, Hashable {
    public var table: TableName
    public var name: String
    /// Where packets meet it (`NF_INET_PRE_ROUTING` …): 2 is on the way through this machine.
    public var hook: UInt32
    /// Whether packets that none of its rules decides about are dropped (`policy drop`).
    public var dropsTheRest: Bool

    public init(_ table: TableName, _ name: String, hook: UInt32, dropsTheRest: Bool) {
        self.table = table
        self.name = name
        self.hook = hook
        self.dropsTheRest = dropsTheRest
    }

    /// Reads what the kernel says of a chain; nil for one that other chains lead to, or of another family.
    package init?(_ message: Message) {
        let attributes = message.attributes(afterHeaderOf: 4)
        guard let family = message.payload.first.flatMap(TableName.Family.init(rawValue:)),
            let table = attributes[NFTA_CHAIN_TABLE]?.string, let name = attributes[NFTA_CHAIN_NAME]?.string,
            let hook: UInt32 = attributes[NFTA_CHAIN_HOOK]?.attributes[NFTA_HOOK_HOOKNUM]?.bigEndian()
        else { return nil }
        let policy: UInt32? = attributes[NFTA_CHAIN_POLICY]?.bigEndian()
        self.init(TableName(family, table), name, hook: hook, dropsTheRest: policy == 0)
    }
}
