import KubernetesJSON
import Netlink

/// What the container runtime and its plugins read about the network (a CNI configuration list).
enum NetworkDescription {
    /// The list: `ptp`, a routed veth pair per pod, with addresses from `host-local`.
    ///
    /// Translation of pods' addresses is not asked of the plugin, which would use iptables; it is done by a
    /// table of our own, see `OutboundTranslation`.
    static func list(_ configuration: PodNetworkConfiguration, mtu: UInt32) -> JSONValue {
        return [
            "cniVersion": "1.0.0",
            "name": .string(configuration.name),
            "plugins": [
                [
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
            ],
        ]
    }
}
