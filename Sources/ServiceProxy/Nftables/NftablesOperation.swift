import Netlink

/// One change to the table in the kernel, as a value: what is sent to the kernel can also be played in a model of it.
package enum NftablesOperation: Sendable, Hashable {
    case addTable(comment: String?)
    case deleteTable
    case addSet(SetDeclaration)
    case flushSet(String)
    case addChain(String, ChainHook?)
    case flushChain(String)
    case deleteChain(String)
    case addRule(chain: String, [Expression], comment: String?)
    case addElements(set: String, [SetElement])
    case deleteElements(set: String, [[UInt8]])

    /// How many elements come or go by it.
    package var elementCount: Int {
        switch self {
        case .addElements(_, let elements): elements.count
        case .deleteElements(_, let keys): keys.count
        default: 0
        }
    }
}

extension NftablesTransaction {
    /// A transaction that does all this, in this order.
    package init(_ table: TableName, _ operations: [NftablesOperation]) {
        self.init(table)
        for operation in operations {
            switch operation {
            case .addTable(let comment): addTable(comment: comment)
            case .deleteTable: deleteTable()
            case .addSet(let set): addSet(set)
            case .flushSet(let name): flushSet(name)
            case .addChain(let name, let hook): addChain(name, hook: hook)
            case .flushChain(let name): flushChain(name)
            case .deleteChain(let name): deleteChain(name)
            case .addRule(let chain, let expressions, let comment):
                addRule(to: chain, expressions, comment: comment)
            case .addElements(let set, let elements): addElements(to: set, elements)
            case .deleteElements(let set, let keys): deleteElements(from: set, keys)
            }
        }
    }
}
