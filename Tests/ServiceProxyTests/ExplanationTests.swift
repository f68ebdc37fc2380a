import Netlink
import ServiceProxy
import Testing

@Suite struct ExplanationTests {
    private func address(_ text: String) -> IPAddress { IPAddress(text) ?? IPAddress(ipv4: 0) }

    private func planner() -> Planner {
        var configuration = ProxyConfiguration(
            nodeName: "node-a", nodeAddress: address("172.31.0.1"), serviceRanges: [], podRanges: [])
        configuration.nodeLocalAddresses = []
        return Planner(configuration)
    }

    private func service(_ name: String, created: Int64) -> ServiceFacts {
        var facts = ServiceFacts(ObjectName("default", name))
        facts.clusterAddresses = [address("10.96.0.1")]
        facts.ports = [.init("", .tcp, 80, nodePort: 30080)]
        facts.created = created
        return facts
    }

    private func slice(_ service: String) -> SliceFacts {
        var facts = SliceFacts(ObjectName("default", "\(service)-1"), of: ObjectName("default", service))
        facts.ports = [.init("", .tcp, 3000)]
        var ready = SliceFacts.Endpoint(address("10.244.1.2"))
        ready.nodeName = "node-b"
        var terminating = SliceFacts.Endpoint(address("10.244.0.2"))
        (terminating.isReady, terminating.isTerminating, terminating.isOnNode) = (false, true, true)
        terminating.nodeName = "node-a"
        var broken = SliceFacts.Endpoint(address("10.244.0.3"))
        (broken.isReady, broken.isServing, broken.isOnNode) = (false, false, true)
        facts.endpoints = [ready, terminating, broken]
        return facts
    }

    @Test func everyEndpointSaysWhyItIsInOrOut() throws {
        var planner = planner()
        var web = service("web", created: 1)
        web.isExternalTrafficLocal = true
        planner.setService(web)
        planner.setSlice(slice("web"))
        _ = planner.plan()
        let port = try #require(planner.explanation().first)
        #expect(planner.explanation().count == 1)
        #expect(port.service == ObjectName("default", "web"))
        #expect(port.addresses.map(\.address.description) == ["0.0.0.0:30080/TCP", "10.96.0.1:80/TCP"])
        #expect(port.addresses.map(\.kind) == [.nodePort, .cluster])
        #expect(port.addresses.allSatisfy { $0.holder == nil && $0.forwarding != nil })
        #expect(
            port.endpoints.map(\.backend.description) == [
                "10.244.0.2:3000", "10.244.0.3:3000", "10.244.1.2:3000",
            ])
        #expect(port.endpoints.map(\.anywhere.isIn) == [false, false, true])
        #expect(
            port.endpoints.map(\.anywhere.reason) == [
                "terminating, and others are ready", "not ready", "ready",
            ])
        // Here nothing is ready, so what terminates and serves is in.
        #expect(port.endpoints.map(\.onNode?.isIn) == [true, false, false])
        #expect(port.endpoints.last?.onNode?.reason == "not on this node")
        #expect(port.endpoints.map(\.nodeName) == ["node-a", nil, "node-b"])
    }

    @Test func whoHasAContestedAddressIsTold() throws {
        var planner = planner()
        planner.setService(service("old", created: 1))
        planner.setService(service("young", created: 2))
        planner.setSlice(slice("young"))
        _ = planner.plan()
        let young = try #require(planner.explanation(ObjectName("default", "young")).first)
        #expect(young.addresses.allSatisfy { $0.holder == ObjectName("default", "old") })
        #expect(young.addresses.allSatisfy { $0.forwarding == nil })
        // Without a policy Local, nothing is said about this node.
        #expect(young.endpoints.allSatisfy { $0.onNode == nil })
    }

    @Test func healthChecksSpeakAsUpstreamDoes() {
        let check = HealthCheck(service: ObjectName("default", "web"), port: 30999, localEndpoints: 2)
        #expect(check.status(isProxyHealthy: true) == 200)
        #expect(check.status(isProxyHealthy: false) == 503)
        #expect(
            HealthCheck(service: check.service, port: 30999, localEndpoints: 0).status(isProxyHealthy: true)
                == 503)
        #expect(
            check.body(isProxyHealthy: true)
                == "{\n\t\"service\": {\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t},\n"
                + "\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}")
    }
}
