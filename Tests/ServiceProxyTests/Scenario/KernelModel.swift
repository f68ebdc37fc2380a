import Netlink
import ServiceProxy

/// A model of one nftables table: what was sent to the kernel, kept as strictly as the kernel keeps it.
struct KernelModel {
    let family: IPAddress.Family
    private(set) var sets: [String: SetDeclaration] = [:]
    /// Elements by set and key.
    private(set) var elements: [String: [[UInt8]: SetElement.Value?]] = [:]
    private(set) var hooks: [String: ChainHook] = [:]
    private(set) var rules: [String: [[Expression]]] = [:]

    /// What the kernel would refuse.
    struct Contradiction: Error, CustomStringConvertible {
        let description: String
    }

    init(_ family: IPAddress.Family) {
        self.family = family
    }

    /// Adds an element as a rule does (`update @set { … }`): what is there already keeps its value.
    mutating func learn(_ element: SetElement, in set: String) {
        if elements[set]?[element.key] == nil { elements[set]?[element.key] = element.value }
    }

    /// Makes a transaction's changes, all or none.
    mutating func commit(_ operations: [NftablesOperation]) throws {
        var next = self
        for operation in operations { try next.apply(operation) }
        try next.validate()
        self = next
    }

    private mutating func apply(_ operation: NftablesOperation) throws {
        switch operation {
        case .addTable: break
        case .deleteTable: self = KernelModel(family)
        case .addSet(let set):
            if let present = sets[set.name], present != set {
                throw Contradiction(description: "set \(set.name) is there with another form")
            }
            sets[set.name] = set
            elements[set.name] = elements[set.name] ?? [:]
        case .flushSet(let name):
            guard sets[name] != nil else { throw Contradiction(description: "no set \(name) to flush") }
            elements[name] = [:]
        case .addChain(let name, let hook):
            rules[name] = rules[name] ?? []
            hooks[name] = hook
        case .flushChain(let name):
            guard rules[name] != nil else { throw Contradiction(description: "no chain \(name) to flush") }
            rules[name] = []
        case .deleteChain(let name):
            guard rules[name]?.isEmpty == true else {
                throw Contradiction(description: "chain \(name) is not there, or has rules")
            }
            rules[name] = nil
            hooks[name] = nil
        case .addRule(let chain, let rule, _):
            guard rules[chain] != nil else { throw Contradiction(description: "no chain \(chain)") }
            rules[chain]?.append(rule)
        case .addElements(let set, let added):
            guard let declaration = sets[set] else { throw Contradiction(description: "no set \(set)") }
            for element in added {
                try check(element, declaration)
                if elements[set]?.updateValue(element.value, forKey: element.key) != nil {
                    throw Contradiction(description: "\(set) has an element \(element.key) already")
                }
            }
        case .deleteElements(let set, let keys):
            for key in keys where elements[set]?.removeValue(forKey: key) == nil {
                throw Contradiction(description: "\(set) has no element \(key) to delete")
            }
        }
    }

    private func size(_ types: [DataType]) -> Int {
        // Only where several are joined does each take whole registers.
        types == [.port] ? 2 : types.reduce(0) { $0 + Int($1.paddedSize) }
    }

    private func check(_ element: SetElement, _ set: SetDeclaration) throws {
        guard element.key.count == size(set.key) else {
            throw Contradiction(description: "a key of \(set.name) has \(element.key.count) bytes")
        }
        switch (set.value, element.value) {
        case (nil, nil), (.verdict, .verdict): break
        case (.data(let types), .data(let bytes)) where bytes.count == size(types): break
        default: throw Contradiction(description: "an element of \(set.name) has a value of another kind")
        }
    }

    /// Chains and sets that rules and verdicts name exist; no chain leads back to itself is not checked.
    private func validate() throws {
        func check(_ verdict: Verdict) throws {
            switch verdict {
            case .goto(let chain), .jump(let chain):
                guard rules[chain] != nil else { throw Contradiction(description: "no chain \(chain)") }
            case .accept, .drop, .return: break
            }
        }
        for rule in rules.values.joined() {
            for expression in rule {
                switch expression {
                case .verdict(let verdict): try check(verdict)
                case .lookup(let set, _, _, _), .learn(let set, _, _, _):
                    guard sets[set] != nil else { throw Contradiction(description: "no set \(set)") }
                default: break
                }
            }
        }
        for set in sets.values where set.value == .verdict {
            for case .verdict(let verdict)? in elements[set.name, default: [:]].values { try check(verdict) }
        }
    }
}
