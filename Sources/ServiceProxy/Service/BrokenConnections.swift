import Netlink

/// The TCP connections that an endpoint has broken off with a reset, as a program does that ends with data unread.
///
/// Connection tracking keeps them for ten seconds more (`nf_conntrack_tcp_timeout_close`). A client that uses the port
/// again meanwhile is led to where the connection led, where nobody may listen any more: the kernel takes a SYN for the
/// beginning of something new only if the connection before had been closed properly, or by the client. Nothing can
/// come on a broken connection, so it can be forgotten whenever its endpoint has lost a listener.
package struct BrokenConnections: Sendable {
    /// The address of the endpoint.
    package let endpoint: IPAddress

    package init(to endpoint: IPAddress) { self.endpoint = endpoint }

    /// `TCP_CONNTRACK_CLOSE`
    private static let closed: UInt8 = 8

    package func contains(_ connection: TrackedConnection) -> Bool {
        connection.reply.source == endpoint && connection.tcpState == Self.closed
    }

    /// Makes the kernel forget them. Shell: `conntrack -D --reply-src ENDPOINT -p tcp --state CLOSE`.
    /// - Returns: how many there were.
    @discardableResult
    package func forget(_ tracking: ConnectionTracking) throws(NetlinkError) -> Int {
        let filter = ConnectionFilter(
            transportProtocol: TransportProtocol.tcp.rawValue, replySource: endpoint)
        return try tracking.forget(
            try tracking.connections(filter, family: endpoint.family).filter(contains))
    }
}
