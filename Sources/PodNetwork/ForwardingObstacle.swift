import Netlink

/// A chain of somebody else's that drops what passes through this machine unless one of its rules lets it pass, as Docker
/// (`iptables -P FORWARD DROP`) and firewalls make. No chain of ours could let pass what it drops.
///
/// Connections from the machine itself do not meet it; those between pods, and from elsewhere to pods, do, through
/// Services too: they hang.
public struct ForwardingObstacle: Sendable, Hashable, CustomStringConvertible {
    /// `NF_INET_FORWARD`
    private static let forward: UInt32 = 2

    package let chain: BaseChain
    /// The ranges of pods that it concerns.
    package let pods: [IPNetwork]

    /// Those among the chains that concern pods.
    /// - Parameter pods: the ranges of all pods' addresses.
    package static func among(_ chains: [BaseChain], pods: [IPNetwork]) -> [ForwardingObstacle] {
        chains.filter { $0.hook == forward && $0.dropsTheRest }.compactMap { chain in
            let concerned = pods.filter { range in
                switch chain.table.family {
                case .inet: true
                case .ipv4: range.address.family == .ipv4
                case .ipv6: range.address.family == .ipv6
                }
            }
            return concerned.isEmpty ? nil : ForwardingObstacle(chain: chain, pods: concerned)
        }
    }

    /// Those in this network namespace.
    /// - Parameter pods: the ranges of all pods' addresses.
    public static func find(pods: [IPNetwork]) throws(PodNetworkError) -> [ForwardingObstacle] {
        do {
            return among(try NftablesSocket().baseChains(), pods: pods)
        } catch {
            throw PodNetworkError(.kernel(error), "cannot list the chains of nftables")
        }
    }

    public var description: String {
        let place = "\(chain.table) \(chain.name)"
        let rules = pods.flatMap { range in
            ["daddr", "saddr"].map {
                "nft insert rule \(place) \(range.address.family == .ipv4 ? "ip" : "ip6") \($0) \(range) accept"
            }
        }
        return
            "the chain \(place) of nftables drops what passes through this machine unless a rule of it accepts it; "
            + "if none does, connections to pods hang, through Services too. To accept them: "
            + rules.joined(separator: "; ")
    }
}
