import Cluster
import Netlink
import NodeAgent
import Testing

@Suite("Connections of a pod, read off connection tracking")
struct ConnectionCountTests {
    private let pod = IPAddress(ipv4: 0x0AF4_0002)
    private let service = IPAddress(ipv4: 0x0A60_0014)
    private let node = IPAddress(ipv4: 0xC000_020A)
    private let client = IPAddress(ipv4: 0x0AF4_0009)

    private func connection(
        from source: IPAddress? = nil, to destination: IPAddress? = nil, port: UInt16 = 3000,
        _ transport: UInt8 = 6, state: UInt8? = 3, left: UInt32? = 100
    ) -> TrackedConnection {
        let (source, destination) = (source ?? client, destination ?? service)
        return TrackedConnection(
            original: ConnectionTuple(
                source: source, destination: destination, sourcePort: 40000,
                destinationPort: destination == pod ? port : 80, transportProtocol: transport),
            reply: ConnectionTuple(
                source: pod, destination: source, sourcePort: port, destinationPort: 40000,
                transportProtocol: transport), tcpState: state, status: 0x0E, secondsLeft: left)
    }

    private func count(_ connections: [TrackedConnection]) -> PodConnections {
        ConnectionCount(ports: [3000], nodeAddresses: [node]).count(connections)
    }

    @Test("Open ones count, whoever they come from; the node's own probes do not")
    func open() {
        #expect(count([connection(), connection(state: 2)]).open == 2)
        #expect(count([connection(from: node)]).open == 1)
        #expect(count([connection(to: pod)]).open == 1)
        #expect(count([connection(from: node, to: pod)]) == PodConnections())
        #expect(count([connection(to: pod, port: 9999)]) == PodConnections())
    }

    @Test(
        "Half closed ones, those in TIME_WAIT and datagrams are not open",
        arguments: [4, 5, 6, 7, 8] as [UInt8])
    func closing(state: UInt8) {
        #expect(count([connection(state: state, left: 1)]) == PodConnections())
        #expect(count([connection(17, state: nil, left: 1)]).open == 0)
    }

    @Test("A pod is unused when nothing is open, recent, or a flow of datagrams")
    func unused() {
        #expect(count([]).areOver)
        #expect(count([connection(state: 7, left: 100)]).areOver)
        #expect(!count([connection(state: 7, left: 119)]).areOver)
        #expect(!count([connection(state: 1, left: 1)]).areOver)
        #expect(!count([connection(17, state: nil, left: 1)]).areOver)
        #expect(count([connection(from: node, to: pod)]).areOver)
        #expect(
            ConnectionCount(ports: [3000], nodeAddresses: [node])
                .open([connection(), connection(state: 7), connection(from: node, to: pod)])
                == [connection()])
    }

    @Test("What ended in the last two seconds shows that the pod is in use")
    func recent() {
        #expect(count([connection()]).areRecent)
        #expect(count([connection(state: 7, left: 118)]).areRecent)
        #expect(!count([connection(state: 7, left: 117)]).areRecent)
        #expect(count([connection(17, state: nil, left: 119)]).areRecent)
        #expect(!count([connection(17, state: nil, left: 30)]).areRecent)
        #expect(!count([connection(state: 7, left: nil)]).areRecent)
    }
}
