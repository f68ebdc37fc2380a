import Netlink
import Testing

/// What lines of `/proc/net/nf_conntrack` rule out, and what they do not.
@Suite struct TrackingTextTests {
    private static let lines = [
        "ipv4     2 tcp      6 119 TIME_WAIT src=10.244.0.9 dst=10.96.0.42 sport=40312 dport=80 "
            + "src=10.244.0.2 dst=10.244.0.9 sport=3000 dport=40312 [ASSURED] mark=0 zone=0 use=2",
        "ipv4     2 udp      17 29 src=10.244.0.9 dst=10.96.0.10 sport=35000 dport=53 [UNREPLIED] "
            + "src=10.96.0.10 dst=10.244.0.9 sport=53 dport=35000 mark=0 zone=0 use=2",
        "ipv6     10 tcp      6 431999 ESTABLISHED src=fd00:0000:0000:0000:0000:0000:0000:0009 "
            + "dst=fd00:0000:0000:0000:0000:0000:0000:0042 sport=1 dport=80 "
            + "src=fd00:0000:0000:0000:0000:0000:0000:0002 dst=fd00:0000:0000:0000:0000:0000:0000:0009 "
            + "sport=3000 dport=1 [ASSURED] mark=0 zone=0 use=2",
    ]

    /// Which of the lines may match.
    private func matching(_ filter: ConnectionFilter) throws -> [Int] {
        try Self.lines.indices.filter { index in
            try #require(TrackingLine(Self.lines[index].utf8)).mayMatch(filter)
        }
    }

    @Test func linesSayWhereConnectionsLead() throws {
        #expect(try matching(ConnectionFilter()) == [0, 1, 2])
        #expect(try matching(ConnectionFilter(replySource: IPAddress("10.244.0.2"))) == [0])
        // Who begins a connection, or is asked for an answer, does not answer it.
        #expect(try matching(ConnectionFilter(replySource: IPAddress("10.244.0.9"))) == [])
        #expect(try matching(ConnectionFilter(replySource: IPAddress("fd00::2"))) == [2])
        #expect(try matching(ConnectionFilter(originalDestination: IPAddress("10.96.0.10"))) == [1])
        #expect(try matching(ConnectionFilter(originalDestination: IPAddress("10.244.0.2"))) == [])
        #expect(try matching(ConnectionFilter(transportProtocol: 6)) == [0, 2])
        #expect(try matching(ConnectionFilter(isAnswered: false)) == [1])
        #expect(try matching(ConnectionFilter(isAnswered: true)) == [0, 2])
        // Of ports only the list says more.
        #expect(try matching(ConnectionFilter(transportProtocol: 17, replySourcePort: 1)) == [1])
    }

    @Test func damagedLinesAreNoneOrDoNoHarm() {
        for line in Self.lines.map({ Array($0.utf8) }) {
            for length in 0..<line.count { _ = TrackingLine(line[..<length]) }
            for position in line.indices {
                var damaged = line
                damaged[position] ^= 0x15
                _ = TrackingLine(damaged)
            }
        }
        #expect(TrackingLine("".utf8) == nil)
        #expect(TrackingLine("ipv4 2 tcp 6 119 src=10.244.0.9 dst=10.96.0.42".utf8) == nil)
        #expect(TrackingLine("ipv4 2 tcp 600 1 src=1.1.1.1 dst=1.1.1.2 src=1.1.1.3 dst=1.1.1.4".utf8) == nil)
    }
}
