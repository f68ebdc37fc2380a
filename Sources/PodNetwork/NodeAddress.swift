import Netlink

/// Finds the address by which a node is known.
public enum NodeAddress {
    /// The address that other machines would use, or the best there is:
    /// 1. the source address of the default route, or the first address of its interface;
    /// 2. an address of another interface that is up, real ones before virtual ones;
    /// 3. an address of the loopback interface that is not 127.0.0.0/8, as in a sandbox without any uplink.
    ///
    /// - Parameter excluded: ranges of pods and Services, whose addresses are not the node's.
    /// - Returns: nil when the machine has none.
    public static func choose(
        _ family: IPAddress.Family = .ipv4, links: [Link], addresses: [InterfaceAddress], routes: [Route],
        excluding excluded: [IPNetwork]
    ) -> IPAddress? {
        func candidates(_ link: Link) -> [IPAddress] {
            addresses.filter { $0.link == link.index && $0.isGlobal }.map(\.network.address).filter {
                address in
                address.family == family && !excluded.contains { $0.contains(address) }
            }
        }
        if let route = defaultRoute(family, routes) {
            if let source = route.source { return source }
            if let link = links.first(where: { $0.index == route.link }), let address = candidates(link).first
            {
                return address
            }
        }
        let rank: (Link) -> Int = { link in
            if link.isLoopback { return 3 }
            switch link.kind {
            case nil: return 0
            case "bridge", "veth", "dummy": return 2
            default: return 1
            }
        }
        return links.filter(\.isUp).sorted { (rank($0), $0.index) < (rank($1), $1.index) }
            .lazy.compactMap { candidates($0).first }.first
    }

    /// The route by which packets leave for everywhere, or nil when there is no uplink.
    static func defaultRoute(_ family: IPAddress.Family, _ routes: [Route]) -> Route? {
        routes.filter {
            $0.destination.prefixLength == 0 && $0.destination.address.family == family && $0.kind == .unicast
                && $0.table == 254
        }
        .min { ($0.metric ?? 0) < ($1.metric ?? 0) }
    }

    /// The address of the machine that this process runs on (of its network namespace).
    /// - Throws: `PodNetworkError` when there is none.
    public static func find(
        _ family: IPAddress.Family = .ipv4, excluding excluded: [IPNetwork]
    ) throws(PodNetworkError) -> IPAddress {
        let found: IPAddress?
        do throws(NetlinkError) {
            let kernel = try RouteSocket()
            found = choose(
                family, links: try kernel.links(), addresses: try kernel.addresses(),
                routes: try kernel.routes(family), excluding: excluded)
        } catch {
            throw PodNetworkError(.kernel(error), "the node's address cannot be found")
        }
        guard let found else {
            throw PodNetworkError(
                .noAddress,
                "this machine has no \(family == .ipv4 ? "IPv4" : "IPv6") address but 127.0.0.1; "
                    + "give an interface one, or name the node's address")
        }
        return found
    }
}
