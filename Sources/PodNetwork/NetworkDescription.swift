import KubernetesJSON
import Netlink

/// What the container runtime and its plugins read about the network (a CNI configuration list).
enum NetworkDescription {
    /// The list: `ptp`, a routed veth pair per pod, with addresses from `host-local`.
    ///
    /// Translation of pods' addresses is not asked of the plugin, which would use iptables; it is done by a
    /// table of our own, see `OutboundTranslation`.
    ///
    /// `ptp` returns only when the pod's IPv6 address may be used, and the kernel first looks for a second or two
    /// whether somebody else has it. On a wire with one other end nobody can, so the pod's namespace is told not to
    /// look, before the wire is made: by `tuning`, which needs a plugin before it.
    /// Shell, in the pod: `sysctl net.ipv6.conf.default.accept_dad=0`.
    static func list(_ configuration: PodNetworkConfiguration, mtu: UInt32) -> JSONValue {
        let wire: JSONValue = [
            "type": "ptp",
            "mtu": .integer(Int64(mtu)),
            "ipMasq": false,
            "ipam": [
                "type": "host-local",
                "dataDir": .string(configuration.allocationDirectory),
                "ranges": .array(
                    configuration.ranges.map { [["subnet": .string($0.node.description)]] }),
                "routes": .array(
                    configuration.ranges.map {
                        ["dst": .string($0.family == .ipv4 ? "0.0.0.0/0" : "::/0")]
                    }),
            ],
        ]
        let withoutLooking: [JSONValue] = [
            ["type": "loopback"],
            ["type": "tuning", "sysctl": ["net.ipv6.conf.default.accept_dad": "0"]],
        ]
        return [
            "cniVersion": "1.0.0",
            "name": .string(configuration.name),
            "plugins": .array(configuration.families.contains(.ipv6) ? withoutLooking + [wire] : [wire]),
        ]
    }
}
