import Netlink

/// Which of an entry's endpoints a chain picks from. Those for everybody, or for the inside, have the slots from 0
/// on; those for the outside begin at 2^31.
package enum EndpointGroup: Sendable, Hashable {
    case inside
    case outside

    package var firstSlot: UInt32 { self == .inside ? 0 : 1 << 31 }
}

/// A chain that picks one of an entry's endpoints. Entries with the same number of endpoints and the same manners
/// share one, so there are few, however many Services there are.
package struct PickChain: Sendable, Hashable, Comparable {
    /// How many endpoints there are to pick from.
    package var count: Int
    /// Whether the entry is a port of the node, whichever of its addresses was called.
    package var isNodePort = false
    package var group = EndpointGroup.inside
    /// For how many seconds a client keeps its endpoint; nil when it does not.
    package var affinity: Int?

    package init(_ count: Int, isNodePort: Bool = false) {
        self.count = count
        self.isNodePort = isNodePort
    }

    /// The chain for one side of an entry; nil when there is nothing to pick.
    package init?(_ address: ServiceAddress, _ forwarding: Forwarding, _ group: EndpointGroup) {
        let destination = group == .inside ? forwarding.inside : forwarding.outside
        guard let count = destination?.backends.count, count > 0 else { return nil }
        self.count = count
        isNodePort = address.isNodePort
        self.group = group
        affinity = forwarding.affinity
    }

    /// Whether the chain is always there, and is led to by how many endpoints an entry has in `counts`.
    package var isCounted: Bool {
        group == .inside && affinity == nil && NftablesForm.counted.contains(count)
    }

    /// The chain's name: `pick3`, `pick3-node-outside-sticky10800`.
    package var name: String {
        "pick\(count)" + (isNodePort ? "-node" : "") + (group == .outside ? "-outside" : "")
            + (affinity.map { "-sticky\($0)" } ?? "")
    }

    /// The chain of this name.
    package init?(name: String) {
        var parts = name.split(separator: "-", omittingEmptySubsequences: false)[...]
        guard let first = parts.popFirst(), first.hasPrefix("pick"), let count = Int(first.dropFirst(4)),
            count > 0
        else { return nil }
        self.count = count
        if parts.first == "node" {
            isNodePort = true
            parts.removeFirst()
        }
        if parts.first == "outside" {
            group = .outside
            parts.removeFirst()
        }
        if let last = parts.first, last.hasPrefix("sticky"), let seconds = Int(last.dropFirst(6)) {
            affinity = seconds
            parts.removeFirst()
        }
        guard parts.isEmpty, self.name == name else { return nil }
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.count, left.name) < (right.count, right.name)
    }
}
