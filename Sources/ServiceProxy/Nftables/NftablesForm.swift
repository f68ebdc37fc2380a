import Netlink

/// The form that the forwarding table has in nftables, for one address family.
///
/// Everything that grows is in flat maps, so neither a packet's way nor a change gets longer when there are more
/// Services. Chains exist per distinct number of endpoints, not per Service:
///
///     map services  { address . protocol . port : verdict }                  # goto pick3 | goto refuse | drop
///     map endpoints { address . protocol . port . slot : address . port }
///     chain pick3   { dnat to address . protocol . port . random number below 3, looked up in endpoints }
///
/// The slot's type is `mark`, the one type of the `nft` program's for 32-bit numbers in the machine's byte order,
/// which is what the random number is.
package struct NftablesForm: Sendable, Hashable {
    package let family: IPAddress.Family
    package let configuration: ProxyConfiguration

    package init(_ family: IPAddress.Family, _ configuration: ProxyConfiguration) {
        self.family = family
        self.configuration = configuration
    }

    package var table: TableName {
        TableName(family == .ipv4 ? .ipv4 : .ipv6, configuration.tableName)
    }

    /// Says which form the table has. A table with another comment was made by another version or for other
    /// ranges, and is replaced whole.
    package var comment: String {
        "Swiftlet service proxy, form 1, "
            + configuration.serviceRanges.map(\.description).joined(separator: " ")
    }

    // Names in the table.
    package static let services = "services"
    package static let endpoints = "endpoints"
    package static let serviceAddresses = "service-addresses"
    package static let nodeLocal = "node-local"
    package static let hairpins = "hairpins"
    package static let refuse = "refuse"

    package static func pick(_ count: Int) -> String { "pick\(count)" }

    private var addressType: DataType { family == .ipv4 ? .ipv4Address : .ipv6Address }

    package var sets: [SetDeclaration] {
        [
            SetDeclaration(
                Self.endpoints, key: [addressType, .transportProtocol, .port, .mark],
                value: .data([addressType, .port])),
            SetDeclaration(Self.services, key: [addressType, .transportProtocol, .port], value: .verdict),
            SetDeclaration(Self.serviceAddresses, key: [addressType]),
            SetDeclaration(Self.nodeLocal, key: [addressType]),
            SetDeclaration(Self.hairpins, key: [addressType, addressType]),
        ]
    }

    /// A chain and its rules.
    package struct Chain: Sendable, Hashable {
        package var name: String
        package var hook: ChainHook?
        package var rules: [[Expression]]
    }

    /// The chains that are always there.
    package var chains: [Chain] {
        [
            Chain(name: Self.refuse, hook: nil, rules: refuseRules),
            Chain(name: "prerouting", hook: .translateDestination, rules: dispatchRules),
            Chain(name: "output", hook: .translateOwnDestination, rules: dispatchRules),
            Chain(name: "postrouting", hook: .translateSource, rules: masqueradeRules),
        ]
    }

    /// The chain that picks one of `count` endpoints.
    package func pickChain(_ count: Int) -> Chain {
        let slot = Register.word(words + 2)
        let address = slot
        let port = Register.word(words * 2 + 2)
        return Chain(
            name: Self.pick(count), hook: nil,
            rules: [
                loadServiceKey + [
                    .random(modulus: UInt32(clamping: count), into: slot),
                    .lookup(Self.endpoints, key: .word(0), into: address),
                    .translateDestination(family, address: address, port: port),
                ]
            ])
    }
}

// The rules, as the shell's `nft` would have them in the comments.
extension NftablesForm {
    /// How many 32-bit registers an address takes.
    private var words: UInt32 { family == .ipv4 ? 1 : 4 }

    private func loadSource(into register: Register) -> Expression {
        .payload(.network, offset: family == .ipv4 ? 12 : 8, length: words * 4, into: register)
    }

    private func loadDestination(into register: Register) -> Expression {
        .payload(.network, offset: family == .ipv4 ? 16 : 24, length: words * 4, into: register)
    }

    /// `ip daddr . meta l4proto . th dport`
    private var loadServiceKey: [Expression] {
        [
            loadDestination(into: .word(0)),
            .meta(.transportProtocol, into: .word(words)),
            .payload(.transport, offset: 2, length: 2, into: .word(words + 1)),
        ]
    }

    private func isWithin(_ network: IPNetwork, _ register: Register) -> [Expression] {
        [
            .mask(
                register, into: register, mask: network.mask,
                xor: [UInt8](repeating: 0, count: network.mask.count)),
            .compare(register, .equal, network.first.bytes),
        ]
    }

    private func ranges(_ networks: [IPNetwork]) -> [IPNetwork] {
        networks.filter { $0.address.family == family }
    }

    /// What becomes of a new connection's first packet.
    private var dispatchRules: [[Expression]] {
        var rules: [[Expression]] = [
            // ip daddr . meta l4proto . th dport vmap @services
            loadServiceKey + [.lookup(Self.services, key: .word(0), into: .verdict)],
            // ip daddr @service-addresses goto refuse: a Service's address, but not one of its ports
            [
                loadDestination(into: .word(0)), .lookup(Self.serviceAddresses, key: .word(0)),
                .verdict(.goto(Self.refuse)),
            ],
            // ip daddr @node-local accept
            [
                loadDestination(into: .word(0)), .lookup(Self.nodeLocal, key: .word(0)), .verdict(.accept),
            ],
        ]
        // ip daddr 10.96.0.0/16 drop: no Service has this address, or not yet
        for range in ranges(configuration.serviceRanges) {
            rules.append(
                [loadDestination(into: .word(0))] + isWithin(range, .word(0)) + [.verdict(.drop)])
        }
        return rules
    }

    private var refuseRules: [[Expression]] {
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

    /// The bit of a connection's status that says that its destination was translated (`IPS_DST_NAT`).
    private static let destinationTranslated: UInt32 = 1 << 5

    private static func hostOrder(_ number: UInt32) -> [UInt8] {
        withUnsafeBytes(of: number) { Array($0) }
    }

    /// Which connections get another source address, and no others do.
    private var masqueradeRules: [[Expression]] {
        var rules: [[Expression]] = [
            // ct status & dnat == 0 accept
            [
                .connection(.status, into: .word(0)),
                .mask(
                    .word(0), into: .word(0), mask: Self.hostOrder(Self.destinationTranslated),
                    xor: [0, 0, 0, 0]),
                .compare(.word(0), .equal, [0, 0, 0, 0]),
                .verdict(.accept),
            ],
            // ip saddr . ip daddr @hairpins masquerade: a pod that a Service led back to itself
            [
                loadSource(into: .word(0)), loadDestination(into: .word(words)),
                .lookup(Self.hairpins, key: .word(0)), .masquerade,
            ],
        ]
        // ct original ip daddr 10.96.0.0/16, and so for each range and for the node's address
        for target in translatedTargets {
            let key: Expression.ConnectionKey = family == .ipv4 ? .destinationIPv4 : .destinationIPv6
            rules.append([.connection(key, into: .word(0))] + isWithin(target, .word(0)) + leavesFromOutside)
        }
        return rules
    }

    /// Where connections are sent that this proxy translates.
    private var translatedTargets: [IPNetwork] {
        let own = configuration.nodeAddress.map { [IPNetwork(host: $0)] } ?? []
        return ranges(configuration.serviceRanges + own)
    }

    /// A client outside the cluster was led to an endpoint on another node. The answer must come back this way,
    /// so the endpoint must see this node as its client. (Answers of this node's endpoints come this way anyway,
    /// and these see the client's own address.)
    ///
    ///     ip daddr . ip daddr != @hairpins ip saddr != 10.244.0.0/16 fib saddr type != local masquerade
    private var leavesFromOutside: [Expression] {
        var rule: [Expression] = [
            loadDestination(into: .word(0)), loadDestination(into: .word(words)),
            .lookup(Self.hairpins, key: .word(0), inverted: true),
        ]
        for pods in ranges(configuration.podRanges) {
            rule.append(loadSource(into: .word(0)))
            rule.append(
                .mask(
                    .word(0), into: .word(0), mask: pods.mask,
                    xor: [UInt8](repeating: 0, count: pods.mask.count)))
            rule.append(.compare(.word(0), .notEqual, pods.first.bytes))
        }
        rule.append(.addressType(ofSource: true, into: .word(0)))
        rule.append(.compare(.word(0), .notEqual, Self.hostOrder(2)))
        rule.append(.masquerade)
        return rule
    }
}
