import Netlink

/// Lets clients talk to a port of this node's own without connection tracking.
///
/// Answers from an address that nothing translates need no entry to find their way back. Without one, no table
/// fills up, and two queries from one socket at the same moment have nothing to race for: the known cause of DNS
/// queries that are answered only after the client's time-out.
///
///     table ip swiftlet-dns {
///       chain prerouting { type filter hook prerouting priority raw
///         ip daddr 10.96.0.10 meta l4proto udp th dport 53 notrack       # and tcp
///       }
///       chain output { type filter hook output priority raw
///         ip daddr 10.96.0.10 meta l4proto udp th dport 53 notrack       # and tcp
///         ip saddr 10.96.0.10 meta l4proto udp th sport 53 notrack       # and tcp
///       }
///     }
public struct UntrackedPort: Sendable {
    private let name: TableName
    private let address: IPAddress
    private let port: UInt16

    /// - Parameters:
    ///   - name: of the table, which is ours alone.
    ///   - address: of this node.
    public init(table name: String, address: IPAddress, port: UInt16) {
        self.name = TableName(address.family == .ipv4 ? .ipv4 : .ipv6, name)
        self.address = address
        self.port = port
    }

    /// Where the addresses are in the packet.
    private var offsets: (source: UInt32, destination: UInt32) {
        address.family == .ipv4 ? (12, 16) : (8, 24)
    }

    private func rule(_ transport: UInt8, ofSource: Bool) -> [Expression] {
        let bytes = address.bytes
        return [
            .payload(
                .network, offset: ofSource ? offsets.source : offsets.destination,
                length: UInt32(bytes.count), into: .word(0)),
            .compare(.word(0), .equal, bytes),
            .meta(.transportProtocol, into: .word(0)),
            .compare(.word(0), .equal, [transport]),
            .payload(.transport, offset: ofSource ? 0 : 2, length: 2, into: .word(0)),
            .compare(.word(0), .equal, [UInt8(port >> 8), UInt8(port & 0xff)]),
            .untracked,
        ]
    }

    private static let transports: [UInt8] = [17, 6]  // UDP, TCP

    /// What frees the port.
    public var table: FixedTable {
        FixedTable(
            name, comment: "Swiftlet cluster DNS",
            chains: [
                FixedTable.Chain(
                    "prerouting", .beforeTracking,
                    rules: Self.transports.map { rule($0, ofSource: false) }),
                FixedTable.Chain(
                    "output", .beforeTrackingOwn,
                    rules: Self.transports.flatMap { [rule($0, ofSource: false), rule($0, ofSource: true)] }),
            ])
    }

    /// Puts the table into force, in place of an older one.
    public func establish() throws(PodNetworkError) {
        do throws(NetlinkError) {
            try table.establish(NftablesSocket())
        } catch {
            throw PodNetworkError(.kernel(error), "cannot free \(address):\(port) from connection tracking")
        }
    }

    /// Takes the table away.
    public func remove() throws(PodNetworkError) {
        do throws(NetlinkError) {
            try table.remove(NftablesSocket())
        } catch {
            throw PodNetworkError(.kernel(error), "cannot remove table \(name)")
        }
    }
}
