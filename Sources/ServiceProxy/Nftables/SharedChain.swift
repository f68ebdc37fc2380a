/// A chain that several entries share.
package enum SharedChain: Sendable, Hashable, Comparable {
    case pick(PickChain)
    case remember(RememberChain)

    package var name: String {
        switch self {
        case .pick(let chain): chain.name
        case .remember(let chain): chain.name
        }
    }

    /// The chains that an entry needs.
    package static func chains(of address: ServiceAddress, _ forwarding: Forwarding) -> [SharedChain] {
        [EndpointGroup.inside, .outside].compactMap { PickChain(address, forwarding, $0) }
            .filter { !$0.isCounted }.map(Self.pick)
            + [RememberChain(address, forwarding)].compactMap { $0.map(Self.remember) }
    }
}

/// A chain that remembers which endpoint a client was led to. There is one for each time that clients are remembered.
package struct RememberChain: Sendable, Hashable, Comparable {
    /// Whether the entry is a port of the node, whichever of its addresses was called.
    package var isNodePort: Bool
    /// For how many seconds.
    package var affinity: Int

    /// The chain for an entry; nil when its clients do not stick.
    package init?(_ address: ServiceAddress, _ forwarding: Forwarding) {
        guard let affinity = forwarding.affinity else { return nil }
        isNodePort = address.isNodePort
        self.affinity = affinity
    }

    /// The chain's name: `remember-node-10800`.
    package var name: String { "remember-" + (isNodePort ? "node-" : "") + "\(affinity)" }

    package static func < (left: Self, right: Self) -> Bool { left.name < right.name }
}
