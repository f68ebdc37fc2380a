import CLinux

/// A 32-bit register of the nftables machine. Longer values take several in a row.
public struct Register: Sendable, Hashable {
    /// The kernel's number.
    public let number: UInt32

    /// The register that holds the verdict.
    public static let verdict = Register(number: 0)

    /// One of the 16 data registers, counted from 0.
    public static func word(_ index: UInt32) -> Register { Register(number: NFT_REG32_00.rawValue + index) }
}

/// What happens to a packet next.
public enum Verdict: Sendable, Hashable {
    /// The packet passes this hook.
    case accept
    /// The packet is gone.
    case drop
    /// Evaluation goes on in the named chain and comes back.
    case jump(String)
    /// Evaluation goes on in the named chain and does not come back.
    case goto(String)
    /// Evaluation goes back to the chain that jumped here.
    case `return`

    var code: UInt32 {
        switch self {
        case .drop: 0
        case .accept: 1
        case .jump: UInt32(bitPattern: NFT_JUMP.rawValue)
        case .goto: UInt32(bitPattern: NFT_GOTO.rawValue)
        case .return: UInt32(bitPattern: NFT_RETURN.rawValue)
        }
    }

    func write(to writer: inout MessageWriter) {
        writer.nest(NFTA_DATA_VERDICT) { writer in
            writer.attribute(NFTA_VERDICT_CODE, bigEndian: code)
            switch self {
            case .jump(let chain), .goto(let chain): writer.attribute(NFTA_VERDICT_CHAIN, chain)
            case .accept, .drop, .return: break
            }
        }
    }

    init?(_ attributes: Attributes) {
        guard let code: UInt32 = attributes[NFTA_VERDICT_CODE]?.bigEndian() else { return nil }
        let chain = attributes[NFTA_VERDICT_CHAIN]?.string
        switch (code, chain) {
        case (0, _): self = .drop
        case (1, _): self = .accept
        case (UInt32(bitPattern: NFT_RETURN.rawValue), _): self = .return
        case (UInt32(bitPattern: NFT_JUMP.rawValue), let chain?): self = .jump(chain)
        case (UInt32(bitPattern: NFT_GOTO.rawValue), let chain?): self = .goto(chain)
        default: return nil
        }
    }
}

/// One step of a rule: it reads the packet, compares, or acts. A rule ends where a step does not match.
public enum Expression: Sendable, Hashable {
    /// Where in the packet `payload` reads.
    public enum Base: UInt32, Sendable {
        case network = 1
        case transport = 2
    }

    /// What `meta` reads.
    public enum MetaKey: UInt32, Sendable {
        /// The transport protocol's number, one byte.
        case transportProtocol = 16
        /// The index of the interface by which the packet came.
        case inputInterface = 4
        /// The index of the interface by which the packet leaves.
        case outputInterface = 5
    }

    /// What `connection` reads of the connection tracking entry.
    public enum ConnectionKey: UInt32, Sendable {
        /// The status bits (`IPS_…`).
        case status = 2
        /// The addresses and ports as the first packet had them. Needs the direction.
        case sourceIPv4 = 19
        case destinationIPv4 = 20
        case sourceIPv6 = 21
        case destinationIPv6 = 22
        /// The port to which the first packet went, two bytes. Needs the direction.
        case destinationPort = 12
    }

    /// How `compare` compares.
    public enum Comparison: UInt32, Sendable {
        case equal = 0
        case notEqual = 1
    }

    /// With what `refuse` answers.
    public enum Refusal: Sendable, Hashable {
        /// A TCP reset.
        case reset
        /// ICMP (or ICMPv6) destination unreachable, with this code; "port unreachable" is 3 (or 4).
        case icmp(UInt8)
    }

    /// Reads bytes of the packet. nft: `ip daddr`, `th dport`.
    case payload(Base, offset: UInt32, length: UInt32, into: Register)
    /// Writes the register's bytes over the source or destination address and corrects the checksums, also those
    /// of the transport protocol. nft: `ip saddr set 192.0.2.1`.
    case setAddress(IPAddress.Family, ofSource: Bool, from: Register)
    /// Puts bytes into a register. nft: the bytes.
    case constant([UInt8], into: Register)
    /// Reads a property of the packet. nft: `meta l4proto`.
    case meta(MetaKey, into: Register)
    /// Reads a property of the packet's connection, of its original direction where it has two.
    /// nft: `ct status`, `ct original ip daddr`.
    case connection(ConnectionKey, into: Register)
    /// Goes on if the register compares so with the bytes. nft: `meta l4proto tcp`.
    case compare(Register, Comparison, [UInt8])
    /// Masks the register: `(value & mask) ^ xor`. nft: `ip daddr 10.96.0.0/16`.
    case mask(Register, into: Register, mask: [UInt8], xor: [UInt8])
    /// Goes on if the set has an element for the key; a map's value goes into a register, a verdict into the
    /// verdict register. nft: `@set`, `map @endpoints`, `vmap @services`.
    case lookup(String, key: Register, into: Register? = nil, inverted: Bool = false)
    /// Ends with this verdict. nft: `drop`, `goto refuse`.
    case verdict(Verdict)
    /// `offset` plus a random number below `modulus`. nft: `numgen random mod 3`.
    case random(modulus: UInt32, offset: UInt32 = 0, into: Register)
    /// The type of an address as seen from this machine (`RTN_…`: 2 is local), of the source if `ofSource`.
    /// nft: `fib daddr type`.
    case addressType(ofSource: Bool, into: Register)
    /// Adds or refreshes an element: key and value come from registers. nft: `update @map { key : value }`.
    case learn(String, key: Register, value: Register?, timeout: Duration? = nil)
    /// Sends the connection to the address and port in the registers. nft: `dnat ip to`.
    case translateDestination(IPAddress.Family, address: Register, port: Register?)
    /// Gives the connection the address of the interface by which it leaves as its source. nft: `masquerade`.
    case masquerade
    /// `notrack`: no connection tracking entry. Only in chains before connection tracking (priority `raw`).
    case untracked
    /// Answers that nobody is there. nft: `reject with tcp reset`, `reject`.
    case refuse(Refusal)
}

extension Expression {
    func write(to writer: inout MessageWriter) {
        switch self {
        case .payload(let base, let offset, let length, let register):
            Self.write("payload", to: &writer) { writer in
                writer.attribute(NFTA_PAYLOAD_DREG, bigEndian: register.number)
                writer.attribute(NFTA_PAYLOAD_BASE, bigEndian: base.rawValue)
                writer.attribute(NFTA_PAYLOAD_OFFSET, bigEndian: offset)
                writer.attribute(NFTA_PAYLOAD_LEN, bigEndian: length)
            }
        case .setAddress(let family, let ofSource, let register):
            Self.write("payload", to: &writer) { writer in
                let isIPv4 = family == .ipv4
                let offset: UInt32 = isIPv4 ? (ofSource ? 12 : 16) : (ofSource ? 8 : 24)
                writer.attribute(NFTA_PAYLOAD_SREG, bigEndian: register.number)
                writer.attribute(NFTA_PAYLOAD_BASE, bigEndian: Base.network.rawValue)
                writer.attribute(NFTA_PAYLOAD_OFFSET, bigEndian: offset)
                writer.attribute(NFTA_PAYLOAD_LEN, bigEndian: UInt32(family.bitCount / 8))
                // IPv4 has a checksum of its own, at offset 10; IPv6 has none.
                let kind = isIPv4 ? NFT_PAYLOAD_CSUM_INET : NFT_PAYLOAD_CSUM_NONE
                writer.attribute(NFTA_PAYLOAD_CSUM_TYPE, bigEndian: UInt32(kind.rawValue))
                writer.attribute(NFTA_PAYLOAD_CSUM_OFFSET, bigEndian: UInt32(isIPv4 ? 10 : 0))
                writer.attribute(
                    NFTA_PAYLOAD_CSUM_FLAGS, bigEndian: UInt32(NFT_PAYLOAD_L4CSUM_PSEUDOHDR.rawValue))
            }
        case .constant(let bytes, let register):
            Self.write("immediate", to: &writer) { writer in
                writer.attribute(NFTA_IMMEDIATE_DREG, bigEndian: register.number)
                writer.nest(NFTA_IMMEDIATE_DATA) { $0.attribute(NFTA_DATA_VALUE, bytes) }
            }
        case .meta(let key, let register):
            Self.write("meta", to: &writer) { writer in
                writer.attribute(NFTA_META_DREG, bigEndian: register.number)
                writer.attribute(NFTA_META_KEY, bigEndian: key.rawValue)
            }
        case .connection(let key, let register):
            Self.write("ct", to: &writer) { writer in
                writer.attribute(NFTA_CT_DREG, bigEndian: register.number)
                writer.attribute(NFTA_CT_KEY, bigEndian: key.rawValue)
                if key != .status { writer.attribute(NFTA_CT_DIRECTION, UInt8(0)) }
            }
        case .compare(let register, let comparison, let bytes):
            Self.write("cmp", to: &writer) { writer in
                writer.attribute(NFTA_CMP_SREG, bigEndian: register.number)
                writer.attribute(NFTA_CMP_OP, bigEndian: comparison.rawValue)
                writer.nest(NFTA_CMP_DATA) { $0.attribute(NFTA_DATA_VALUE, bytes) }
            }
        case .mask(let source, let target, let mask, let xor):
            Self.write("bitwise", to: &writer) { writer in
                writer.attribute(NFTA_BITWISE_SREG, bigEndian: source.number)
                writer.attribute(NFTA_BITWISE_DREG, bigEndian: target.number)
                writer.attribute(NFTA_BITWISE_LEN, bigEndian: UInt32(mask.count))
                writer.nest(NFTA_BITWISE_MASK) { $0.attribute(NFTA_DATA_VALUE, mask) }
                writer.nest(NFTA_BITWISE_XOR) { $0.attribute(NFTA_DATA_VALUE, xor) }
            }
        case .lookup(let set, let key, let register, let inverted):
            Self.write("lookup", to: &writer) { writer in
                writer.attribute(NFTA_LOOKUP_SET, set)
                writer.attribute(NFTA_LOOKUP_SREG, bigEndian: key.number)
                if let register { writer.attribute(NFTA_LOOKUP_DREG, bigEndian: register.number) }
                if inverted {
                    writer.attribute(NFTA_LOOKUP_FLAGS, bigEndian: UInt32(NFT_LOOKUP_F_INV.rawValue))
                }
            }
        case .verdict(let verdict):
            Self.write("immediate", to: &writer) { writer in
                writer.attribute(NFTA_IMMEDIATE_DREG, bigEndian: Register.verdict.number)
                writer.nest(NFTA_IMMEDIATE_DATA) { verdict.write(to: &$0) }
            }
        case .random(let modulus, let offset, let register):
            Self.write("numgen", to: &writer) { writer in
                writer.attribute(NFTA_NG_DREG, bigEndian: register.number)
                writer.attribute(NFTA_NG_MODULUS, bigEndian: modulus)
                writer.attribute(NFTA_NG_TYPE, bigEndian: UInt32(NFT_NG_RANDOM.rawValue))
                writer.attribute(NFTA_NG_OFFSET, bigEndian: offset)
            }
        case .addressType(let ofSource, let register):
            Self.write("fib", to: &writer) { writer in
                let flag = ofSource ? NFTA_FIB_F_SADDR.rawValue : NFTA_FIB_F_DADDR.rawValue
                writer.attribute(NFTA_FIB_DREG, bigEndian: register.number)
                writer.attribute(NFTA_FIB_RESULT, bigEndian: NFT_FIB_RESULT_ADDRTYPE.rawValue)
                writer.attribute(NFTA_FIB_FLAGS, bigEndian: flag)
            }
        case .learn(let set, let key, let value, let timeout):
            Self.write("dynset", to: &writer) { writer in
                writer.attribute(NFTA_DYNSET_SET_NAME, set)
                writer.attribute(NFTA_DYNSET_OP, bigEndian: UInt32(NFT_DYNSET_OP_UPDATE.rawValue))
                writer.attribute(NFTA_DYNSET_SREG_KEY, bigEndian: key.number)
                if let value { writer.attribute(NFTA_DYNSET_SREG_DATA, bigEndian: value.number) }
                if let timeout {
                    writer.attribute(NFTA_DYNSET_TIMEOUT, bigEndian: timeout.wholeMilliseconds)
                }
            }
        case .translateDestination(let family, let address, let port):
            Self.write("nat", to: &writer) { writer in
                writer.attribute(NFTA_NAT_TYPE, bigEndian: UInt32(NFT_NAT_DNAT.rawValue))
                writer.attribute(NFTA_NAT_FAMILY, bigEndian: UInt32(family.rawValue))
                writer.attribute(NFTA_NAT_REG_ADDR_MIN, bigEndian: address.number)
                if let port { writer.attribute(NFTA_NAT_REG_PROTO_MIN, bigEndian: port.number) }
            }
        case .masquerade:
            Self.write("masq", to: &writer) { _ in }
        case .untracked:
            Self.write("notrack", to: &writer) { _ in }
        case .refuse(let refusal):
            Self.write("reject", to: &writer) { writer in
                switch refusal {
                case .reset:
                    writer.attribute(NFTA_REJECT_TYPE, bigEndian: UInt32(NFT_REJECT_TCP_RST.rawValue))
                case .icmp(let code):
                    writer.attribute(NFTA_REJECT_TYPE, bigEndian: UInt32(NFT_REJECT_ICMP_UNREACH.rawValue))
                    writer.attribute(NFTA_REJECT_ICMP_CODE, code)
                }
            }
        }
    }

    private static func write(
        _ name: String, to writer: inout MessageWriter, _ body: (inout MessageWriter) -> Void
    ) {
        writer.nest(NFTA_LIST_ELEM) { writer in
            writer.attribute(NFTA_EXPR_NAME, name)
            writer.nest(NFTA_EXPR_DATA, body)
        }
    }
}

extension Duration {
    /// Milliseconds, rounded up, within what the kernel can hold.
    var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0 else { return 0 }
        let part = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return UInt64(min(seconds, 1 << 40)) * 1000 + UInt64(max(0, part))
    }
}
