import ContainerRuntime
import Netlink
import NodeAgent

/// Reads off connection tracking how many connections a pod has; a function of values.
package struct ConnectionCount: Sendable {
    /// The ports at which Services reach the pod.
    package var ports: Set<UInt16>
    /// The node's own addresses: from these come probes, which go straight to the pod.
    package var nodeAddresses: Set<IPAddress>
    package var timeouts: TrackingTimeouts

    package init(
        ports: Set<UInt16>, nodeAddresses: Set<IPAddress>, timeouts: TrackingTimeouts = TrackingTimeouts()
    ) {
        self.ports = ports
        self.nodeAddresses = nodeAddresses
        self.timeouts = timeouts
    }

    /// A connection that ended so many seconds ago still shows that the pod is in use. (Seconds are how finely the
    /// kernel tells.)
    package static let recent = 2

    /// Counts among connections whose answers come from the pod.
    package func count(_ connections: [TrackedConnection]) -> PodConnections {
        var result = PodConnections()
        for connection in connections where isForService(connection) {
            if Self.isOpen(connection) { result.open += 1 }
            if Self.mayGoOn(connection) { result.mayGoOn = true }
            if timeouts.age(of: connection).map({ $0 <= Self.recent }) ?? false { result.areRecent = true }
        }
        return result
    }

    /// Those that hold a pod up.
    package func open(_ connections: [TrackedConnection]) -> [TrackedConnection] {
        connections.filter { isForService($0) && Self.isOpen($0) }
    }

    /// Half closed is over for whoever closed; what is still under way needs no container.
    private static func isOpen(_ connection: TrackedConnection) -> Bool {
        guard connection.original.transportProtocol == 6, let state = connection.tcpState else {
            return false
        }
        return state == TrackingTimeouts.opening || state == TrackingTimeouts.established
    }

    /// Whether a client may send more on it.
    private static func mayGoOn(_ connection: TrackedConnection) -> Bool {
        guard connection.original.transportProtocol == 6, let state = connection.tcpState else { return true }
        return state <= TrackingTimeouts.established
    }

    /// How many are open or carried a packet in the last seconds: what a pod has to do at present.
    package func recent(_ connections: [TrackedConnection]) -> Int {
        connections.count { isForService($0) && timeouts.age(of: $0).map { $0 <= Self.recent } ?? false }
    }

    /// Through a Service, or straight to a port of one: from another node, which has translated the destination,
    /// or from somebody who has looked it up.
    private func isForService(_ connection: TrackedConnection) -> Bool {
        let isDirect = connection.original.destination == connection.reply.source
        if isDirect, nodeAddresses.contains(connection.original.source) { return false }
        return !isDirect || ports.contains(connection.reply.sourcePort)
    }
}

/// How long the kernel keeps connections of which nothing more is heard, in seconds.
package struct TrackingTimeouts: Sendable, Hashable {
    /// TCP states as the kernel counts them.
    package static let opening: UInt8 = 2
    package static let established: UInt8 = 3

    /// By TCP state: FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE.
    package var tcp: [UInt8: Int] = [4: 120, 5: 60, 6: 30, 7: 120, 8: 10]
    package var udp = 30
    package var udpStream = 120

    package init() {}

    /// As this machine is set. Shell: `sysctl net.netfilter`.
    package static func read() -> TrackingTimeouts {
        func setting(_ name: String) -> Int? {
            Files.text("/proc/sys/net/netfilter/nf_conntrack_\(name)")
                .flatMap { Int($0.prefix { $0.isNumber }) }
        }
        var timeouts = TrackingTimeouts()
        for (state, name) in [4: "fin_wait", 5: "close_wait", 6: "last_ack", 7: "time_wait", 8: "close"] {
            timeouts.tcp[UInt8(state)] = setting("tcp_timeout_\(name)") ?? timeouts.tcp[UInt8(state)]
        }
        timeouts.udp = setting("udp_timeout") ?? timeouts.udp
        timeouts.udpStream = setting("udp_timeout_stream") ?? timeouts.udpStream
        return timeouts
    }

    /// How many seconds ago the last packet of a connection came; zero for an open TCP connection, of which it
    /// does not matter, and nil where the kernel does not tell.
    package func age(of connection: TrackedConnection) -> Int? {
        guard let left = connection.secondsLeft.map({ Int($0) }) else { return nil }
        switch connection.original.transportProtocol {
        case 6:
            guard let state = connection.tcpState else { return nil }
            if state <= Self.established { return 0 }
            return tcp[state].map { $0 - left }
        case 17:
            let isAssured = connection.status & 4 != 0
            return (isAssured ? udpStream : udp) - left
        default: return nil
        }
    }
}
