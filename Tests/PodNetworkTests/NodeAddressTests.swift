import Netlink
import PodNetwork
import Testing

@Suite struct NodeAddressTests {
    private func link(_ index: Int32, _ name: String, kind: String? = nil, loopback: Bool = false) -> Link {
        Link(index: index, name: name, kind: kind, flags: loopback ? 9 : 1, mtu: 1500)
    }

    private func address(_ text: String, _ link: Int32, scope: UInt8 = 0) throws -> InterfaceAddress {
        InterfaceAddress(try #require(IPNetwork(text)), link: link, scope: scope)
    }

    private func choose(_ links: [Link], _ addresses: [InterfaceAddress], _ routes: [Route] = []) -> String? {
        NodeAddress.choose(
            links: links, addresses: addresses, routes: routes,
            excluding: ["10.244.0.0/16", "10.96.0.0/16"].compactMap { IPNetwork($0) })?.description
    }

    @Test func theWayOutDecides() throws {
        let links = [link(1, "lo", loopback: true), link(2, "eth0"), link(3, "eth1")]
        let addresses = [try address("192.0.2.2/24", 2), try address("198.51.100.3/24", 3)]
        var route = Route(try #require(IPNetwork("0.0.0.0/0")), link: 3)
        #expect(choose(links, addresses, [route]) == "198.51.100.3")
        route.source = IPAddress("198.51.100.77")
        #expect(choose(links, addresses, [route]) == "198.51.100.77")
        // Of several ways out the preferred one counts.
        var worse = route
        worse.metric = 200
        var better = Route(try #require(IPNetwork("0.0.0.0/0")), link: 2)
        better.metric = 100
        #expect(choose(links, addresses, [worse, better]) == "192.0.2.2")
    }

    @Test func withoutAWayOutRealInterfacesComeFirst() throws {
        let links = [
            link(1, "lo", loopback: true), link(2, "docker0", kind: "bridge"),
            link(3, "wg0", kind: "wireguard"),
            link(4, "eth0"),
        ]
        let addresses = [
            try address("127.0.0.1/8", 1, scope: 254), try address("203.0.113.1/32", 1),
            try address("172.17.0.1/16", 2), try address("192.0.2.9/24", 3), try address("192.0.2.10/24", 4),
        ]
        #expect(choose(links, addresses) == "192.0.2.10")
        #expect(choose(links, addresses.filter { $0.link != 4 }) == "192.0.2.9")
        #expect(choose(links, addresses.filter { $0.link < 3 }) == "172.17.0.1")
        #expect(choose(links, addresses.filter { $0.link == 1 }) == "203.0.113.1")
        #expect(choose(links, [addresses[0]]) == nil)
    }

    @Test func podsAndServicesAddressesAreNotTheNodes() throws {
        let links = [
            link(1, "lo", loopback: true), link(2, "veth1", kind: "veth"),
            link(3, "swiftlet0", kind: "bridge"),
        ]
        let addresses = [try address("10.244.0.1/32", 2), try address("10.96.0.10/32", 3)]
        #expect(choose(links, addresses) == nil)
        // An interface that is down does not count either.
        var down = link(4, "eth0")
        down.flags = 0
        #expect(choose(links + [down], addresses + [try address("192.0.2.1/24", 4)]) == nil)
    }
}
