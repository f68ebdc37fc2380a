import Glibc
import KubernetesAPI
import Logging
import Netlink
import ServiceProxy
import Telemetry
import Testing

/// The whole proxy, fed as watches feed it, in a network namespace.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"), .serialized)
struct ServiceProxyTests {
    private let network: PrivateNetwork
    private let configuration: ProxyConfiguration
    private let queue = ProxyQueue(nodeName: "node")

    init() async throws {
        network = try await PrivateNetwork()
        configuration = ProxyConfiguration(
            nodeName: "node", nodeAddress: PrivateNetwork.nodeAddress,
            serviceRanges: [try #require(IPNetwork("10.96.0.0/16"))],
            podRanges: [try #require(IPNetwork("10.244.0.0/16"))])
    }

    private func makeProxy() -> ServiceProxy {
        ServiceProxy(
            configuration, queue: queue, namespace: network.node, clock: ContinuousClock(),
            logger: Logger(label: "test"))
    }

    private func service(_ revision: Int) -> Service {
        Service(
            metadata: ObjectMeta(name: "web", namespace: "default", resourceVersion: "\(revision)"),
            spec: ServiceSpec(ports: [ServicePort(port: 80)], clusterIP: "10.96.0.42"))
    }

    private func slice(_ revision: Int, _ addresses: [String]) -> EndpointSlice {
        EndpointSlice(
            metadata: ObjectMeta(
                name: "web-1", namespace: "default", resourceVersion: "\(revision)",
                labels: ["kubernetes.io/service-name": "web"]),
            addressType: "IPv4", endpoints: addresses.map { Endpoint(addresses: [$0], nodeName: "node") },
            ports: [EndpointSlicePort(port: 3000)])
    }

    private var entry: ServiceAddress { ServiceAddress(PrivateNetwork.address("10.96.0.42"), .tcp, 80) }

    /// What the kernel has, read afresh.
    private func tableInKernel() async throws -> ForwardingTable {
        let form = NftablesForm(.ipv4, configuration)
        let socket = try await NftablesSocket(in: network.node)
        var elements: [String: [SetElement]] = [:]
        for set in form.sets where NftablesForm.holdsTable(set.name) {
            elements[set.name] = try socket.elements(of: set.name, in: form.table)
        }
        return try #require(form.table(from: elements))
    }

    private func running(_ proxy: ServiceProxy, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await proxy.runInTest() }
            try await body()
            group.cancelAll()
        }
    }

    @Test func publishedRevisionsAreInTheKernel() async throws {
        let proxy = makeProxy()
        try await running(proxy) { () async throws in
            queue.set(service(5))
            queue.complete(.services, revision: "6")
            queue.set(slice(7, ["10.244.0.2"]))
            queue.complete(.endpointSlices, revision: "8")
            await proxy.revision.wait(for: 8)
            #expect(
                try await tableInKernel().entries == [
                    entry: .spread([Backend(PrivateNetwork.address("10.244.0.2"), 3000)])
                ])
            #expect(proxy.revision.revisions().services == 6)
            #expect(proxy.table == (try await tableInKernel()))

            queue.set(slice(12, []))
            await proxy.revision.wait(for: 12, .settled)
            #expect(try await tableInKernel().entries == [entry: .refuse])

            queue.remove(service(15))
            await proxy.revision.wait(for: 15, of: .services)
            #expect(try await tableInKernel().entries.isEmpty)
        }
    }

    @Test func aTableThatSomebodyRemovedComesBackWhole() async throws {
        let proxy = makeProxy()
        try await running(proxy) { () async throws in
            queue.set(service(1))
            queue.complete(.services, revision: "1")
            queue.set(slice(1, ["10.244.0.2"]))
            queue.complete(.endpointSlices, revision: "1")
            await proxy.revision.wait(for: 1)
            var vandal = NftablesBackEnd(
                NftablesForm(.ipv4, configuration), try await NftablesSocket(in: network.node))
            try vandal.cleanUp()
            queue.set(slice(2, ["10.244.0.2", "10.244.0.3"]))
            await proxy.revision.wait(for: 2)
            #expect(try await tableInKernel().entries[entry]?.backends.count == 2)
            #expect(try await tableInKernel() == proxy.table)
        }
    }

    @Test func aRestartDoesNotTouchWhatIsRightAndWaitsForTheWholeTruth() async throws {
        let first = makeProxy()
        try await running(first) {
            queue.set(service(1))
            queue.complete(.services, revision: "1")
            queue.set(slice(1, ["10.244.0.2"]))
            queue.complete(.endpointSlices, revision: "1")
            await first.revision.wait(for: 1)
        }
        // It was cancelled; the table stays in force.
        let before = try await tableInKernel()
        #expect(before.entries.count == 1)
        let nextQueue = ProxyQueue(nodeName: "node")
        let second = ServiceProxy(
            configuration, queue: nextQueue, namespace: network.node, clock: ContinuousClock(),
            logger: Logger(label: "test"))
        try await running(second) { () async throws in
            nextQueue.set(service(1))
            nextQueue.complete(.services, revision: "1")
            // Endpoints are not known yet: nothing may be taken away.
            #expect(nextQueue.take() == nil)
            #expect(try await tableInKernel() == before)
            nextQueue.set(slice(3, ["10.244.0.3"]))
            nextQueue.complete(.endpointSlices, revision: "3")
            await second.revision.wait(for: 3)
            #expect(
                try await tableInKernel().entries[entry]?.backends.map(\.address.description) == [
                    "10.244.0.3"
                ])
        }
    }

    /// The endpoint left while nobody looked; connection tracking still holds the flow to it.
    @Test func aFlowToAnEndpointThatLeftDuringARestartMovesOn() async throws {
        let client = try await network.addPod("10.244.0.9")
        let (first, second) = (
            try await network.addPod("10.244.0.2"), try await network.addPod("10.244.0.3")
        )
        let a = try await NamedServer("a", in: first, SOCK_DGRAM, port: 3000)
        let b = try await NamedServer("b", in: second, SOCK_DGRAM, port: 3000)
        let socket = try await client.run { clientSocket(SOCK_DGRAM) }
        defer { close(socket) }
        var service = service(1)
        service.spec.ports[0].protocol = "UDP"
        let udp = service
        func follow(_ endpoint: String, _ revision: Int, _ body: (String) async throws -> Void) async throws {
            let queue = ProxyQueue(nodeName: "node")
            let registry = MetricRegistry()
            let proxy = ServiceProxy(
                configuration, queue: queue, namespace: network.node, clock: ContinuousClock(),
                metrics: ProxyMetrics(registry), logger: Logger(label: "test"))
            try await running(proxy) {
                queue.set(udp)
                queue.complete(.services, revision: "1")
                var slice = slice(revision, [endpoint])
                slice.ports[0].protocol = "UDP"
                queue.set(slice)
                queue.complete(.endpointSlices, revision: "\(revision)")
                await proxy.revision.wait(for: UInt64(revision), .settled)
                try await body(registry.text())
            }
        }
        let address = PrivateNetwork.address("10.96.0.42")
        try await a.serve(in: first) {
            try await b.serve(in: second) { () async throws in
                try await follow("10.244.0.2", 1) { _ in
                    #expect(exchange(socket, SOCK_DGRAM, address, 80).server == "a")
                }
                // The table changes without a proxy: no change of it tells the next one what became stale.
                var other = NftablesBackEnd(
                    NftablesForm(.ipv4, configuration), try await NftablesSocket(in: network.node))
                var table = try await tableInKernel()
                for entry in table.entries.keys {
                    table.entries[entry] = .spread([Backend(PrivateNetwork.address("10.244.0.3"), 3000)])
                }
                try other.replace(by: table)
                #expect(exchange(socket, SOCK_DGRAM, address, 80).server == "a")
                // A proxy for which the endpoint is still there finds nothing wrong with the flow.
                let tracking = try await ConnectionTracking(in: network.node)
                let found = try ContradictingConnections(table, nodeAddresses: []).find(tracking)
                #expect(found.map(\.reply.source.description) == ["10.244.0.2"])
                for entry in table.entries.keys {
                    table.entries[entry] = .spread([Backend(PrivateNetwork.address("10.244.0.2"), 3000)])
                }
                let present = ContradictingConnections(table, nodeAddresses: [])
                #expect(!found.contains(where: present.contains))
                try await follow("10.244.0.3", 2) { metrics in
                    #expect(exchange(socket, SOCK_DGRAM, address, 80).server == "b")
                    let count = "kubeproxy_conntrack_reconciler_deleted_entries_total"
                    #expect(metrics.contains("\n" + count + "{ip_family=\"IPv4\"} 1\n"))
                }
            }
        }
    }
}

extension ServiceProxy {
    /// Runs; when that fails, the test does, and does not wait for what will not come.
    func runInTest() async {
        do {
            try await run()
        } catch {
            guard !Task.isCancelled else { return }
            Issue.record(error, "the proxy ended")
            var all = DataPlaneRevision.Revisions()
            all.services = .max
            all.endpointSlices = .max
            revision.publish(all, .committed)
            revision.publish(all, .settled)
        }
    }
}

@Suite struct DataPlaneRevisionTests {
    @Test func waitersAreReleasedByWhatTheyWaitFor() async {
        let revision = DataPlaneRevision()
        var reached = DataPlaneRevision.Revisions()
        reached.endpointSlices = 10
        reached.services = 20
        revision.publish(reached, .committed)
        #expect(revision.current == 10)
        #expect(await revision.wait(for: 10))
        #expect(await revision.wait(for: 20, of: .services))
        async let settled = revision.wait(for: 10, .settled)
        async let later = revision.wait(for: 11)
        revision.publish(reached, .settled)
        #expect(await settled)
        reached.endpointSlices = 15
        revision.publish(reached, .committed)
        #expect(await later)
        // Never down.
        reached.endpointSlices = 3
        revision.publish(reached, .committed)
        #expect(revision.current == 15)
    }

    @Test func cancelledWaitersGoHome() async {
        let revision = DataPlaneRevision()
        let task = Task { await revision.wait(for: 1) }
        task.cancel()
        #expect(await !task.value)
    }
}
