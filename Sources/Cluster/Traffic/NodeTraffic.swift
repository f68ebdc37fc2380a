import KubernetesAPI
import Netlink
import NodeAgent
import ServiceProxy

/// What is under way to all pods of a node that is taken down, once Services send it nothing new.
struct NodeTraffic: PodTraffic {
    private let tracking: ConnectionTracking
    private let pods: [IPNetwork]
    private let count: ConnectionCount

    init(_ network: NodeNetwork) throws {
        tracking = try ConnectionTracking()
        pods = network.podsOfNode
        // Nothing is known of ports any more; what went through a Service shows by its translation.
        count = ConnectionCount(ports: [], nodeAddresses: network.nodeAddresses)
    }

    func standing(of pod: Pod) -> TrafficStanding { .left }

    func changes() -> AsyncStream<Void> { AsyncStream { $0.yield() } }

    func connections(to pod: Pod) async throws -> PodConnections {
        try count.count(
            pods.flatMap { range in
                try tracking.connections(ConnectionFilter(), family: range.address.family).filter {
                    range.contains($0.reply.source)
                }
            })
    }
}
