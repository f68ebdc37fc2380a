import CLinux
import Glibc

/// A route.
public struct Route: Sendable, Hashable {
    /// What happens to packets that match.
    public enum Kind: UInt8, Sendable {
        /// They are sent on.
        case unicast = 1
        /// They are delivered on this machine.
        case local = 2
        /// They vanish; a local sender gets EINVAL.
        case blackhole = 6
        /// The sender is told that the destination cannot be reached.
        case unreachable = 7
    }

    /// The destinations; a prefix length of 0 is the default route.
    public var destination: IPNetwork
    /// What happens to packets that match.
    public var kind: Kind = .unicast
    /// The next hop, or nil when the destination is on the link.
    public var gateway: IPAddress?
    /// The index of the interface.
    public var link: Int32?
    /// The source address for packets that have none yet.
    public var source: IPAddress?
    /// The routing table; 254 is `main`.
    public var table: UInt32 = 254
    /// Who made the route (`/etc/iproute2/rt_protos`): 2 is the kernel, 3 a boot script.
    public var owner: UInt8 = Route.swiftlet
    /// The lower, the more preferred; nil for the kernel's default.
    public var metric: UInt32?
    /// Whether the gateway is on the link although no address there says so.
    public var isOnLink = false

    /// The owner that Swiftlet's own routes carry, by which it finds them again: `proto 83`.
    public static let swiftlet: UInt8 = 83

    public init(_ destination: IPNetwork, _ kind: Kind = .unicast, link: Int32? = nil) {
        self.destination = destination.canonical
        self.kind = kind
        self.link = link
    }

    /// How far the destination is, as the kernel wants to know: 0 beyond a gateway, 253 on the link, 254 here.
    var scope: UInt8 {
        switch kind {
        case .local: 254
        case .unicast: gateway == nil ? 253 : 0
        case .blackhole, .unreachable: 0
        }
    }

    var words: String {
        "route \(destination)" + (gateway.map { " via \($0)" } ?? "") + (link.map { " dev \($0)" } ?? "")
    }
}

extension RouteSocket {
    /// The routes of one family, of all tables. Shell: `ip -4 route show table all`.
    public func routes(_ family: IPAddress.Family = .ipv4) throws(NetlinkError) -> [Route] {
        try socket.dump("list the routes", type: UInt16(RTM_GETROUTE)) {
            $0.raw([family.rawValue] + [UInt8](repeating: 0, count: 11))
        }
        .compactMap(Self.route)
    }

    /// Adds a route, or changes the one that is there. Shell: `ip route replace DESTINATION dev NAME`.
    public func setRoute(_ route: Route) throws(NetlinkError) {
        try socket.request(
            "set \(route.words)", type: UInt16(RTM_NEWROUTE), flags: NLM_F_CREATE | NLM_F_REPLACE
        ) { Self.write(route, to: &$0) }
    }

    /// Removes a route. Shell: `ip route delete DESTINATION dev NAME`.
    public func removeRoute(_ route: Route) throws(NetlinkError) {
        try socket.request("delete \(route.words)", type: UInt16(RTM_DELROUTE)) { Self.write(route, to: &$0) }
    }

    /// `struct rtmsg` and the attributes.
    private static func write(_ route: Route, to writer: inout MessageWriter) {
        writer.raw(route.destination.address.family.rawValue)
        writer.raw(UInt8(truncatingIfNeeded: route.destination.prefixLength))
        writer.raw(UInt16(0))  // source prefix, type of service
        writer.raw(route.table < 256 ? UInt8(route.table) : UInt8(RT_TABLE_COMPAT.rawValue))
        writer.raw(route.owner)
        writer.raw(route.scope)
        writer.raw(route.kind.rawValue)
        writer.raw(route.isOnLink ? UInt32(RTNH_F_ONLINK) : 0)
        if route.destination.prefixLength > 0 { writer.attribute(RTA_DST, route.destination.address.bytes) }
        if let gateway = route.gateway { writer.attribute(RTA_GATEWAY, gateway.bytes) }
        if let link = route.link { writer.attribute(RTA_OIF, link) }
        if let source = route.source { writer.attribute(RTA_PREFSRC, source.bytes) }
        if let metric = route.metric { writer.attribute(RTA_PRIORITY, metric) }
        writer.attribute(RTA_TABLE, route.table)
    }

    package static func route(_ message: Message) -> Route? {
        guard Int(message.type) == RTM_NEWROUTE, let family: UInt8 = message.integer(at: 0),
            let length: UInt8 = message.integer(at: 1), let table: UInt8 = message.integer(at: 4),
            let owner: UInt8 = message.integer(at: 5), let type: UInt8 = message.integer(at: 7),
            let flags: UInt32 = message.integer(at: 8),
            let kind = Route.Kind(rawValue: type), let family = IPAddress.Family(rawValue: family)
        else { return nil }
        let attributes = message.attributes(afterHeaderOf: 12)
        let destination =
            attributes[RTA_DST]?.address
            ?? (family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(family: .ipv6, high: 0, low: 0))
        guard let network = IPNetwork(destination, prefixLength: Int(length)) else { return nil }
        var route = Route(network, kind, link: attributes[RTA_OIF]?.integer())
        route.gateway = attributes[RTA_GATEWAY]?.address
        route.source = attributes[RTA_PREFSRC]?.address
        route.table = attributes[RTA_TABLE]?.integer() ?? UInt32(table)
        route.owner = owner
        route.metric = attributes[RTA_PRIORITY]?.integer()
        route.isOnLink = flags & UInt32(RTNH_F_ONLINK) != 0
        return route
    }
}

/// A rule that chooses the routing table.
public struct RoutingRule: Sendable, Hashable {
    /// Rules are tried in the order of their priorities.
    public var priority: UInt32
    /// The table in which to look.
    public var table: UInt32
    /// Which source addresses the rule is for; nil for all.
    public var source: IPNetwork?
    /// Which destination addresses the rule is for; nil for all.
    public var destination: IPNetwork?
    /// The family of packets.
    public var family: IPAddress.Family

    public init(
        priority: UInt32, table: UInt32, source: IPNetwork? = nil, destination: IPNetwork? = nil,
        family: IPAddress.Family = .ipv4
    ) {
        self.priority = priority
        self.table = table
        self.source = source
        self.destination = destination
        self.family = family
    }
}

extension RouteSocket {
    /// The rules of one family. Shell: `ip -4 rule show`.
    public func rules(_ family: IPAddress.Family = .ipv4) throws(NetlinkError) -> [RoutingRule] {
        try socket.dump("list the routing rules", type: UInt16(RTM_GETRULE)) {
            $0.raw([family.rawValue] + [UInt8](repeating: 0, count: 11))
        }
        .compactMap(Self.rule)
    }

    /// Adds a rule. Shell: `ip rule add priority N from SOURCE to DESTINATION lookup TABLE`.
    public func addRule(_ rule: RoutingRule) throws(NetlinkError) {
        try socket.request(
            "add routing rule \(rule.priority)", type: UInt16(RTM_NEWRULE), flags: NLM_F_CREATE | NLM_F_EXCL
        ) { Self.write(rule, to: &$0) }
    }

    /// Removes a rule. Shell: `ip rule delete priority N from SOURCE to DESTINATION lookup TABLE`.
    public func removeRule(_ rule: RoutingRule) throws(NetlinkError) {
        try socket.request("delete routing rule \(rule.priority)", type: UInt16(RTM_DELRULE)) {
            Self.write(rule, to: &$0)
        }
    }

    /// `struct fib_rule_hdr` and the attributes.
    private static func write(_ rule: RoutingRule, to writer: inout MessageWriter) {
        writer.raw(rule.family.rawValue)
        writer.raw(UInt8(truncatingIfNeeded: rule.destination?.prefixLength ?? 0))
        writer.raw(UInt8(truncatingIfNeeded: rule.source?.prefixLength ?? 0))
        writer.raw(UInt8(0))
        writer.raw(rule.table < 256 ? UInt8(rule.table) : UInt8(RT_TABLE_COMPAT.rawValue))
        writer.raw(UInt16(0))
        writer.raw(UInt8(FR_ACT_TO_TBL))
        writer.raw(UInt32(0))
        writer.attribute(FRA_TABLE, rule.table)
        writer.attribute(FRA_PRIORITY, rule.priority)
        if let source = rule.source { writer.attribute(FRA_SRC, source.first.bytes) }
        if let destination = rule.destination { writer.attribute(FRA_DST, destination.first.bytes) }
    }

    package static func rule(_ message: Message) -> RoutingRule? {
        guard Int(message.type) == RTM_NEWRULE, let family: UInt8 = message.integer(at: 0),
            let family = IPAddress.Family(rawValue: family),
            let destinationLength: UInt8 = message.integer(at: 1),
            let sourceLength: UInt8 = message.integer(at: 2), let table: UInt8 = message.integer(at: 4)
        else { return nil }
        let attributes = message.attributes(afterHeaderOf: 12)
        func network(_ type: Int, _ length: UInt8) -> IPNetwork? {
            attributes[type]?.address.flatMap { IPNetwork($0, prefixLength: Int(length)) }
        }
        return RoutingRule(
            priority: attributes[FRA_PRIORITY]?.integer() ?? 0,
            table: attributes[FRA_TABLE]?.integer() ?? UInt32(table),
            source: network(FRA_SRC, sourceLength), destination: network(FRA_DST, destinationLength),
            family: family)
    }
}
