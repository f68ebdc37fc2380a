import Netlink

// The rules, as the shell's `nft` would have them in the comments (those of the IPv4 table).
extension NftablesForm {
    /// How many 32-bit registers an address takes.
    private var words: UInt32 { family == .ipv4 ? 1 : 4 }

    private func loadSource(into register: Register) -> Expression {
        .payload(.network, offset: family == .ipv4 ? 12 : 8, length: words * 4, into: register)
    }

    private func loadDestination(into register: Register) -> Expression {
        .payload(.network, offset: family == .ipv4 ? 16 : 24, length: words * 4, into: register)
    }

    /// `ip daddr . meta l4proto . th dport`, or `0.0.0.0 . meta l4proto . th dport`, into registers from `first` on.
    private func loadEntry(isNodePort: Bool = false, first: UInt32 = 0) -> [Expression] {
        let address = Register.word(first)
        return [
            isNodePort
                ? .constant(IPAddress.unspecified(family).bytes, into: address)
                : loadDestination(into: address),
            .meta(.transportProtocol, into: .word(first + words)),
            .payload(.transport, offset: 2, length: 2, into: .word(first + words + 1)),
        ]
    }

    private func isWithin(
        _ network: IPNetwork, _ register: Register, _ comparison: Expression.Comparison = .equal
    ) -> [Expression] {
        [
            .mask(
                register, into: register, mask: network.mask,
                xor: [UInt8](repeating: 0, count: network.mask.count)),
            .compare(register, comparison, network.first.bytes),
        ]
    }

    /// `ip saddr != 10.244.0.0/16`
    private var isFromOutside: [Expression] {
        configuration.insideRanges(family).flatMap {
            [loadSource(into: .word(0))] + isWithin($0, .word(0), .notEqual)
        }
    }

    /// `fib daddr type local`
    private var isToThisNode: [Expression] {
        [.addressType(ofSource: false, into: .word(0)), .compare(.word(0), .equal, Self.hostOrder(2))]
    }

    static func hostOrder(_ number: UInt32) -> [UInt8] {
        withUnsafeBytes(of: number) { Array($0) }
    }

    // MARK: Destinations

    /// What becomes of a new connection's first packet.
    func dispatchRules(isOwn: Bool) -> [[Expression]] {
        var rules: [[Expression]] = [
            // ip daddr . meta l4proto . th dport @restricted jump check-source
            loadEntry() + [
                .lookup(Self.restricted, key: .word(0)), .verdict(.jump(Self.checkSource)),
            ]
        ]
        if !isOwn {
            // ip saddr != 10.244.0.0/16 ip daddr . meta l4proto . th dport vmap @outside
            rules.append(
                isFromOutside + loadEntry() + [.lookup(Self.outside, key: .word(0), into: .verdict)])
        }
        rules += [
            // ip daddr . meta l4proto . th dport vmap @services
            loadEntry() + [.lookup(Self.services, key: .word(0), into: .verdict)],
            // ip daddr @service-addresses goto refuse: a Service's address, but not one of its ports
            [
                loadDestination(into: .word(0)), .lookup(Self.serviceAddresses, key: .word(0)),
                .verdict(.goto(Self.refuse)),
            ],
            // ip daddr @node-local accept
            [loadDestination(into: .word(0)), .lookup(Self.nodeLocal, key: .word(0)), .verdict(.accept)],
        ]
        // ip daddr 10.96.0.0/16 drop: no Service has this address, or not yet
        for range in configuration.serviceRanges where range.address.family == family {
            rules.append(
                [loadDestination(into: .word(0))] + isWithin(range, .word(0)) + [.verdict(.drop)])
        }
        if isOwn {
            // fib daddr type local meta l4proto . th dport vmap @node-services
            rules += nodePortRules(isOwn: true).map { isToThisNode + $0 }
        } else {
            // fib daddr type local goto to-this-node
            rules.append(isToThisNode + [.verdict(.goto(Self.ownNode))])
        }
        return rules
    }

    /// What becomes of connections to the node's own ports.
    func nodePortRules(isOwn: Bool) -> [[Expression]] {
        let port: [Expression] = [
            .meta(.transportProtocol, into: .word(0)),
            .payload(.transport, offset: 2, length: 2, into: .word(1)),
        ]
        // meta l4proto . th dport vmap @node-services
        let everybody = port + [.lookup(Self.nodeServices, key: .word(0), into: .verdict)]
        if isOwn { return [everybody] }
        // ip saddr != 10.244.0.0/16 meta l4proto . th dport vmap @node-outside
        return [isFromOutside + port + [.lookup(Self.nodeOutside, key: .word(0), into: .verdict)], everybody]
    }

    var refuseRules: [[Expression]] {
        [
            // meta l4proto tcp reject with tcp reset
            [
                .meta(.transportProtocol, into: .word(0)),
                .compare(.word(0), .equal, [TransportProtocol.tcp.rawValue]),
                .refuse(.reset),
            ],
            // reject
            [.refuse(.icmp(family == .ipv4 ? 3 : 4))],
        ]
    }

    /// For each length: `ip daddr . meta l4proto . th dport . ip saddr & 255.255.255.0 . 24 @sources return`; then
    /// `drop`.
    func checkSourceRules(_ lengths: [Int]) -> [[Expression]] {
        let source = Register.word(words + 2)
        return lengths.compactMap { length in
            guard let network = IPNetwork(.unspecified(family), prefixLength: length) else { return nil }
            return loadEntry() + [
                loadSource(into: source),
                .mask(
                    source, into: source, mask: network.mask,
                    xor: [UInt8](repeating: 0, count: network.mask.count)),
                .constant(Self.hostOrder(UInt32(truncatingIfNeeded: length)), into: .word(words * 2 + 2)),
                .lookup(Self.sources, key: .word(0)), .verdict(.return),
            ]
        } + [[.verdict(.drop)]]
    }

    /// Where connections to an entry with few endpoints go. A packet that meets the entry before a transaction and its
    /// number of endpoints after it may find none of the numbers; the first slot is there as long as there are endpoints.
    func spreadRules(_ picks: [PickChain]) -> [[Expression]] {
        let isNodePort = picks.contains(where: \.isNodePort)
        let number = Register.word(words + 2)
        return picks.map { pick in
            // ip daddr . meta l4proto . th dport map @counts 3 goto pick3
            loadEntry(isNodePort: isNodePort) + [
                .lookup(Self.counts, key: .word(0), into: number),
                .compare(number, .equal, Self.data(count: pick.count)),
                .verdict(.goto(pick.name)),
            ]
        } + [
            // dnat ip to ip daddr . meta l4proto . th dport . 0 map @endpoints
            pickRule(.constant(Self.hostOrder(0), into: number), isNodePort: isNodePort),
            // goto refuse
            [.verdict(.goto(Self.refuse))],
        ]
    }

    /// `dnat ip to ip daddr . meta l4proto . th dport . SLOT map @endpoints`
    private func pickRule(_ slot: Expression, isNodePort: Bool) -> [Expression] {
        let (address, port) = (Register.word(words + 2), Register.word(words * 2 + 2))
        return loadEntry(isNodePort: isNodePort) + [
            slot, .lookup(Self.endpoints, key: .word(0), into: address),
            .translateDestination(family, address: address, port: port),
        ]
    }

    /// How an endpoint is picked.
    ///
    /// Each look-up sees whole transactions, but a packet makes two: between them an endpoint can leave, and with it the
    /// last slot. The first slot is there as long as there are endpoints. A packet that met neither must not go on:
    /// connection tracking would remember that it was not translated, and the client's further attempts would go
    /// nowhere until it gives up. Without a trace of it, the next attempt is a new connection's.
    func pickRules(_ pick: PickChain) -> [[Expression]] {
        let modulus = UInt32(clamping: pick.count)
        let slot = Register.word(words + 2)
        let address = slot
        let port = Register.word(words * 2 + 2)
        var rules: [[Expression]] = [
            // dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3 map @endpoints
            pickRule(
                .random(modulus: modulus, offset: pick.group.firstSlot, into: slot),
                isNodePort: pick.isNodePort),
            // dnat ip to ip daddr . meta l4proto . th dport . 0 map @endpoints
            pickRule(
                .constant(Self.hostOrder(pick.group.firstSlot), into: slot), isNodePort: pick.isNodePort),
            // drop
            [.verdict(.drop)],
        ]
        guard pick.affinity != nil else { return rules }
        // dnat ip to ip saddr . ip daddr . meta l4proto . th dport map @affinity: a client that was here goes where it
        // went
        rules.insert(
            [loadSource(into: .word(0))] + loadEntry(isNodePort: pick.isNodePort, first: words) + [
                .lookup(Self.affinity, key: .word(0), into: address),
                .translateDestination(family, address: address, port: port),
            ], at: 0)
        return rules
    }

    // MARK: Affinity

    /// After it was picked, a client's endpoint is remembered. (The rule that picks it could do that; but no program
    /// `nft` up to 1.0.6 can list a rule in which a map's value goes into a key or another map.)
    var rememberRules: [[Expression]] {
        // ct status & dnat == 0 accept
        // ct original ip daddr . meta l4proto . ct original proto-dst vmap @sticky
        // 0.0.0.0 . meta l4proto . ct original proto-dst vmap @sticky
        [isNotTranslated + [.verdict(.accept)]]
            + [false, true].map {
                loadOriginalEntry(isNodePort: $0) + [.lookup(Self.sticky, key: .word(0), into: .verdict)]
            }
    }

    /// An endpoint that left, to which a client was led just before, is not remembered. Nor is any client when there
    /// are too many.
    ///
    ///     ct original ip daddr . meta l4proto . ct original proto-dst . ip daddr . th dport @members
    ///     update @affinity { ip saddr . ct original ip daddr . meta l4proto . ct original proto-dst timeout 3h :
    ///         ip daddr . th dport }
    func rememberRule(_ remember: RememberChain) -> [Expression] {
        let (client, entry, backend) = (Register.word(0), words, words * 2 + 2)
        return [loadSource(into: client)] + loadOriginalEntry(isNodePort: remember.isNodePort, first: entry)
            + [
                loadDestination(into: .word(backend)),
                .payload(.transport, offset: 2, length: 2, into: .word(backend + words)),
                .lookup(Self.members, key: .word(entry)),
                .learn(
                    Self.affinity, key: client, value: .word(backend), timeout: .seconds(remember.affinity)),
            ]
    }

    /// What the client called: `ct original ip daddr . meta l4proto . ct original proto-dst`, or with `0.0.0.0`, into
    /// registers from `first` on.
    private func loadOriginalEntry(isNodePort: Bool, first: UInt32 = 0) -> [Expression] {
        let address = Register.word(first)
        return [
            isNodePort
                ? .constant(IPAddress.unspecified(family).bytes, into: address)
                : .connection(family == .ipv4 ? .destinationIPv4 : .destinationIPv6, into: address),
            .meta(.transportProtocol, into: .word(first + words)),
            .connection(.destinationPort, into: .word(first + words + 1)),
        ]
    }

    // MARK: Sources

    /// The bit of a connection's status that says that its destination was translated (`IPS_DST_NAT`).
    private static let destinationTranslated: UInt32 = 1 << 5

    /// `ct status & dnat == 0`
    private var isNotTranslated: [Expression] {
        [
            .connection(.status, into: .word(0)),
            .mask(
                .word(0), into: .word(0), mask: Self.hostOrder(Self.destinationTranslated),
                xor: [0, 0, 0, 0]),
            .compare(.word(0), .equal, [0, 0, 0, 0]),
        ]
    }

    /// Which connections get another source address, and no others do.
    var masqueradeRules: [[Expression]] {
        var rules: [[Expression]] = [
            // ct status & dnat == 0 accept
            isNotTranslated + [.verdict(.accept)],
            // ip saddr . ip daddr @hairpins masquerade: a pod that a Service led back to itself
            [
                loadSource(into: .word(0)), loadDestination(into: .word(words)),
                .lookup(Self.hairpins, key: .word(0)), .masquerade,
            ],
            // ip daddr . ip daddr @hairpins accept: answers of this node's endpoints come this way anyway, and
            // these see the client's own address
            [
                loadDestination(into: .word(0)), loadDestination(into: .word(words)),
                .lookup(Self.hairpins, key: .word(0)), .verdict(.accept),
            ],
        ]
        // ip saddr 10.244.0.0/16 accept, ip saddr 192.0.2.10 accept: to these, answers come this way too
        for network in configuration.insideRanges(family) {
            rules.append([loadSource(into: .word(0))] + isWithin(network, .word(0)) + [.verdict(.accept)])
        }
        if let own = configuration.nodeAddress(family) {
            rules.append([
                loadSource(into: .word(0)), .compare(.word(0), .equal, own.bytes), .verdict(.accept),
            ])
        }
        // ct original ip daddr . meta l4proto . ct original proto-dst . 0 map @endpoints masquerade: somebody
        // outside was led to an endpoint elsewhere. The answer must come back this way, so the endpoint must see this
        // node as its client. It was this table that led them if it has such an entry.
        rules += [false, true].map { translatedHere(isNodePort: $0) + [.masquerade] }
        return rules
    }

    /// What `nft` cannot show of the last two of these rules.
    var masqueradeComments: [Int: String] {
        let count = masqueradeRules.count
        return [
            count - 2: "if @endpoints has slot 0 of what the client called",
            count - 1: "if @endpoints has slot 0 of the node port that the client called",
        ]
    }

    private func translatedHere(isNodePort: Bool) -> [Expression] {
        let slot = Register.word(words + 2)
        return loadOriginalEntry(isNodePort: isNodePort) + [
            .constant(Self.hostOrder(0), into: slot),
            // (A map is always looked up into a register. Nobody reads this one.)
            .lookup(Self.endpoints, key: .word(0), into: slot),
        ]
    }

    // MARK: Loopback

    // A connection from 127.0.0.1 to a node port at 127.0.0.1 cannot leave by another interface: the kernel finds
    // no route for such a source, unless route_localnet is set, and then it also lets strangers' packets to
    // 127.0.0.0/8 in. So this machine's own packets to such ports get the node's address as their source before
    // connection tracking sees them, and the answers, translated back to come from 127.0.0.1, get 127.0.0.1 as
    // their destination again, after routing. Packets that come in from elsewhere with such addresses meet neither
    // rule: the kernel drops them where it routes.

    private var loopback: IPAddress? { IPAddress(family == .ipv4 ? "127.0.0.1" : "::1") }
    private var loopbackRange: IPNetwork? { IPNetwork(family == .ipv4 ? "127.0.0.0/8" : "::1/128") }

    /// `oif lo ip daddr 127.0.0.0/8 ip saddr 127.0.0.1 meta l4proto . th dport @node-ports ip saddr set 192.0.2.10`
    var leaveLoopbackRules: [[Expression]] {
        guard let own = configuration.nodeAddress(family), let loopback, let loopbackRange else { return [] }
        // The loopback interface is the first in every network namespace.
        let first: [Expression] = [
            .meta(.outputInterface, into: .word(0)), .compare(.word(0), .equal, Self.hostOrder(1)),
            loadDestination(into: .word(0)),
        ]
        return [
            first + isWithin(loopbackRange, .word(0)) + [
                loadSource(into: .word(0)), .compare(.word(0), .equal, loopback.bytes),
                .meta(.transportProtocol, into: .word(0)),
                .payload(.transport, offset: 2, length: 2, into: .word(1)),
                .lookup(Self.nodePorts, key: .word(0)),
                .constant(own.bytes, into: .word(0)),
                .setAddress(family, ofSource: true, from: .word(0)),
            ]
        ]
    }

    /// `ip saddr 127.0.0.0/8 ip daddr 192.0.2.10 meta l4proto . th sport @node-ports ip daddr set 127.0.0.1`
    var enterLoopbackRules: [[Expression]] {
        guard let own = configuration.nodeAddress(family), let loopback, let loopbackRange else { return [] }
        return [
            [loadSource(into: .word(0))] + isWithin(loopbackRange, .word(0)) + [
                loadDestination(into: .word(0)), .compare(.word(0), .equal, own.bytes),
                .meta(.transportProtocol, into: .word(0)),
                .payload(.transport, offset: 0, length: 2, into: .word(1)),
                .lookup(Self.nodePorts, key: .word(0)),
                .constant(loopback.bytes, into: .word(0)),
                .setAddress(family, ofSource: false, from: .word(0)),
            ]
        ]
    }
}
