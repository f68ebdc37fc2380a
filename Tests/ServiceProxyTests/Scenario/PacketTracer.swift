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

/// A model of what the kernel does with the planned rules: it walks a packet through the chains, expression by
/// expression, with registers, sets and maps as nftables has them.
struct PacketTracer {
    let form: NftablesForm
    /// Addresses of the node; packets from them begin at the output hook.
    let nodeAddresses: Set<IPAddress>
    /// Elements by set and key, changed in the same steps in which the kernel's are.
    private(set) var sets: [String: [[UInt8]: SetElement.Value?]] = [:]

    struct Contradiction: Error, CustomStringConvertible {
        let description: String
    }

    init(_ form: NftablesForm, nodeAddresses: Set<IPAddress>) {
        self.form = form
        self.nodeAddresses = nodeAddresses
        for set in form.sets { sets[set.name] = [:] }
        for (name, elements) in form.elements(of: ForwardingTable()) {
            for element in elements { sets[name]?[element.key] = element.value }
        }
    }

    // MARK: Changes, as strict as the kernel is

    mutating func apply(_ changes: TableChanges) throws {
        var operations = ElementOperations()
        for (address, change) in changes.entries where address.address.family == form.family {
            operations.add(address, change)
        }
        try remove(operations.removedServices, from: NftablesForm.services)
        try remove(operations.removedEndpoints, from: NftablesForm.endpoints)
        try add(operations.addedEndpoints, to: NftablesForm.endpoints)
        try add(operations.addedServices, to: NftablesForm.services)
        func own(_ addresses: Set<IPAddress>) -> [IPAddress] { addresses.filter { $0.family == form.family } }
        try remove(own(changes.removedServiceAddresses).map(\.bytes), from: NftablesForm.serviceAddresses)
        try add(
            own(changes.addedServiceAddresses).map { SetElement($0.bytes) }, to: NftablesForm.serviceAddresses
        )
        try remove(
            own(changes.removedHairpinAddresses).map { $0.bytes + $0.bytes }, from: NftablesForm.hairpins)
        try add(
            own(changes.addedHairpinAddresses).map { SetElement($0.bytes + $0.bytes) },
            to: NftablesForm.hairpins)
    }

    private mutating func remove(_ keys: [[UInt8]], from set: String) throws {
        for key in keys where sets[set]?.removeValue(forKey: key) == nil {
            throw Contradiction(description: "\(set) has no element \(key) to remove")
        }
    }

    private mutating func add(_ elements: [SetElement], to set: String) throws {
        for element in elements {
            if sets[set]?.updateValue(element.value, forKey: element.key) != nil {
                throw Contradiction(description: "\(set) has an element \(element.key) already")
            }
        }
    }

    // MARK: Packets

    /// All fates that the packet can have, over all random choices.
    func fates(of packet: Packet) throws -> Set<Fate> {
        var result: Set<Fate> = []
        var choice: UInt32 = 0
        while true {
            var walk = Walk(tracer: self, packet: packet, choice: choice)
            result.insert(try walk.fate())
            choice += 1
            if choice >= walk.choices { return result }
        }
    }

    private enum Ending {
        case accept, drop, refuse
    }

    private struct Walk {
        let tracer: PacketTracer
        let packet: Packet
        let choice: UInt32
        var choices: UInt32 = 1
        var destination: Backend
        var isTranslated = false
        var isMasqueraded = false
        var registers = [UInt8](repeating: 0, count: 64)

        init(tracer: PacketTracer, packet: Packet, choice: UInt32) {
            self.tracer = tracer
            self.packet = packet
            self.choice = choice
            destination = Backend(packet.destination.address, packet.destination.port)
        }

        mutating func fate() throws -> Fate {
            let isOwn = tracer.nodeAddresses.contains(packet.source)
            switch try walk(hook: isOwn ? .translateOwnDestination : .translateDestination) {
            case .drop: return .dropped
            case .refuse: return .refused
            case .accept: break
            }
            // What the node keeps for itself does not pass the last hook; what it sends itself does.
            if isOwn || !tracer.nodeAddresses.contains(destination.address) {
                guard case .accept = try walk(hook: .translateSource) else { return .dropped }
            }
            return isTranslated ? .translated(destination, isMasqueraded: isMasqueraded) : .untouched
        }

        mutating func walk(hook: ChainHook) throws -> Ending {
            guard let chain = tracer.form.chains.first(where: { $0.hook == hook }) else { return .accept }
            return try walk(chain) ?? .accept
        }

        /// nil when the chain ends without a verdict.
        mutating func walk(_ chain: NftablesForm.Chain) throws -> Ending? {
            for rule in chain.rules {
                switch try run(rule) {
                case .next: continue
                case .end(let ending): return ending
                case .goto(let name):
                    let next: NftablesForm.Chain?
                    if name.hasPrefix("pick"), let count = Int(name.dropFirst(4)) {
                        next = tracer.form.pickChain(count)
                    } else {
                        next = tracer.form.chains.first { $0.name == name }
                    }
                    guard let next else { throw Contradiction(description: "no chain \(name)") }
                    return try walk(next)
                }
            }
            return nil
        }

        enum Step {
            case next
            case goto(String)
            case end(Ending)
        }

        func step(_ verdict: Verdict) -> Step {
            switch verdict {
            case .accept: .end(.accept)
            case .drop: .end(.drop)
            case .goto(let chain), .jump(let chain): .goto(chain)
            case .return: .next
            }
        }

        mutating func run(_ rule: [Expression]) throws -> Step {
            for expression in rule {
                switch expression {
                case .payload(let base, let offset, _, let register):
                    store(try field(base, offset), register)
                case .meta(.transportProtocol, let register):
                    store([packet.destination.transportProtocol.rawValue], register)
                case .connection(.status, let register):
                    store(number(isTranslated ? 1 << 5 : 0), register)
                case .connection(.destinationIPv4, let register), .connection(.destinationIPv6, let register):
                    store(packet.destination.address.bytes, register)
                case .addressType(ofSource: true, let register):
                    store(number(tracer.nodeAddresses.contains(packet.source) ? 2 : 1), register)
                case .compare(let register, let comparison, let bytes):
                    let isEqual = load(register, bytes.count) == bytes
                    if isEqual != (comparison == .equal) { return .next }
                case .mask(let source, let target, let mask, let xor):
                    let value = load(source, mask.count)
                    store(value.indices.map { value[$0] & mask[$0] ^ xor[$0] }, target)
                case .random(let modulus, let register):
                    choices = modulus
                    store(number(choice % modulus), register)
                case .lookup(let name, let key, let target, let inverted):
                    guard let set = tracer.form.sets.first(where: { $0.name == name }) else {
                        throw Contradiction(description: "no set \(name)")
                    }
                    let size = set.key.reduce(0) { $0 + Int($1.paddedSize) }
                    let found = tracer.sets[name]?[load(key, size)]
                    if (found != nil) == inverted { return .next }
                    switch found {
                    case .some(.some(.verdict(let verdict))): return step(verdict)
                    case .some(.some(.data(let data))): if let target { store(data, target) }
                    default: break
                    }
                case .verdict(let verdict): return step(verdict)
                case .translateDestination(let family, let address, let port):
                    let bytes = load(address, family.bitCount / 8)
                    guard let translated = IPAddress(bytes: bytes), let port else {
                        throw Contradiction(description: "translation without address or port")
                    }
                    let number = load(port, 2)
                    destination = Backend(translated, UInt16(number[0]) << 8 | UInt16(number[1]))
                    isTranslated = true
                    return .end(.accept)
                case .masquerade:
                    isMasqueraded = true
                    return .end(.accept)
                case .refuse(.reset):
                    guard packet.destination.transportProtocol == .tcp else {
                        throw Contradiction(description: "a reset for something that is not TCP")
                    }
                    return .end(.refuse)
                case .refuse: return .end(.refuse)
                case .meta, .connection, .addressType, .learn, .untracked:
                    throw Contradiction(description: "the tracer does not know \(expression)")
                }
            }
            return .next
        }

        func field(_ base: Expression.Base, _ offset: UInt32) throws -> [UInt8] {
            let isIPv4 = tracer.form.family == .ipv4
            switch (base, offset) {
            case (.network, isIPv4 ? 12 : 8): return packet.source.bytes
            case (.network, isIPv4 ? 16 : 24): return destination.address.bytes
            case (.transport, 2):
                return [UInt8(destination.port >> 8), UInt8(truncatingIfNeeded: destination.port)]
            default: throw Contradiction(description: "the tracer has no field at \(base) \(offset)")
            }
        }

        func number(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

        /// Registers are whole words: what is shorter is filled up with zeros.
        mutating func store(_ bytes: [UInt8], _ register: Register) {
            let start = Int(register.number - Register.word(0).number) * 4
            for index in 0..<(bytes.count + 3) / 4 * 4 {
                registers[start + index] = index < bytes.count ? bytes[index] : 0
            }
        }

        func load(_ register: Register, _ count: Int) -> [UInt8] {
            let start = Int(register.number - Register.word(0).number) * 4
            return Array(registers[start..<start + count])
        }
    }
}
