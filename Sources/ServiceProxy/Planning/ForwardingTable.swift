import Netlink

/// A transport protocol that Services can have, with the number that packets carry.
public enum TransportProtocol: UInt8, Sendable, Hashable, Comparable, CaseIterable, CustomStringConvertible {
    case tcp = 6
    case udp = 17
    case sctp = 132

    /// From the API's name of it: `TCP`, `UDP` or `SCTP`; an empty name is TCP.
    public init?(name: String) {
        switch name {
        case "TCP", "": self = .tcp
        case "UDP": self = .udp
        case "SCTP": self = .sctp
        default: return nil
        }
    }

    public var description: String {
        switch self {
        case .tcp: "TCP"
        case .udp: "UDP"
        case .sctp: "SCTP"
        }
    }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// Where clients send to: an address, a protocol and a port of a Service. The unspecified address, 0.0.0.0 or ::,
/// stands for every address of the node; what is said of a certain address goes before it.
public struct ServiceAddress: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var address: IPAddress
    public var transportProtocol: TransportProtocol
    public var port: UInt16

    public init(_ address: IPAddress, _ transportProtocol: TransportProtocol, _ port: UInt16) {
        self.address = address
        self.transportProtocol = transportProtocol
        self.port = port
    }

    /// Whether it is a port of the node's, at whichever of its addresses.
    public var isNodePort: Bool { address.isUnspecified }

    /// The same port of the node, at whichever of its addresses.
    package var onNode: ServiceAddress {
        ServiceAddress(.unspecified(address.family), transportProtocol, port)
    }

    public var description: String {
        address.family == .ipv4
            ? "\(address):\(port)/\(transportProtocol)" : "[\(address)]:\(port)/\(transportProtocol)"
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.address, left.port, left.transportProtocol) < (
            right.address, right.port, right.transportProtocol
        )
    }
}

/// Where a connection is sent on to: an endpoint's address and port.
public struct Backend: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var address: IPAddress
    public var port: UInt16

    public init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    public var description: String { address.family == .ipv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }

    public static func < (left: Self, right: Self) -> Bool {
        (left.address, left.port) < (right.address, right.port)
    }
}

/// What happens to new connections to one `ServiceAddress`.
public struct Forwarding: Sendable, Hashable {
    /// Where connections go.
    public enum Destination: Sendable, Hashable {
        /// Each goes to one of these, chosen at random. A backend's place in the list is its slot in the kernel.
        case spread([Backend])
        /// They are refused at once: a TCP reset, or ICMP port unreachable. For Services without endpoints.
        case refuse
        /// They vanish. For traffic policy Local without an endpoint on the node.
        case drop

        /// The backends, in the order of their slots.
        public var backends: [Backend] {
            if case .spread(let backends) = self { return backends }
            return []
        }
    }

    /// Where everybody's connections go; if `outside` is given, only those of this node's pods and of the node.
    public var inside: Destination
    /// Where the connections of all others go, for `externalTrafficPolicy: Local`.
    public var outside: Destination?
    /// For how many seconds after its last connection a client is led to the same backend again; nil when it is
    /// not (`sessionAffinity: ClientIP`).
    public var affinity: Int?
    /// The only clients whose connections do not vanish (`loadBalancerSourceRanges`); nil for all.
    public var sources: Set<IPNetwork>?

    public init(
        _ inside: Destination, outside: Destination? = nil, affinity: Int? = nil,
        sources: Set<IPNetwork>? = nil
    ) {
        self.inside = inside
        self.outside = outside
        self.affinity = affinity
        self.sources = sources
    }

    /// The same for everybody.
    public static func spread(_ backends: [Backend]) -> Self { Self(.spread(backends)) }
    public static let refuse = Self(.refuse)
    public static let drop = Self(.drop)

    /// The backends of everybody; of those that serve both sides the first mention counts.
    public var backends: [Backend] {
        guard let outside else { return inside.backends }
        let known = Set(inside.backends)
        return inside.backends + outside.backends.filter { !known.contains($0) }
    }
}

/// All that the data plane knows, as a value.
public struct ForwardingTable: Sendable, Hashable {
    /// What happens to new connections.
    public var entries: [ServiceAddress: Forwarding] = [:]
    /// The addresses of Services: their other ports are refused.
    public var serviceAddresses: Set<IPAddress> = []
    /// The addresses of endpoints on this node. A connection from one of them that a Service leads back to it
    /// needs another source address, or the endpoint would take its own answer for a stranger's packet.
    public var hairpinAddresses: Set<IPAddress> = []

    public init() {}
}

/// The difference between two forwarding tables.
public struct TableChanges: Sendable, Hashable {
    /// One entry, before and after; nil where it is absent.
    public struct Entry: Sendable, Hashable {
        public var old: Forwarding?
        public var new: Forwarding?

        public init(old: Forwarding?, new: Forwarding?) {
            self.old = old
            self.new = new
        }

        /// The backends that new connections do not reach any more.
        public var removedBackends: Set<Backend> {
            Set(old?.backends ?? []).subtracting(new?.backends ?? [])
        }

        /// The backends that new connections from outside do not reach any more, where these are treated otherwise.
        var backendsGoneOutside: Set<Backend> {
            Set(old?.outside?.backends ?? []).subtracting(new?.outside?.backends ?? [])
        }
    }

    /// The entries that differ.
    public var entries: [ServiceAddress: Entry] = [:]
    /// Addresses of Services that came and went.
    public var addedServiceAddresses: Set<IPAddress> = []
    public var removedServiceAddresses: Set<IPAddress> = []
    /// Addresses of endpoints on this node that came and went.
    public var addedHairpinAddresses: Set<IPAddress> = []
    public var removedHairpinAddresses: Set<IPAddress> = []
    /// Endpoints of entries whose pods are gone, not only taken out: they were on their way out before. No difference
    /// between tables, since nobody new came to them any more; but connections to them lead nowhere now.
    public var departed: [ServiceAddress: Set<IPAddress>] = [:]

    public init() {}

    /// Whether the tables are equal.
    public var isEmpty: Bool {
        entries.isEmpty && addedServiceAddresses.isEmpty && removedServiceAddresses.isEmpty
            && addedHairpinAddresses.isEmpty && removedHairpinAddresses.isEmpty
    }
}

extension ForwardingTable {
    /// What has to change to get from `old` to this table.
    public func changes(from old: ForwardingTable) -> TableChanges {
        var result = TableChanges()
        for (address, forwarding) in entries where old.entries[address] != forwarding {
            result.entries[address] = .init(old: old.entries[address], new: forwarding)
        }
        for (address, forwarding) in old.entries where entries[address] == nil {
            result.entries[address] = .init(old: forwarding, new: nil)
        }
        result.addedServiceAddresses = serviceAddresses.subtracting(old.serviceAddresses)
        result.removedServiceAddresses = old.serviceAddresses.subtracting(serviceAddresses)
        result.addedHairpinAddresses = hairpinAddresses.subtracting(old.hairpinAddresses)
        result.removedHairpinAddresses = old.hairpinAddresses.subtracting(hairpinAddresses)
        return result
    }

    /// Makes the changes.
    public mutating func apply(_ changes: TableChanges) {
        for (address, change) in changes.entries { entries[address] = change.new }
        serviceAddresses.subtract(changes.removedServiceAddresses)
        serviceAddresses.formUnion(changes.addedServiceAddresses)
        hairpinAddresses.subtract(changes.removedHairpinAddresses)
        hairpinAddresses.formUnion(changes.addedHairpinAddresses)
    }
}

extension Forwarding {
    /// Puts backends into slots so that as few slots as possible change: those that stay keep theirs, newcomers
    /// take those that became free, and when there are fewer than before the last ones move down.
    package static func slots(for wanted: Set<Backend>, after old: [Backend]) -> [Backend] {
        var newcomers = wanted.subtracting(old).sorted()[...]
        var result: [Backend] = []
        result.reserveCapacity(wanted.count)
        var moving = old[...]
        func popStaying() -> Backend? {
            while let last = moving.popLast() {
                if wanted.contains(last) { return last }
            }
            return nil
        }
        while result.count < wanted.count {
            if let first = moving.popFirst() {
                if wanted.contains(first) {
                    result.append(first)
                } else if let newcomer = newcomers.popFirst() {
                    result.append(newcomer)
                } else if let last = popStaying() {
                    result.append(last)
                }
            } else if let newcomer = newcomers.popFirst() {
                result.append(newcomer)
            } else {
                break
            }
        }
        return result
    }
}
