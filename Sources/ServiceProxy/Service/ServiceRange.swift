import Glibc
import Netlink

/// The interface to which the whole Service range is routed.
///
/// A route is needed for the node's own processes: without one their connections fail before the kernel asks
/// nftables. And whatever is sent to a Service address and not translated ends at this interface; it never
/// leaves the machine.
///
/// The interface is a `dummy` where the kernel has that type. Else it is a bridge without ports and without
/// address resolution, which drops what it is given just as well.
package struct ServiceRange: Sendable {
    private let configuration: ProxyConfiguration
    private let routes: RouteSocket

    package init(_ configuration: ProxyConfiguration, _ routes: RouteSocket) {
        self.configuration = configuration
        self.routes = routes
    }

    /// Makes the interface with its addresses and routes, or completes the one that is there.
    package func establish() throws(NetlinkError) {
        let link = try interface()
        try routes.setLink(link.index, addressResolution: false)
        try routes.setLink(link.index, up: true)
        let present = try routes.addresses().filter { $0.link == link.index }.map(\.network.address)
        for address in configuration.nodeLocalAddresses where !present.contains(address) {
            try routes.addAddress(InterfaceAddress(IPNetwork(host: address), link: link.index))
        }
        for range in configuration.serviceRanges {
            var route = Route(range, link: link.index)
            // Packets of the node's own get the node's address, which pods can answer.
            if let source = configuration.nodeAddress, source.family == range.address.family {
                route.source = source
            }
            try routes.setRoute(route)
        }
    }

    /// Removes the interface, and with it addresses and routes.
    package func remove() throws(NetlinkError) {
        guard let link = try routes.link(named: configuration.interfaceName) else { return }
        try routes.removeLink(link.index)
    }

    private func interface() throws(NetlinkError) -> Link {
        let name = configuration.interfaceName
        if let link = try routes.link(named: name) { return link }
        do {
            try routes.addLink(name, .dummy)
        } catch {
            guard error.refusal == EOPNOTSUPP else { throw error }
            try routes.addLink(name, .bridge)
        }
        guard let link = try routes.link(named: name) else {
            throw NetlinkError(.unanswered, request: "show link \(name)")
        }
        return link
    }
}
