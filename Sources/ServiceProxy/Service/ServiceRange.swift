import Glibc
import Netlink

/// The interface to which the whole Service range is routed.
///
/// A route is needed for the node's own processes: without one their connections fail before the kernel asks
/// nftables. And whatever is sent to a Service address and not translated ends at this interface; it never
/// leaves the machine.
///
/// The interface is a `dummy` where the kernel has that type. Else it is a bridge without ports and without
/// address resolution, which drops what it is given just as well. Where there is neither, the range is routed to
/// the loopback interface as addresses of this machine; then it is the tables alone that keep untranslated
/// packets from programs which listen on every address.
package struct ServiceRange: Sendable {
    /// What the range can be routed to.
    package enum Carrier: Sendable, CaseIterable {
        case dummy
        case bridge
        case loopback
    }

    private let configuration: ProxyConfiguration
    private let routes: RouteSocket
    private let carriers: [Carrier]

    /// - Parameter carriers: what to try, in this order.
    package init(
        _ configuration: ProxyConfiguration, _ routes: RouteSocket, carriers: [Carrier] = Carrier.allCases
    ) {
        self.configuration = configuration
        self.routes = routes
        self.carriers = carriers
    }

    /// Makes the interface with its addresses and routes, or completes the one that is there.
    package func establish() throws(NetlinkError) {
        let link = try interface()
        if !link.isLoopback {
            try routes.setLink(link.index, addressResolution: false)
            try routes.setLink(link.index, up: true)
        }
        let present = try routes.addresses().filter { $0.link == link.index }.map(\.network.address)
        for address in configuration.nodeLocalAddresses where !present.contains(address) {
            try routes.addAddress(InterfaceAddress(IPNetwork(host: address), link: link.index))
        }
        for range in configuration.serviceRanges {
            var route = Route(range, link.isLoopback ? .local : .unicast, link: link.index)
            // Packets of the node's own get the node's address, which pods can answer.
            route.source = configuration.nodeAddress(range.address.family)
            try routes.setRoute(route)
        }
    }

    /// Removes interface, addresses and routes.
    package func remove() throws(NetlinkError) {
        if let link = try routes.link(named: configuration.interfaceName) {
            try routes.removeLink(link.index)
        }
        try removeRoutes(to: configuration.serviceRanges)
        let loopbacks = try routes.links().filter(\.isLoopback).map(\.index)
        for address in try routes.addresses()
        where loopbacks.contains(address.link)
            && configuration.nodeLocalAddresses.contains(address.network.address)
        {
            try routes.removeAddress(address)
        }
    }

    /// Removes the routes to ranges that are none of Service addresses any more.
    package func removeRoutes(to ranges: [IPNetwork]) throws(NetlinkError) {
        for range in ranges {
            for route in try routes.routes(range.address.family)
            where route.owner == Route.swiftlet && route.destination == range.canonical {
                try routes.removeRoute(route)
            }
        }
    }

    private func interface() throws(NetlinkError) -> Link {
        let name = configuration.interfaceName
        if let link = try routes.link(named: name) { return link }
        var refusal: NetlinkError?
        for carrier in carriers {
            do throws(NetlinkError) {
                switch carrier {
                case .dummy: try routes.addLink(name, .dummy)
                case .bridge: try routes.addLink(name, .bridge)
                case .loopback:
                    if let link = try routes.links().first(where: \.isLoopback) { return link }
                    continue
                }
                if let link = try routes.link(named: name) { return link }
            } catch {
                guard error.refusal == EOPNOTSUPP else { throw error }
                refusal = error
            }
        }
        throw refusal ?? NetlinkError(.unanswered, request: "find an interface for the Service range")
    }
}

extension RouteSocket {
    /// The destinations of all routes that are Swiftlet's.
    func swiftletRoutes() throws(NetlinkError) -> [IPNetwork] {
        var result: [IPNetwork] = []
        for family in [IPAddress.Family.ipv4, .ipv6] {
            for route in try routes(family) where route.owner == Route.swiftlet {
                result.append(route.destination)
            }
        }
        return result
    }
}
