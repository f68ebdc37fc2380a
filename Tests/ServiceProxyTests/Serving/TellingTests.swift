import HTTPService
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Logging
import Netlink
import ServiceProxy
import Synchronization
import Telemetry
import Testing

/// What the proxy tells about itself: metrics, health, how far the kernel is, and why things go where they go.
@Suite struct TellingTests {
    private func time(_ seconds: Int) -> MicroTime { MicroTime(microseconds: seconds * 1_000_000) }

    private func value(_ name: String, in registry: MetricRegistry) -> String? {
        registry.text().split(separator: "\n").first { $0.hasPrefix(name + " ") }?
            .split(separator: " ").last.map(String.init)
    }

    @Test func metricsHaveKubeProxysNames() {
        let registry = MetricRegistry()
        let now = Mutex(time(1000))
        let metrics = ProxyMetrics(registry, now: { now.withLock { $0 } })
        metrics.show(families: [.ipv4])
        metrics.queued(.services)
        metrics.queued(.endpointSlices)
        metrics.queued(.endpointSlices)
        func kubeproxy(_ name: String) -> String? { value("kubeproxy_" + name, in: registry) }
        let family = #"{ip_family="IPv4"}"#
        #expect(kubeproxy("sync_proxy_rules_service_changes_total") == "1")
        #expect(kubeproxy("sync_proxy_rules_endpoint_changes_total") == "2")
        #expect(kubeproxy("sync_proxy_rules_endpoint_changes_pending") == "2")
        #expect(kubeproxy("sync_proxy_rules_last_queued_timestamp_seconds" + family) == "1000")
        metrics.taken()
        now.withLock { $0 = time(1002) }
        // One cause was before this proxy, one of addresses that it does not have, one a second and a half ago.
        let late = MicroTime(microseconds: 1_000_500_000)
        metrics.committed(
            took: .milliseconds(3), isFull: true,
            triggers: [.init(time(900), .ipv4), .init(late, .ipv6), .init(late, .ipv4)])
        #expect(kubeproxy("sync_proxy_rules_endpoint_changes_pending") == "0")
        #expect(kubeproxy("sync_proxy_rules_duration_seconds_count" + family) == "1")
        #expect(kubeproxy("sync_full_proxy_rules_duration_seconds_count" + family) == "1")
        #expect(kubeproxy("sync_partial_proxy_rules_duration_seconds_count" + family) == "0")
        #expect(kubeproxy("network_programming_duration_seconds_count" + family) == "1")
        #expect(kubeproxy("network_programming_duration_seconds_sum" + family) == "1.5")
        #expect(kubeproxy("sync_proxy_rules_last_timestamp_seconds" + family) == "1002")
        #expect(!registry.text().contains("IPv6"))
        metrics.show(families: [.ipv4, .ipv6])
        #expect(kubeproxy(#"sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv6"}"#) == "0")
        metrics.failed(.ipv6)
        metrics.failed(nil)
        #expect(kubeproxy("sync_proxy_rules_nftables_sync_failures_total" + family) == "1")
        #expect(kubeproxy(#"sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv6"}"#) == "2")
    }

    @Test func whatIsLookedForAndRepairedIsCounted() async {
        let registry = MetricRegistry()
        let metrics = ProxyMetrics(registry)
        metrics.show(families: [.ipv4])
        let family = #"{ip_family="IPv4"}"#
        #expect(value("kubeproxy_conntrack_reconciler_deleted_entries_total" + family, in: registry) == "0")
        #expect(await metrics.reconciling(.ipv4) { 3 } == 3)
        #expect(await metrics.reconciling(.ipv4) { 0 } == 0)
        #expect(value("kubeproxy_conntrack_reconciler_deleted_entries_total" + family, in: registry) == "3")
        #expect(
            value("kubeproxy_conntrack_reconciler_sync_duration_seconds_count" + family, in: registry) == "2")
        metrics.repaired()
        metrics.repaired()
        metrics.repairFailed()
        #expect(value("swiftlet_proxy_table_repairs_total", in: registry) == "2")
        #expect(value("swiftlet_proxy_table_repair_failures_total", in: registry) == "1")
    }

    @Test func slicesAreTimedFromTheFirstThatWaited() {
        let registry = MetricRegistry()
        let now = Mutex(time(1000))
        let metrics = ProxyMetrics(registry, now: { now.withLock { $0 } })
        func at(_ seconds: Int) { now.withLock { $0 = time(seconds) } }
        func sum() -> String? { value("swiftlet_proxy_endpoints_sync_duration_seconds_sum", in: registry) }
        metrics.queued(.endpointSlices)
        at(1001)
        metrics.queued(.endpointSlices)
        metrics.taken()
        // This one comes too late for the transaction that is under way.
        metrics.queued(.endpointSlices)
        at(1003)
        metrics.committed(took: .seconds(1), isFull: false, triggers: [])
        #expect(sum() == "3")
        metrics.taken()
        at(1004)
        metrics.committed(took: .seconds(1), isFull: false, triggers: [])
        #expect(sum() == "6")
        // No slice is among these.
        metrics.queued(.services)
        metrics.taken()
        metrics.committed(took: .seconds(1), isFull: false, triggers: [])
        #expect(value("swiftlet_proxy_endpoints_sync_duration_seconds_count", in: registry) == "2")
    }

    @Test func whatCannotBeUsedIsCounted() {
        let registry = MetricRegistry()
        let queue = ProxyQueue(nodeName: "node-a", metrics: ProxyMetrics(registry))
        func skipped(_ resource: String, _ field: String) -> String? {
            value(#"swiftlet_proxy_skipped_total{resource="\#(resource)",field="\#(field)"}"#, in: registry)
        }
        var service = Service(
            metadata: ObjectMeta(name: "web", namespace: "default"),
            spec: ServiceSpec(ports: [ServicePort(port: 80)], clusterIP: "10.96.0.42"))
        queue.set(service)
        service.spec.ports.append(ServicePort(port: 70_000))
        service.spec.externalIPs = ["192.0.2.7", "nowhere", "192.0.2.300"]
        queue.set(service)
        // It has no cluster address to lack.
        service.spec.clusterIP = "None"
        service.spec.ports = []
        queue.set(service)
        let slice = EndpointSlice(
            metadata: ObjectMeta(
                name: "web-1", namespace: "default", labels: ["kubernetes.io/service-name": "web"]),
            addressType: "IPv4",
            endpoints: ["10.244.0.2", "10.244.0.400", "10.244.0.3"].map { Endpoint(addresses: [$0]) },
            ports: [EndpointSlicePort(port: 3000)])
        queue.set(slice)
        #expect(skipped("services", "ports") == "1")
        #expect(skipped("services", "externalIPs") == "2")
        #expect(skipped("services", "clusterIPs") == nil)
        #expect(skipped("endpointslices", "endpoints") == "1")
        #expect(skipped("endpointslices", "ports") == nil)
    }

    @Test func servicesThatLackAnEndpointOnTheNodeAreCounted() {
        var planner = Planner(
            ProxyConfiguration(nodeName: "node-a", nodeAddresses: [], serviceRanges: [], podRanges: []))
        func address(_ text: String) -> Netlink.IPAddress { PrivateNetwork.address(text) }
        var service = ServiceFacts(ObjectName("default", "web"))
        service.clusterAddresses = [address("10.96.0.42")]
        service.ports = [ServiceFacts.Port("http", .tcp, 80, nodePort: 30_080)]
        service.externalAddresses = [address("192.0.2.7"), address("192.0.2.8")]
        service.isInternalTrafficLocal = true
        service.isExternalTrafficLocal = true
        planner.setService(service)
        var slice = SliceFacts(ObjectName("default", "web-1"), of: service.name)
        slice.ports = [SliceFacts.Port("http", .tcp, 3000)]
        func count(_ policy: MissingLocalEndpoints.Policy, _ family: Netlink.IPAddress.Family = .ipv4) -> Int
        {
            _ = planner.plan()
            return planner.missingLocalEndpoints.count(family, policy)
        }
        // Without any endpoint it is not the policy that keeps clients out.
        #expect(count(.internal) == 0 && count(.external) == 0)
        slice.endpoints = [.init(address("10.244.1.2"))]
        planner.setSlice(slice)
        #expect(count(.internal) == 1 && count(.external) == 1 && count(.external, .ipv6) == 0)
        // A proxy that starts anew finds them in the table.
        var next = Planner(planner.configuration)
        next.adopt(planner.table)
        next.setService(service)
        next.setSlice(slice)
        _ = next.plan()
        #expect(next.missingLocalEndpoints == planner.missingLocalEndpoints)
        service.isInternalTrafficLocal = false
        planner.setService(service)
        #expect(count(.internal) == 0 && count(.external) == 1)
        slice.endpoints[0].isOnNode = true
        planner.setSlice(slice)
        #expect(count(.external) == 0)
        slice.endpoints[0].isOnNode = false
        planner.setSlice(slice)
        #expect(count(.external) == 1)
        planner.removeService(service.name)
        #expect(count(.external) == 0)
    }

    @Test func healthIsWhetherTheKernelKeepsUp() {
        var times = ProxyMetrics.Times()
        #expect(!times.isHealthy(at: time(1000)))
        times.committed = time(1000)
        #expect(times.isHealthy(at: time(9000)))
        times.waitingSince = time(2000)
        #expect(times.isHealthy(at: time(2059)))
        #expect(!times.isHealthy(at: time(2060)))
    }

    @Test func whatIsPublishedIsTheNewestAndNotEachChange() async throws {
        let (patches, patched) = AsyncStream.makeStream(of: JSONValue.self)
        let server = ClosureResponder { request in
            let body = (try? await request.body.collect(upTo: 1 << 20)) ?? []
            if request.path == "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-a" {
                patched.yield((try? JSONValue(json: body)) ?? .null)
            }
            return HTTPResponse(contentType: "application/json", Array(#"{"metadata":{}}"#.utf8))
        }
        let revision = DataPlaneRevision()
        let publisher = RevisionPublisher(
            revision,
            client: KubernetesClient(
                transport: InProcessTransport(responder: server, user: "node", groups: [])),
            nodeName: "node-a", logger: Logger(label: "test"))
        func reach(_ services: UInt64, _ slices: UInt64) {
            var revisions = DataPlaneRevision.Revisions()
            revisions.services = services
            revisions.endpointSlices = slices
            revision.publish(revisions, .settled)
        }
        let running = Task { try await publisher.run() }
        defer { running.cancel() }
        reach(3, 5)
        var count = 0
        for await patch in patches {
            count += 1
            var lease = Lease()
            for (key, value) in patch["metadata"]?["annotations"]?.objectValue ?? [:] {
                lease.metadata.annotations[key] = value.stringValue
            }
            let published = try #require(RevisionPublisher.revisions(of: lease))
            if count == 1 {
                #expect(published.services == 3 && published.endpointSlices == 5)
                for number in UInt64(6)...100 { reach(3, number) }
            } else {
                // All of them came while it paused.
                #expect(published.services == 3 && published.endpointSlices == 100)
                break
            }
        }
        #expect(count == 2)
        #expect(RevisionPublisher.revisions(of: Lease()) == nil)
    }

    @Test func theDrawingSaysWhoIsInAndWhoIsOutAndWhy() {
        var planner = Planner(
            ProxyConfiguration(nodeName: "node-a", nodeAddresses: [], serviceRanges: [], podRanges: []))
        func address(_ text: String) -> Netlink.IPAddress { PrivateNetwork.address(text) }
        var service = ServiceFacts(ObjectName("default", "web"))
        service.clusterAddresses = [address("10.96.0.42")]
        service.ports = [ServiceFacts.Port("http", .tcp, 80)]
        planner.setService(service)
        #expect(
            draw(&planner) == """
                default/web
                  port http 80/TCP
                    10.96.0.42:80/TCP (cluster IP) -> refused: no endpoint is ready
                    no endpoints

                """)
        var slice = SliceFacts(ObjectName("default", "web-1"), of: service.name)
        slice.ports = [SliceFacts.Port("http", .tcp, 3000)]
        var here = SliceFacts.Endpoint(address("10.244.0.2"))
        here.isOnNode = true
        var there = SliceFacts.Endpoint(address("10.244.1.20"))
        there.nodeName = "node-b"
        there.isReady = false
        there.isServing = false
        slice.endpoints = [here, there]
        planner.setSlice(slice)
        #expect(
            draw(&planner) == """
                default/web
                  port http 80/TCP
                    10.96.0.42:80/TCP (cluster IP) -> 1 endpoint
                    + 10.244.0.2:3000   this node: ready
                    - 10.244.1.20:3000  node node-b: not ready

                """)
    }

    private func draw(_ planner: inout Planner) -> String {
        _ = planner.plan()
        return "\(ForwardingDrawing(planner.explanation()))"
    }

    @Test func healthCheckPortsAreServedAndOnesThatAreTakenAreToldOf() async throws {
        let (events, told) = AsyncStream.makeStream(of: JSONValue.self)
        let server = ClosureResponder { request in
            let body = (try? await request.body.collect(upTo: 1 << 20)) ?? []
            told.yield((try? JSONValue(json: body)) ?? .null)
            return HTTPResponse(status: .created, contentType: "application/json", body)
        }
        let client = KubernetesClient(
            transport: InProcessTransport(responder: server, user: "proxy", groups: []))
        let ports = HealthCheckPorts(
            nodeName: "node-a", isHealthy: { true },
            recorder: EventRecorder(client: client, component: "kube-proxy"), logger: Logger(label: "test"))
        let (occupant, port) = try await occupant(responder: server)
        let name = ObjectName("default", "web")
        let number = UInt16(port)
        await ports.update([number: HealthCheck(service: name, port: number, localEndpoints: 2)])
        for await event in events {
            #expect(event["reason"] == "FailedToStartServiceHealthcheck")
            #expect(event["involvedObject"]?["name"] == "web")
            #expect(event["message"]?.stringValue?.contains("on port \(port)") == true)
            break
        }
        await occupant.stop()
        // The same Service: what is tried again is the port.
        await ports.update([number: HealthCheck(service: name, port: number, localEndpoints: 2)])
        let web = try HTTPClient(ClientConfiguration(endpoint: .tcp(host: "127.0.0.1", port: port)))
        let well = try await web.send(HTTPRequest(path: "/"))
        #expect(well.status.code == 200)
        #expect(well.headers.first(name: "x-load-balancing-endpoint-weight") == "2")
        let webOverIPv6 = try HTTPClient(ClientConfiguration(endpoint: .tcp(host: "::1", port: port)))
        #expect(try await webOverIPv6.send(HTTPRequest(path: "/")).status.code == 200)
        await webOverIPv6.close()
        await ports.update([number: HealthCheck(service: name, port: number, localEndpoints: 0)])
        #expect(try await web.send(HTTPRequest(path: "/")).status.code == 503)
        await ports.stop()
        await web.close()
    }

    /// A server at a port that the kernel gives to nobody who does not ask for it, as it does with those from 32768 on:
    /// whoever lets go of such a one may find it in use the next moment.
    private func occupant(responder: any HTTPResponder) async throws -> (HTTPServer, port: Int) {
        var ports = (20000..<32768).shuffled().makeIterator()
        while let port = ports.next() {
            let server = try HTTPServer(
                ServerConfiguration(addresses: [.tcp(host: "::1", port: port)]), responder: responder,
                logger: Logger(label: "test"))
            do {
                try await server.bind()
                return (server, port)
            } catch let error as HTTPError where error.isAddressInUse {
                continue
            }
        }
        throw NoPort()
    }

    private struct NoPort: Error {}
}
