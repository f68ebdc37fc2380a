import Netlink
import ServiceProxy

/// The first packet of a connection.
struct Packet: Sendable, Hashable {
    var source: IPAddress
    var destination: ServiceAddress
}

/// What becomes of a packet.
enum Fate: Sendable, Hashable {
    /// It goes where it was sent to.
    case untouched
    /// It goes to this endpoint, with another source address if `isMasqueraded`.
    case translated(Backend, isMasqueraded: Bool)
    /// Its sender is told that nobody is there.
    case refused
    /// It vanishes.
    case dropped
}

/// Walks a packet through the chains of a model of the kernel, expression by expression, with registers, sets and
/// maps as nftables has them.
struct PacketTracer {
    var model: KernelModel
    /// Addresses of the node; packets from them, and from loopback addresses, begin at the output hook.
    let nodeAddresses: Set<IPAddress>

    /// All fates that the packet can have, over all random choices. Nothing is learnt.
    func fates(of packet: Packet) throws -> Set<Fate> {
        var result: Set<Fate> = []
        var choice: UInt32 = 0
        while true {
            var walk = Walk(self, packet, choice: choice)
            result.insert(try walk.fate())
            choice += 1
            if choice >= walk.choices { return result }
        }
    }

    /// The fate of one packet, and what rules learn from it stays.
    mutating func send(_ packet: Packet, choice: UInt32) throws -> Fate {
        var walk = Walk(self, packet, choice: choice)
        let fate = try walk.fate()
        model = walk.model
        return fate
    }

    func isOwn(_ address: IPAddress) -> Bool { nodeAddresses.contains(address) || address.isLoopback }
}

private enum Ending {
    case accept, drop, refuse
}

/// One packet on its way.
private struct Walk {
    var model: KernelModel
    let tracer: PacketTracer
    let packet: Packet
    let choice: UInt32
    var choices: UInt32 = 1
    /// The packet's addresses now.
    var source: IPAddress
    var destination: Backend
    /// The packet's addresses as connection tracking first saw them.
    var original: (source: IPAddress, destination: ServiceAddress)
    var isTranslated = false
    var isMasqueraded = false
    var registers = [UInt8?](repeating: nil, count: 64)

    init(_ tracer: PacketTracer, _ packet: Packet, choice: UInt32) {
        model = tracer.model
        self.tracer = tracer
        self.packet = packet
        self.choice = choice
        source = packet.source
        destination = Backend(packet.destination.address, packet.destination.port)
        original = (packet.source, packet.destination)
    }

    mutating func fate() throws -> Fate {
        let isOwn = tracer.isOwn(packet.source)
        if isOwn {
            guard try walk(.filter, .output) == .accept else { return .dropped }
            original.source = source
        }
        switch try walk(.nat, isOwn ? .output : .prerouting) {
        case .drop: return .dropped
        case .refuse: return .refused
        case .accept: break
        }
        // What the node keeps for itself does not pass the last hook; what it sends itself does.
        let last: ChainHook.Point = isOwn || !tracer.isOwn(destination.address) ? .postrouting : .input
        guard try walk(.nat, last) == .accept else { return .dropped }
        guard isTranslated else { return .untouched }
        if source.isLoopback, !destination.address.isLoopback, !isMasqueraded {
            throw KernelModel.Contradiction(description: "a loopback address leaves by another interface")
        }
        return .translated(destination, isMasqueraded: isMasqueraded || source != packet.source)
    }

    /// All chains of this kind at this hook, in the order of their priorities.
    mutating func walk(_ kind: ChainHook.Kind, _ point: ChainHook.Point) throws -> Ending {
        let chains = model.hooks.filter { $0.value.kind == kind && $0.value.point == point }
            .sorted { $0.value.priority < $1.value.priority }
        let before = (isTranslated, isMasqueraded)
        for (name, _) in chains {
            if let ending = try walk(name), ending != .accept { return ending }
            // Of the chains of one kind of translation, the first that translates is the last that is asked.
            if kind == .nat, before != (isTranslated, isMasqueraded) { break }
        }
        return .accept
    }

    /// nil when the chain ends without a verdict, or returns.
    mutating func walk(_ chain: String) throws -> Ending? {
        guard let rules = model.rules[chain] else {
            throw KernelModel.Contradiction(description: "no chain \(chain)")
        }
        for rule in rules {
            switch try run(rule) {
            case .next: continue
            case .return: return nil
            case .end(let ending): return ending
            case .goto(let name): return try walk(name)
            case .jump(let name):
                if let ending = try walk(name) { return ending }
            }
        }
        return nil
    }

    enum Step {
        case next
        case `return`
        case goto(String)
        case jump(String)
        case end(Ending)
    }

    func step(_ verdict: Verdict) -> Step {
        switch verdict {
        case .accept: .end(.accept)
        case .drop: .end(.drop)
        case .goto(let chain): .goto(chain)
        case .jump(let chain): .jump(chain)
        case .return: .return
        }
    }

    mutating func run(_ rule: [Expression]) throws -> Step {
        // Rules do not lean on what others left in the registers; newer kernels refuse that.
        registers = [UInt8?](repeating: nil, count: 64)
        for expression in rule {
            switch expression {
            case .payload(let base, let offset, _, let register): store(try field(base, offset), register)
            case .setAddress(_, let ofSource, let register):
                guard let address = IPAddress(bytes: try load(register, model.family.bitCount / 8)) else {
                    throw KernelModel.Contradiction(description: "no address to set")
                }
                if ofSource { source = address } else { destination.address = address }
            case .constant(let bytes, let register): store(bytes, register)
            case .meta(let key, let register): store(try property(key), register)
            case .connection(let key, let register): store(connection(key), register)
            case .addressType(let ofSource, let register):
                store(number(tracer.isOwn(ofSource ? source : destination.address) ? 2 : 1), register)
            case .compare(let register, let comparison, let bytes):
                let isEqual = try load(register, bytes.count) == bytes
                if isEqual != (comparison == .equal) { return .next }
            case .mask(let source, let target, let mask, let xor):
                let value = try load(source, mask.count)
                store(value.indices.map { value[$0] & mask[$0] ^ xor[$0] }, target)
            case .random(let modulus, let offset, let register):
                choices = max(choices, modulus)
                store(number(offset &+ choice % modulus), register)
            case .lookup(let name, let key, let target, let inverted):
                guard let found = try lookUp(name, key, inverted: inverted) else { return .next }
                switch found {
                case .verdict(let verdict): return step(verdict)
                case .data(let data): if let target { store(data, target) }
                case nil: break
                }
            case .learn(let name, let key, let value, _):
                try learn(name, key, value)
            case .verdict(let verdict): return step(verdict)
            case .translateDestination(let family, let address, let port):
                guard let port, let translated = IPAddress(bytes: try load(address, family.bitCount / 8))
                else { throw KernelModel.Contradiction(description: "translation without address or port") }
                let number = try load(port, 2)
                destination = Backend(translated, UInt16(number[0]) << 8 | UInt16(number[1]))
                isTranslated = true
                return .end(.accept)
            case .masquerade:
                isMasqueraded = true
                return .end(.accept)
            case .refuse(.reset):
                guard packet.destination.transportProtocol == .tcp else {
                    throw KernelModel.Contradiction(description: "a reset for something that is not TCP")
                }
                return .end(.refuse)
            case .refuse: return .end(.refuse)
            case .untracked:
                throw KernelModel.Contradiction(description: "the tracer does not know \(expression)")
            }
        }
        return .next
    }

    // MARK: Sets

    private func keySize(_ name: String) throws -> Int {
        guard let set = model.sets[name] else {
            throw KernelModel.Contradiction(description: "no set \(name)")
        }
        return set.key.reduce(0) { $0 + Int($1.paddedSize) }
    }

    /// nil when the rule ends here; else the element's value, if it has one.
    private func lookUp(_ name: String, _ key: Register, inverted: Bool) throws -> SetElement.Value?? {
        let found = model.elements[name]?[try load(key, keySize(name))]
        if (found != nil) == inverted { return nil }
        return .some(found ?? nil)
    }

    private mutating func learn(_ name: String, _ key: Register, _ value: Register?) throws {
        guard let set = model.sets[name], case .data(let types)? = set.value, let value else {
            throw KernelModel.Contradiction(description: "nothing to learn for \(name)")
        }
        let data = try load(value, types.reduce(0) { $0 + Int($1.paddedSize) })
        model.learn(SetElement(try load(key, keySize(name)), .data(data)), in: name)
    }

    // MARK: What can be read of the packet

    private func field(_ base: Expression.Base, _ offset: UInt32) throws -> [UInt8] {
        let isIPv4 = model.family == .ipv4
        switch (base, offset) {
        case (.network, isIPv4 ? 12 : 8): return source.bytes
        case (.network, isIPv4 ? 16 : 24): return destination.address.bytes
        case (.transport, 2): return port(destination.port)
        default: throw KernelModel.Contradiction(description: "no field at \(base) \(offset)")
        }
    }

    private func property(_ key: Expression.MetaKey) throws -> [UInt8] {
        switch key {
        case .transportProtocol: return [packet.destination.transportProtocol.rawValue]
        // The first interface is the loopback one, which leads to all addresses of the node.
        case .outputInterface: return number(tracer.isOwn(destination.address) ? 1 : 2)
        case .inputInterface: throw KernelModel.Contradiction(description: "packets have no \(key)")
        }
    }

    private func connection(_ key: Expression.ConnectionKey) -> [UInt8] {
        switch key {
        case .status: number(isTranslated ? 1 << 5 : 0)
        case .sourceIPv4, .sourceIPv6: original.source.bytes
        case .destinationIPv4, .destinationIPv6: original.destination.address.bytes
        case .destinationPort: port(original.destination.port)
        }
    }

    private func port(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }

    private func number(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

    // MARK: Registers

    /// Registers are whole words: what is shorter is filled up with zeros.
    private mutating func store(_ bytes: [UInt8], _ register: Register) {
        let start = Int(register.number - Register.word(0).number) * 4
        for index in 0..<(bytes.count + 3) / 4 * 4 {
            registers[start + index] = index < bytes.count ? bytes[index] : 0
        }
    }

    private func load(_ register: Register, _ count: Int) throws -> [UInt8] {
        let start = Int(register.number - Register.word(0).number) * 4
        let bytes = registers[start..<start + count].compactMap { $0 }
        guard bytes.count == count else {
            throw KernelModel.Contradiction(description: "a rule reads a register that it has not written")
        }
        return bytes
    }
}
