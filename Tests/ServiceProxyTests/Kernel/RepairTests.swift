import Glibc
import KubernetesAPI
import Logging
import Netlink
import ServiceProxy
import Telemetry
import Testing

/// Somebody else lays hands on the proxy's tables, and nothing of a Service changes.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"), .serialized)
struct RepairTests {
    private let network: PrivateNetwork
    private let configuration: ProxyConfiguration
    private let queue = ProxyQueue(nodeName: "node")
    private let form: NftablesForm
    private let vandal: NftablesSocket

    init() async throws {
        network = try await PrivateNetwork()
        configuration = ProxyConfiguration(
            nodeName: "node", nodeAddress: PrivateNetwork.nodeAddress,
            serviceRanges: [try #require(IPNetwork("10.96.0.0/16"))],
            podRanges: [try #require(IPNetwork("10.244.0.0/16"))])
        form = NftablesForm(.ipv4, configuration)
        vandal = try await NftablesSocket(in: network.node)
    }

    enum Harm: CaseIterable {
        /// `nft delete table ip swiftlet`, which `nft flush ruleset` does to every table.
        case table
        /// `nft flush table ip swiftlet`
        case rules
        /// `nft flush map ip swiftlet services`
        case elements
        /// `nft delete element ip swiftlet endpoints { … }`
        case oneElement
    }

    @Test(.timeLimit(.minutes(5)), arguments: Harm.allCases) func itIsPutRightAtOnce(_ harm: Harm)
        async throws
    {
        let registry = MetricRegistry()
        let proxy = ServiceProxy(
            configuration, queue: queue, namespace: network.node, clock: ContinuousClock(),
            metrics: ProxyMetrics(registry), logger: Logger(label: "test"))
        let entry = ServiceAddress(PrivateNetwork.address("10.96.0.42"), .tcp, 80)
        let backend = Backend(PrivateNetwork.address("10.244.0.2"), 3000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await proxy.runInTest() }
            queue.set(
                Service(
                    metadata: ObjectMeta(name: "web", namespace: "default", resourceVersion: "1"),
                    spec: ServiceSpec(ports: [ServicePort(port: 80)], clusterIP: "10.96.0.42")))
            queue.complete(.services, revision: "1")
            queue.set(
                EndpointSlice(
                    metadata: ObjectMeta(
                        name: "web-1", namespace: "default", resourceVersion: "1",
                        labels: ["kubernetes.io/service-name": "web"]),
                    addressType: "IPv4", endpoints: [Endpoint(addresses: ["10.244.0.2"], nodeName: "node")],
                    ports: [EndpointSlicePort(port: 3000)]))
            queue.complete(.endpointSlices, revision: "1")
            await proxy.revision.wait(for: 1, .settled)
            #expect(try tableInKernel()?.entries == [entry: .spread([backend])])
            let rules = try vandal.ruleCount(of: form.table)
            try vandal.commit(NftablesTransaction(form.table, operations(harm, entry)))
            // Nothing of a Service changes: only the kernel's notice brings it back. However long that takes.
            while try tableInKernel()?.entries != [entry: .spread([backend])]
                || vandal.ruleCount(of: form.table) != rules
            {
                await Task.yield()
            }
            #expect(try vandal.comment(of: form.table) == form.comment)
            // It is counted once it is done.
            while registry.text().contains("\nswiftlet_proxy_table_repairs_total 0\n") { await Task.yield() }
            group.cancelAll()
        }
    }

    private func operations(_ harm: Harm, _ entry: ServiceAddress) -> [NftablesOperation] {
        switch harm {
        case .table: [.deleteTable]
        case .rules: form.chains.map { .flushChain($0.name) }
        case .elements: [.flushSet(NftablesForm.services)]
        case .oneElement:
            [.deleteElements(set: NftablesForm.endpoints, [NftablesForm.key(entry, slot: 0)])]
        }
    }

    /// nil while there is none.
    private func tableInKernel() throws -> ForwardingTable? {
        guard try vandal.comment(of: form.table) == form.comment else { return nil }
        var elements: [String: [SetElement]] = [:]
        for set in form.sets where NftablesForm.holdsTable(set.name) {
            do { elements[set.name] = try vandal.elements(of: set.name, in: form.table) } catch {
                // It is being made anew.
                guard error.isNotThere else { throw error }
                return nil
            }
        }
        return form.table(from: elements)
    }
}
