import Netlink

/// The form that the forwarding table has in nftables, for one address family.
///
/// Everything that grows is in flat maps, so neither a packet's way nor a change gets longer when there are more
/// Services. Chains exist per distinct number of endpoints, not per Service:
///
///     map services  { address . protocol . port : verdict }                  # goto spread | goto pick7 | drop
///     map outside   { address . protocol . port : verdict }                  # for clients elsewhere, where it differs
///     map node-services { protocol . port : verdict }                        # the same for ports of the node,
///     map node-outside  { protocol . port : verdict }                        # at whichever of its addresses
///     map counts    { address . protocol . port : number }                   # of endpoints, from 2 to 6
///     map endpoints { address . protocol . port . slot : address . port }
///     chain spread  { counts == 2 goto pick2; …; dnat to slot 0, looked up in endpoints; goto refuse }
///     chain pick3   { dnat to address . protocol . port . random number below 3, looked up in endpoints; … }
///
/// What a Service with few endpoints leads to never changes: how many it has is in a map of its own. For the kernel
/// looks at all elements of all maps with verdicts whenever one comes, so that a change which brings one costs the more
/// the more Services there are. (Larger numbers would make the chain `spread` longer for everybody.)
///
/// Ports of the node have the unspecified address in the other keys. They have maps of their own for verdicts because
/// the kernel looks at all elements of such a map whenever one comes, once for each rule of a hook that looks into it:
/// that is what a change costs at which a number of endpoints changes. The slot's type is `mark`, the one type of the
/// `nft` program's for 32-bit numbers in the machine's byte order, which is what the random number is.
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
        "Swiftlet service proxy, form 6, "
            + configuration.serviceRanges.map(\.description).joined(separator: " ")
    }

    // Names in the table.
    package static let services = "services"
    package static let outside = "outside"
    package static let nodeServices = "node-services"
    package static let nodeOutside = "node-outside"
    package static let counts = "counts"
    package static let endpoints = "endpoints"
    package static let serviceAddresses = "service-addresses"
    package static let nodeLocal = "node-local"
    package static let nodePorts = "node-ports"
    package static let hairpins = "hairpins"
    package static let restricted = "restricted"
    package static let sources = "sources"
    package static let sticky = "sticky"
    package static let members = "members"
    package static let affinity = "affinity"
    package static let refuse = "refuse"
    package static let spread = "spread"
    package static let nodeSpread = "spread-node"
    package static let checkSource = "check-source"
    package static let ownNode = "to-this-node"

    /// The numbers of endpoints that are in `counts`.
    package static let counted = 2...6

    private var addressType: DataType { family == .ipv4 ? .ipv4Address : .ipv6Address }

    package var sets: [SetDeclaration] {
        let nodePort: [DataType] = [.transportProtocol, .port]
        let entry = [addressType] + nodePort
        var affinity = SetDeclaration(
            Self.affinity, key: [addressType] + entry, value: .data([addressType, .port]))
        affinity.isDynamic = true
        affinity.timeout = .seconds(10_800)
        affinity.size = 1 << 20
        return [
            SetDeclaration(Self.endpoints, key: entry + [.mark], value: .data([addressType, .port])),
            SetDeclaration(Self.counts, key: entry, value: .data([.port])),
            SetDeclaration(Self.services, key: entry, value: .verdict),
            SetDeclaration(Self.outside, key: entry, value: .verdict),
            SetDeclaration(Self.nodeServices, key: nodePort, value: .verdict),
            SetDeclaration(Self.nodeOutside, key: nodePort, value: .verdict),
            SetDeclaration(Self.serviceAddresses, key: [addressType]),
            SetDeclaration(Self.nodeLocal, key: [addressType]),
            SetDeclaration(Self.nodePorts, key: nodePort),
            SetDeclaration(Self.hairpins, key: [addressType, addressType]),
            // Entries that not everybody may use, and who may: a network and its number of leading bits.
            SetDeclaration(Self.restricted, key: entry),
            SetDeclaration(Self.sources, key: entry + [addressType, .mark]),
            // Entries whose clients stick to an endpoint, which endpoints these have, and which one a client has.
            SetDeclaration(Self.sticky, key: entry, value: .verdict),
            SetDeclaration(Self.members, key: entry + [addressType, .port]),
            affinity,
        ]
    }

    /// Whether the set holds what the forwarding table says. The others are the packets' and the configuration's.
    package static func holdsTable(_ set: String) -> Bool { set != affinity && set != nodeLocal }

    /// A chain and its rules.
    package struct Chain: Sendable, Hashable {
        package var name: String
        package var hook: ChainHook?
        package var rules: [[Expression]]
        /// What is to be read beside rules, by their places.
        package var comments: [Int: String] = [:]
    }

    /// The chains that are always there.
    package var chains: [Chain] {
        [
            Chain(name: Self.refuse, hook: nil, rules: refuseRules),
            checkSourceChain([]),
        ]
            + [false, true].flatMap { isNodePort in
                let picks = Self.counted.map { PickChain($0, isNodePort: isNodePort) }
                return picks.map { chain(.pick($0)) } + [
                    Chain(
                        name: isNodePort ? Self.nodeSpread : Self.spread, hook: nil, rules: spreadRules(picks)
                    )
                ]
            } + [
                Chain(name: Self.ownNode, hook: nil, rules: nodePortRules(isOwn: false)),
                Chain(name: "prerouting", hook: .translateDestination, rules: dispatchRules(isOwn: false)),
                Chain(name: "output", hook: .translateOwnDestination, rules: dispatchRules(isOwn: true)),
                Chain(
                    name: "postrouting", hook: .translateSource, rules: masqueradeRules,
                    comments: masqueradeComments),
                Chain(name: "remember", hook: .beforeSourceTranslation, rules: rememberRules),
                Chain(name: "remember-here", hook: .beforeOwnSourceTranslation, rules: rememberRules),
                Chain(name: "loopback-out", hook: .beforeTrackingOwn, rules: leaveLoopbackRules),
                Chain(name: "loopback-in", hook: .afterTranslation, rules: enterLoopbackRules),
            ]
    }

    /// The rules of a chain that entries share.
    package func chain(_ shared: SharedChain) -> Chain {
        switch shared {
        case .pick(let pick): Chain(name: pick.name, hook: nil, rules: pickRules(pick))
        case .remember(let remember): Chain(name: remember.name, hook: nil, rules: [rememberRule(remember)])
        }
    }

    /// The chain that lets a client pass whose address is in one of an entry's ranges, and drops all others.
    /// - Parameter lengths: the prefix lengths that ranges of entries have.
    package func checkSourceChain(_ lengths: some Sequence<Int>) -> Chain {
        Chain(name: Self.checkSource, hook: nil, rules: checkSourceRules(lengths.sorted()))
    }
}

extension ChainHook {
    /// The first packets of connections that leave this machine or pass through it, and of those that end here, before
    /// anybody's rule gives them another source: chains behind one that does are not asked.
    static let beforeSourceTranslation = ChainHook(.nat, .postrouting, priority: 90)
    static let beforeOwnSourceTranslation = ChainHook(.nat, .input, priority: 90)
    /// What this machine receives, after its addresses were translated back.
    static let afterTranslation = ChainHook(.filter, .input, priority: 200)
}
