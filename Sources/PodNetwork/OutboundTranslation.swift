import Netlink

/// Gives pods the node's address when they talk to the world outside the cluster, which does not know their own.
///
/// A table of our own: with a plugin's `ipMasq` each pod would add rules to iptables, whose backend may or may
/// not be the one that the machine uses. Without an uplink the rule meets no packet.
///
///     table ip swiftlet-pods {
///       chain postrouting { type nat hook postrouting priority srcnat
///         ip saddr 10.244.0.0/24 ip daddr != 10.244.0.0/16 masquerade }
///     }
struct OutboundTranslation: Sendable {
    let configuration: PodNetworkConfiguration

    /// A table for each family that pods have addresses of.
    var tables: [FixedTable] {
        configuration.ranges.map { range in
            FixedTable(
                TableName(range.family == .ipv4 ? .ipv4 : .ipv6, configuration.tableName),
                comment: "Swiftlet pod network",
                chains: [FixedTable.Chain("postrouting", .translateSource, rules: [rule(range)])])
        }
    }

    private func rule(_ range: PodNetworkConfiguration.Range) -> [Expression] {
        let isIPv4 = range.family == .ipv4
        let length: UInt32 = isIPv4 ? 4 : 16
        func load(_ offset: UInt32, _ network: IPNetwork) -> [Expression] {
            [
                .payload(.network, offset: offset, length: length, into: .word(0)),
                .mask(
                    .word(0), into: .word(0), mask: network.mask,
                    xor: [UInt8](repeating: 0, count: network.mask.count)),
            ]
        }
        return load(isIPv4 ? 12 : 8, range.node)
            + [.compare(.word(0), .equal, range.node.first.bytes)]
            + load(isIPv4 ? 16 : 24, range.cluster)
            + [.compare(.word(0), .notEqual, range.cluster.first.bytes), .masquerade]
    }

    /// Puts the tables into force, in place of older ones.
    func establish() throws(NetlinkError) {
        let socket = try NftablesSocket()
        for table in tables { try table.establish(socket) }
    }

    func remove() throws(NetlinkError) {
        let socket = try NftablesSocket()
        for table in tables { try table.remove(socket) }
    }
}
