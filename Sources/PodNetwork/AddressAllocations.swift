import Netlink

/// The notes of the `host-local` plugin: for each address in use a file of that name, whose first line is the
/// sandbox's ID. A sandbox that vanished without its plugin being called (the machine was reset) leaves its file,
/// and its address, behind.
struct AddressAllocations: Sendable, Hashable {
    /// The sandbox of each address.
    private(set) var sandboxes: [IPAddress: String] = [:]

    /// Takes in a file. Other files in the directory (`lock`, `last_reserved_ip.0`) are no addresses.
    mutating func add(fileName: String, text: String) {
        guard let address = IPAddress(fileName) else { return }
        let firstLine = text.prefix { !$0.isNewline }
        sandboxes[address] = firstLine.split(separator: " ").first.map(String.init) ?? ""
    }

    /// The addresses of sandboxes that are not there any more.
    func abandoned(live: Set<String>) -> [IPAddress] {
        sandboxes.filter { !live.contains($0.value) }.map(\.key).sorted()
    }
}

/// What pods have left on the node's side: the host's ends of their veth pairs, which are found by the routes
/// to single addresses of the node's range.
struct PodLinks: Sendable, Hashable {
    /// The link to each pod's address.
    private(set) var links: [IPAddress: Int32] = [:]

    init(_ range: IPNetwork, routes: [Route], links all: [Link]) {
        let pairs = Set(all.filter { $0.kind == "veth" }.map(\.index))
        for route in routes
        where route.destination.prefixLength == range.address.family.bitCount && route.kind == .unicast
            && range.contains(route.destination.address)
        {
            if let link = route.link, pairs.contains(link) { links[route.destination.address] = link }
        }
    }
}
