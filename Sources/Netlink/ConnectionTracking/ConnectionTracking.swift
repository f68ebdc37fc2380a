import CLinux
import Glibc

/// One side's view of a connection: where its packets come from and where they go.
public struct ConnectionTuple: Sendable, Hashable {
    public var source: IPAddress
    public var destination: IPAddress
    public var sourcePort: UInt16
    public var destinationPort: UInt16
    /// The transport protocol's number: 6 TCP, 17 UDP, 132 SCTP.
    public var transportProtocol: UInt8

    package init(
        source: IPAddress, destination: IPAddress, sourcePort: UInt16, destinationPort: UInt16,
        transportProtocol: UInt8
    ) {
        self.source = source
        self.destination = destination
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
        self.transportProtocol = transportProtocol
    }
}

/// A connection that the kernel keeps track of.
public struct TrackedConnection: Sendable, Hashable {
    /// As its first packet was sent.
    public var original: ConnectionTuple
    /// As the answers are sent: after destination translation, its source is the endpoint.
    public var reply: ConnectionTuple
    /// The state of a TCP connection (`TCP_CONNTRACK_…`): 1 is SYN_SENT, 3 ESTABLISHED.
    public var tcpState: UInt8?
    /// The bits `IPS_…`: 2 means that an answer was seen.
    public var status: UInt32
    /// Seconds until the kernel forgets the connection if no further packet comes.
    public var secondsLeft: UInt32?
    /// The attribute that names the connection to the kernel, as the kernel wrote it: the reply's tuple. It says
    /// where the connection leads to, which the original's tuple does not: a client that uses a port again makes
    /// a connection of the same original tuple, which may lead somewhere else and must not be taken for this one.
    let name: [UInt8]

    package init(
        original: ConnectionTuple, reply: ConnectionTuple, tcpState: UInt8?, status: UInt32,
        secondsLeft: UInt32? = nil, name: [UInt8] = []
    ) {
        self.original = original
        self.reply = reply
        self.tcpState = tcpState
        self.status = status
        self.secondsLeft = secondsLeft
        self.name = name
    }

    /// Whether an answer was seen.
    public var isAnswered: Bool { status & Self.seenReply != 0 }
    /// `IPS_SEEN_REPLY`.
    static let seenReply: UInt32 = 2
    /// Whether a TCP connection's first packet still waits for an answer.
    public var isHalfOpen: Bool { tcpState == 1 || tcpState == 2 && !isAnswered }
    /// Whether answers come from another address or port than the first packet was sent to.
    public var isTranslated: Bool {
        original.destination != reply.source || original.destinationPort != reply.sourcePort
    }
}

/// Which connections to look at. What is nil is not looked at.
public struct ConnectionFilter: Sendable, Hashable {
    /// The address to which the first packet was sent, such as a Service's.
    public var originalDestination: IPAddress?
    /// The port to which the first packet was sent. (Compared in this process, not in the kernel.)
    public var originalDestinationPort: UInt16?
    /// The transport protocol's number.
    public var transportProtocol: UInt8?
    /// The address from which answers come, such as an endpoint's.
    public var replySource: IPAddress?
    /// The port from which answers come. (Compared in this process, not in the kernel.)
    public var replySourcePort: UInt16?
    /// Whether an answer was seen.
    public var isAnswered: Bool?

    public init(
        originalDestination: IPAddress? = nil, originalDestinationPort: UInt16? = nil,
        transportProtocol: UInt8? = nil, replySource: IPAddress? = nil, replySourcePort: UInt16? = nil,
        isAnswered: Bool? = nil
    ) {
        self.originalDestination = originalDestination
        self.originalDestinationPort = originalDestinationPort
        self.transportProtocol = transportProtocol
        self.replySource = replySource
        self.replySourcePort = replySourcePort
        self.isAnswered = isAnswered
    }

    /// Whether the filter lets this connection through.
    public func matches(_ connection: TrackedConnection) -> Bool {
        func agrees<Value: Equatable>(_ wanted: Value?, _ value: Value) -> Bool {
            wanted.map { $0 == value } ?? true
        }
        return agrees(originalDestination, connection.original.destination)
            && agrees(originalDestinationPort, connection.original.destinationPort)
            && agrees(transportProtocol, connection.original.transportProtocol)
            && agrees(replySource, connection.reply.source)
            && agrees(replySourcePort, connection.reply.sourcePort)
            && agrees(isAnswered, connection.isAnswered)
    }
}

/// The connection tracking table of one network namespace, over nfnetlink.
public struct ConnectionTracking: Sendable {
    let socket: NetlinkSocket
    private let text: TrackingText?

    /// Opens a socket in the calling thread's network namespace.
    public init() throws(NetlinkError) {
        socket = try NetlinkSocket(.netfilter)
        text = TrackingText()
    }

    /// Opens a socket in `namespace`.
    public init(in namespace: NetworkNamespace) async throws {
        self = try await namespace.run { try ConnectionTracking() }
    }

    /// The connections that the filter lets through. The kernel looks at protocol, status and IPv4 addresses while it
    /// walks its table, so that only what is wanted is copied; IPv6 addresses are looked at here (see `write`). The walk
    /// itself takes its time whatever there is in the table: 9 ms were measured with the usual 262,144 buckets. While
    /// few connections are tracked at all, a look at ``TrackingText`` tells first whether it is needed.
    /// Shell: `conntrack -L --orig-dst SERVICE --reply-src ENDPOINT -p udp`.
    public func connections(
        _ filter: ConnectionFilter, family: IPAddress.Family = .ipv4
    ) throws(NetlinkError) -> [TrackedConnection] {
        if let count = try? count() {
            if count == 0 { return [] }
            if count <= TrackingText.fewConnections, text?.mayHold(filter) == false { return [] }
        }
        do {
            return try dump(filter, family: family, inKernel: true)
        } catch {
            // Kernels before 5.8 know no filter.
            guard error.refusal == EOPNOTSUPP || error.refusal == EINVAL else { throw error }
            return try dump(filter, family: family, inKernel: false)
        }
    }

    /// How many connections there are, of both families; nil where the kernel does not tell.
    /// Shell: `conntrack --count`.
    package func count() throws(NetlinkError) -> UInt32? {
        try socket.query("count tracked connections", type: Self.type(IPCTNL_MSG_CT_GET_STATS)) {
            Self.header(&$0, .ipv4)
        }
        .first?.attributes(afterHeaderOf: 4)[CTA_STATS_GLOBAL_ENTRIES]?.bigEndian()
    }

    private func dump(
        _ filter: ConnectionFilter, family: IPAddress.Family, inKernel: Bool
    ) throws(NetlinkError) -> [TrackedConnection] {
        try socket.dump("list tracked connections", type: Self.type(IPCTNL_MSG_CT_GET)) { writer in
            Self.header(&writer, family)
            if inKernel { Self.write(filter, family, to: &writer) }
        }
        .compactMap(Self.connection)
        .filter(filter.matches)
    }

    /// Makes the kernel forget connections; their next packet is a new connection's first. Connections that are
    /// gone already are no error, and one that leads somewhere else from the same port of the client is spared.
    /// Shell: `conntrack -D --reply-src ENDPOINT --reply-dst CLIENT …`.
    /// - Returns: how many were forgotten.
    @discardableResult
    public func forget(_ connections: [TrackedConnection]) throws(NetlinkError) -> Int {
        let answers = try each(of: connections, IPCTNL_MSG_CT_DELETE, flags: NLM_F_ACK, "forget connections")
        { _ in }
        return answers.count { $0.errorNumber == 0 }
    }

    /// Makes the kernel forget all connections that the filter lets through. Kernels from 6.10 on do that in one walk
    /// of their table, for IPv4; else the connections are listed first.
    /// Shell: `conntrack -D --reply-src ENDPOINT`.
    public func forget(
        _ filter: ConnectionFilter, family: IPAddress.Family = .ipv4
    ) throws(NetlinkError) {
        if family == .ipv4, filter.originalDestinationPort == nil, filter.replySourcePort == nil,
            filter.replySource != nil
        {
            do {
                // What older kernels make of this is the name of one connection, which lacks its ports.
                return try socket.request("forget connections", type: Self.type(IPCTNL_MSG_CT_DELETE)) {
                    Self.header(&$0, family, version: 1)
                    Self.write(filter, family, to: &$0)
                }
            } catch {
                guard error.refusal == EOPNOTSUPP || error.refusal == EINVAL else { throw error }
            }
        }
        try forget(try connections(filter, family: family))
    }

    /// Those of the connections that are still there, as they are now. Each is looked up by its name, which costs
    /// microseconds, where a list walks the whole table.
    /// Shell: `conntrack -G --reply-src ENDPOINT --reply-dst CLIENT …`.
    public func current(_ connections: [TrackedConnection]) throws(NetlinkError) -> [TrackedConnection] {
        var found: [TrackedConnection] = []
        try each(of: connections, IPCTNL_MSG_CT_GET, "look up connections") { message in
            if let connection = Self.connection(message) { found.append(connection) }
        }
        return found
    }

    /// Names each of the connections to the kernel, many at a time; one that is gone meanwhile is no failure.
    @discardableResult
    private func each(
        of connections: [TrackedConnection], _ type: cntl_msg_types, flags: Int32 = 0, _ words: String,
        _ handle: (Message) -> Void
    ) throws(NetlinkError) -> [Acknowledgement] {
        var answers: [Acknowledgement] = []
        var rest = connections[...]
        while !rest.isEmpty {
            let part = rest.prefix(1024)
            rest = rest.dropFirst(part.count)
            var writer = MessageWriter(reservingCapacity: part.count * 96)
            for (index, connection) in part.enumerated() {
                writer.message(
                    type: Self.type(type), flags: UInt16(NLM_F_REQUEST | flags),
                    sequence: NetlinkSocket.firstOfMany + UInt32(truncatingIfNeeded: index)
                ) { writer in
                    Self.header(&writer, connection.original.source.family)
                    writer.nest(CTA_TUPLE_REPLY) { $0.raw(connection.name) }
                }
            }
            for answer in try socket.sendAll(words, writer, answer: handle) {
                if let error = answer.error(words), error.refusal != ENOENT { throw error }
                answers.append(answer)
            }
        }
        return answers
    }

    private static func type(_ message: cntl_msg_types) -> UInt16 {
        UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(truncatingIfNeeded: message.rawValue)
    }

    /// `struct nfgenmsg`. Where many are to be forgotten, only version 1 means the family.
    private static func header(
        _ writer: inout MessageWriter, _ family: IPAddress.Family, version: UInt8 = UInt8(NFNETLINK_V0)
    ) {
        writer.raw(family.rawValue)
        writer.raw(version)
        writer.raw(UInt16(0))
    }

    /// The bits that say which parts of a filter's tuples count.
    private enum FilterBit {
        static let source: UInt32 = 1 << 0
        static let destination: UInt32 = 1 << 1
        static let transportProtocol: UInt32 = 1 << 3
    }

    /// Writes what of a filter the kernel can be trusted with. It lets all IPv6 connections through but those of the
    /// address that is named (`ctnetlink_filter_match_tuple` takes "equal" for "differs", from 5.8 to 6.18 at least):
    /// it is never told one.
    private static func write(
        _ filter: ConnectionFilter, _ family: IPAddress.Family, to writer: inout MessageWriter
    ) {
        var originalBits: UInt32 = 0
        var replyBits: UInt32 = 0
        writer.nest(CTA_TUPLE_ORIG) { writer in
            if family == .ipv4, let address = filter.originalDestination {
                originalBits |= FilterBit.destination
                writer.nest(CTA_TUPLE_IP) { $0.attribute(CTA_IP_V4_DST, address.bytes) }
            }
            if let number = filter.transportProtocol {
                originalBits |= FilterBit.transportProtocol
                writer.nest(CTA_TUPLE_PROTO) { $0.attribute(CTA_PROTO_NUM, number) }
            }
        }
        writer.nest(CTA_TUPLE_REPLY) { writer in
            if family == .ipv4, let address = filter.replySource {
                replyBits |= FilterBit.source
                writer.nest(CTA_TUPLE_IP) { $0.attribute(CTA_IP_V4_SRC, address.bytes) }
            }
        }
        writer.nest(CTA_FILTER) { writer in
            writer.attribute(CTA_FILTER_ORIG_FLAGS, originalBits)
            writer.attribute(CTA_FILTER_REPLY_FLAGS, replyBits)
        }
        if let isAnswered = filter.isAnswered {
            let bit = TrackedConnection.seenReply
            writer.attribute(CTA_STATUS, bigEndian: isAnswered ? bit : 0)
            writer.attribute(CTA_STATUS_MASK, bigEndian: bit)
        }
    }

    package static func connection(_ message: Message) -> TrackedConnection? {
        let attributes = message.attributes(afterHeaderOf: 4)
        guard let original = attributes[CTA_TUPLE_ORIG].flatMap({ tuple($0.attributes) }),
            let name = attributes[CTA_TUPLE_REPLY], let reply = tuple(name.attributes)
        else { return nil }
        let tcp = attributes[CTA_PROTOINFO]?.attributes[CTA_PROTOINFO_TCP]?.attributes
        return TrackedConnection(
            original: original, reply: reply, tcpState: tcp?[CTA_PROTOINFO_TCP_STATE]?.integer(),
            status: attributes[CTA_STATUS]?.bigEndian() ?? 0,
            secondsLeft: attributes[CTA_TIMEOUT]?.bigEndian(), name: Array(name.payload))
    }

    private static func tuple(_ attributes: Attributes) -> ConnectionTuple? {
        guard let addresses = attributes[CTA_TUPLE_IP]?.attributes,
            let transport = attributes[CTA_TUPLE_PROTO]?.attributes,
            let source = (addresses[CTA_IP_V4_SRC] ?? addresses[CTA_IP_V6_SRC])?.address,
            let destination = (addresses[CTA_IP_V4_DST] ?? addresses[CTA_IP_V6_DST])?.address,
            let number: UInt8 = transport[CTA_PROTO_NUM]?.integer()
        else { return nil }
        return ConnectionTuple(
            source: source, destination: destination,
            sourcePort: transport[CTA_PROTO_SRC_PORT]?.bigEndian() ?? 0,
            destinationPort: transport[CTA_PROTO_DST_PORT]?.bigEndian() ?? 0, transportProtocol: number)
    }
}
