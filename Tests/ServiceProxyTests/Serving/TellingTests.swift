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
        metrics.queued(.services)
        metrics.queued(.endpointSlices)
        metrics.queued(.endpointSlices)
        #expect(value("kubeproxy_sync_proxy_rules_service_changes_total", in: registry) == "1")
        #expect(value("kubeproxy_sync_proxy_rules_endpoint_changes_total", in: registry) == "2")
        #expect(value("kubeproxy_sync_proxy_rules_endpoint_changes_pending", in: registry) == "2")
        #expect(value("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", in: registry) == "1000")
        metrics.taken()
        now.withLock { $0 = time(1002) }
        // One cause was before this proxy, the other a second and a half ago.
        metrics.committed(
            took: .milliseconds(3), isFull: true,
            triggers: [time(900), MicroTime(microseconds: 1_000_500_000)])
        #expect(value("kubeproxy_sync_proxy_rules_endpoint_changes_pending", in: registry) == "0")
        #expect(value("kubeproxy_sync_proxy_rules_duration_seconds_count", in: registry) == "1")
        #expect(value("kubeproxy_sync_full_proxy_rules_duration_seconds_count", in: registry) == "1")
        #expect(value("kubeproxy_sync_partial_proxy_rules_duration_seconds_count", in: registry) == "0")
        #expect(value("kubeproxy_network_programming_duration_seconds_count", in: registry) == "1")
        #expect(value("kubeproxy_network_programming_duration_seconds_sum", in: registry) == "1.5")
        #expect(value("kubeproxy_sync_proxy_rules_last_timestamp_seconds", in: registry) == "1002")
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
