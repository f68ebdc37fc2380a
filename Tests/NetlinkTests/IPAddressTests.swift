import Netlink
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: [
        "0.0.0.0", "10.96.0.1", "255.255.255.255", "::", "::1", "fd00::1", "2001:db8::1:0:0:1",
        "1:2:3:4:5:6:7:8",
    ])
    func canonicalTextSurvives(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == text)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test func longFormsAreShortened() {
        #expect(IPAddress("2001:0db8:0:0:0:0:0:1")?.description == "2001:db8::1")
        #expect(IPAddress("::ffff:10.0.0.1")?.description == "::ffff:a00:1")
        #expect(IPAddress("1:0:0:2:0:0:0:3")?.description == "1:0:0:2::3")
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "+1.2.3.4", "1..2.3", ":", ":::",
        "1::2::3",
        "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::g", "fe80::1%eth0", "1:", "::1.2.3", "::+1",
    ])
    func nonsenseIsRefused(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func networksKnowTheirBounds() throws {
        let network = try #require(IPNetwork("10.244.3.7/24"))
        #expect(network.first.description == "10.244.3.0")
        #expect(network.last.description == "10.244.3.255")
        #expect(network.canonical.description == "10.244.3.0/24")
        #expect(network.mask == [255, 255, 255, 0])
        let inside = try #require(IPAddress("10.244.3.200"))
        let outside = try #require(IPAddress("10.244.4.0"))
        #expect(network.contains(inside))
        #expect(!network.contains(outside))
        let wide = try #require(IPNetwork("fd00:1:2:3:4::/68"))
        #expect(wide.first.description == "fd00:1:2:3::")
        #expect(wide.last.description == "fd00:1:2:3:fff:ffff:ffff:ffff")
        #expect(IPNetwork("0.0.0.0/0")?.contains(outside) == true)
        #expect(IPNetwork("10.0.0.0/33") == nil)
        #expect(IPNetwork("10.0.0.0/-1") == nil)
    }

    @Test func countingStopsAtTheEnd() throws {
        let last = try #require(IPAddress("255.255.255.255"))
        #expect(last.advanced(by: 1) == nil)
        #expect(IPAddress("10.0.0.255")?.advanced(by: 1)?.description == "10.0.1.0")
        #expect(IPAddress("::ffff:ffff:ffff:ffff")?.advanced(by: 1)?.description == "0:0:0:1::")
    }
}
