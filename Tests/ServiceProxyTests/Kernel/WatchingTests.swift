import Glibc
import HTTPService
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Logging
import Netlink
import ServiceProxy
import Testing

/// The proxy behind real informers, which list and watch a scripted API server.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"))
struct WatchingTests {
    @Test func whatIsListedAndWatchedComesIntoTheKernel() async throws {
        let network = try await PrivateNetwork()
        let (sliceEvents, sendSlice) = AsyncStream.makeStream(of: String.self)
        let (serviceEvents, sendService) = AsyncStream.makeStream(of: String.self)
        let service = """
            {"metadata":{"name":"web","namespace":"default","resourceVersion":"3"},
             "spec":{"clusterIP":"10.96.0.42","ports":[{"port":80,"protocol":"TCP"}]}}
            """.filter { $0 != "\n" }
        func slice(_ revision: Int, _ address: String) -> String {
            """
            {"metadata":{"name":"web-1","namespace":"default","resourceVersion":"\(revision)",
            "labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","ports":[{"port":3000}],
            "endpoints":[{"addresses":["\(address)"]}]}
            """.filter { $0 != "\n" }
        }
        let server = ClosureResponder { request in
            let isSlices = request.path.hasSuffix("/endpointslices")
            if request.query.first("watch") != nil {
                let events = isSlices ? sliceEvents : serviceEvents
                return HTTPResponse(
                    headers: ["Content-Type": "application/json"],
                    body: .stream { writer in
                        for await event in events { try await writer.write(Array((event + "\n").utf8)) }
                    })
            }
            let items = isSlices ? "" : service
            return HTTPResponse(
                contentType: "application/json",
                Array("{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[\(items)]}".utf8))
        }
        let client = KubernetesClient(
            transport: InProcessTransport(responder: server, user: "proxy", groups: []))
        let informers = InformerSet(client: client)
        let configuration = ProxyConfiguration(
            nodeName: "node", nodeAddress: PrivateNetwork.nodeAddress,
            serviceRanges: [try #require(IPNetwork("10.96.0.0/16"))],
            podRanges: [try #require(IPNetwork("10.244.0.0/16"))])
        let proxy = ServiceProxy(
            configuration, informers: informers, namespace: network.node, clock: ContinuousClock(),
            logger: Logger(label: "test"))
        let entry = ServiceAddress(PrivateNetwork.address("10.96.0.42"), .tcp, 80)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await informers.run() }
            group.addTask { await proxy.runInTest() }
            await proxy.revision.wait(for: 5)
            #expect(proxy.table.entries == [entry: .refuse])
            sendSlice.yield("{\"type\":\"ADDED\",\"object\":\(slice(8, "10.244.0.2"))}")
            await proxy.revision.wait(for: 8)
            #expect(proxy.table.entries[entry]?.backends.map(\.description) == ["10.244.0.2:3000"])
            sendSlice.yield("{\"type\":\"MODIFIED\",\"object\":\(slice(9, "10.244.0.3"))}")
            await proxy.revision.wait(for: 9, .settled)
            #expect(proxy.table.entries[entry]?.backends.map(\.description) == ["10.244.0.3:3000"])
            sendSlice.yield("{\"type\":\"DELETED\",\"object\":\(slice(10, "10.244.0.3"))}")
            await proxy.revision.wait(for: 10)
            #expect(proxy.table.entries == [entry: .refuse])
            sendService.yield("{\"type\":\"DELETED\",\"object\":\(service)}")
            await proxy.revision.wait(for: 5, of: .services)
            group.cancelAll()
        }
    }
}
