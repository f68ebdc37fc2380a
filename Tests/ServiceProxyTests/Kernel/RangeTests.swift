import Glibc
import KubernetesAPI
import Logging
import Netlink
import ServiceProxy
import Testing

/// Ranges of Service addresses that come and go while the proxy runs.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"))
struct RangeTests {
    @Test func routesAndTablesFollowTheRanges() async throws {
        let network = try await PrivateNetwork()
        let first = try #require(IPNetwork("10.96.0.0/16"))
        let second = try #require(IPNetwork("10.97.0.0/24"))
        let queue = ProxyQueue(nodeName: "node")
        let proxy = ServiceProxy(
            ProxyConfiguration(
                nodeName: "node", nodeAddress: PrivateNetwork.nodeAddress, serviceRanges: [first],
                podRanges: []),
            queue: queue, namespace: network.node, clock: ContinuousClock(), logger: Logger(label: "test"))
        func set(_ name: String, _ address: String, _ revision: Int) {
            queue.set(
                Service(
                    metadata: ObjectMeta(name: name, namespace: "default", resourceVersion: "\(revision)"),
                    spec: ServiceSpec(ports: [ServicePort(port: 80)], clusterIP: address)))
        }
        func destinations() throws -> Set<IPNetwork> {
            Set(
                try network.routes.routes(.ipv4).filter { $0.owner == Route.swiftlet }.map(\.destination))
        }
        func services() async throws -> Int {
            let socket = try await NftablesSocket(in: network.node)
            return try socket.elements(of: NftablesForm.services, in: TableName(.ipv4, "swiftlet")).count
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await proxy.runInTest() }
            set("near", "10.96.0.42", 3)
            queue.complete(.services, revision: "3")
            queue.complete(.endpointSlices, revision: "3")
            await proxy.revision.wait(for: 3, of: .services)
            let before = try destinations()
            #expect(before == [first])
            queue.set(ranges: [first, second])
            set("far", "10.97.0.7", 4)
            await proxy.revision.wait(for: 4, of: .services)
            let both = (try destinations(), try await services())
            #expect(both.0 == [first, second] && both.1 == 2)
            queue.set(ranges: [second])
            set("near", "10.96.0.42", 5)
            await proxy.revision.wait(for: 5, of: .services)
            let after = (try destinations(), try await services())
            #expect(after.0 == [second] && after.1 == 2)
            group.cancelAll()
        }
    }
}
