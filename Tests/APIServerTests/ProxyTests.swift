import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct ProxyTests {
    // MARK: Names and targets

    @Test(arguments: [
        ("web", "web", "", false), ("web:80", "web", "80", false), ("https:web:http", "web", "http", true),
        ("http:web:", "web", "", false),
    ])
    func names(_ text: String, _ name: String, _ port: String, _ isTLS: Bool) throws {
        let found = try #require(ProxyName(text))
        #expect(found.name == name && found.port == port && found.isTLS == isTLS)
    }

    @Test(arguments: ["", ":80", "ftp:web:80", "a:b:c:d"])
    func noNames(_ text: String) { #expect(ProxyName(text) == nil) }

    private func pod(_ address: String, ports: [Int] = []) -> Pod {
        Pod(
            spec: PodSpec(containers: [
                Container(name: "c", ports: ports.map { ContainerPort(containerPort: $0) })
            ]), status: PodStatus(podIP: address))
    }

    private func name(_ text: String) throws -> ProxyName { try #require(ProxyName(text)) }

    @Test func podTargets() throws {
        #expect(
            try ProxyTarget.pod(pod("10.244.0.5", ports: [3000, 1]), try name("p"))
                == .address(host: "10.244.0.5", port: 3000, isTLS: false))
        #expect(
            try ProxyTarget.pod(pod("10.244.0.5", ports: [3000]), try name("https:p:8443"))
                == .address(host: "10.244.0.5", port: 8443, isTLS: true))
        #expect(
            try ProxyTarget.pod(pod("10.244.0.5"), try name("p"))
                == .address(host: "10.244.0.5", port: 80, isTLS: false))
    }

    @Test(arguments: ["", "127.0.0.1", "169.254.1.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1"])
    func forbiddenAddresses(_ address: String) throws {
        let failure = #expect(throws: APIError.self) { try ProxyTarget.pod(pod(address), try name("p:80")) }
        #expect(failure?.status.message == "address not allowed")
        #expect(failure?.status.code == 400)
    }

    @Test func serviceTargets() throws {
        let service = Service(
            metadata: ObjectMeta(name: "web"),
            spec: ServiceSpec(ports: [ServicePort(name: "http", port: 80), ServicePort(name: "b", port: 81)]))
        let endpoints = Endpoints(subsets: [
            EndpointSubset(
                addresses: [EndpointAddress(ip: "10.244.0.2"), EndpointAddress(ip: "10.244.0.3")],
                ports: [EndpointPort(name: "http", port: 3000), EndpointPort(name: "b", port: 3001)])
        ])
        for text in ["web:http", "web:80"] {
            #expect(
                try ProxyTarget.service(service, endpoints, try name(text)) { $0.upperBound - 1 }
                    == .address(host: "10.244.0.3", port: 3000, isTLS: false))
        }
        func refusal(_ text: String, _ endpoints: Endpoints?) throws -> String? {
            #expect(throws: APIError.self) {
                try ProxyTarget.service(service, endpoints, try name(text)) { $0.lowerBound }
            }?.status.message
        }
        #expect(try refusal("web:82", endpoints) == "no service port 82 found for service \"web\"")
        #expect(try refusal("web:nope", endpoints) == "no endpoints available for service \"web\"")
        #expect(try refusal("web", nil) == "no endpoints available for service \"web\"")
    }

    @Test func nodeTargets() throws {
        let node = Node(
            metadata: ObjectMeta(name: "n"),
            status: NodeStatus(addresses: [NodeAddress(type: "InternalIP", address: "192.0.2.10")]))
        #expect(try ProxyTarget.node(node, try name("n")) == .agent(node: "n"))
        #expect(try ProxyTarget.node(node, try name("https:n:10250")) == .agent(node: "n"))
        #expect(
            try ProxyTarget.node(node, try name("n:9100"))
                == .address(host: "192.0.2.10", port: 9100, isTLS: false))
    }

    // MARK: Requests

    private let root = "/api/v1/namespaces/default/services/web:80/proxy"

    @Test func pathsAndHeaders() throws {
        let request = HTTPRequest(
            method: .GET, target: root + "/a%2Fb//c/?x=1",
            headers: [
                "host": "api:6443", "authorization": "Bearer t", "Impersonate-User": "u", "accept": "*/*",
                "connection": "x-private, close", "x-private": "1", "te": "trailers",
            ])
        let proxied = ProxyRequest(request, segments: 7)
        #expect(proxied.prefix == root)
        #expect(proxied.path == "/a%2Fb//c/")
        #expect(proxied.redirect == nil)
        let forwarded = proxied.forwarded(host: "10.244.0.3:3000")
        #expect(forwarded.target == "/a%2Fb//c/?x=1")
        #expect(forwarded.headers["host"] == ["10.244.0.3:3000"])
        #expect(forwarded.headers["accept"] == ["*/*"])
        #expect(forwarded.headers["x-forwarded-host"] == ["api:6443"])
        for gone in ["authorization", "impersonate-user", "connection", "x-private", "te"] {
            #expect(!forwarded.headers.contains(name: gone), "\(gone)")
        }
    }

    @Test func theRootGetsItsSlash() {
        let request = HTTPRequest(method: .GET, target: root + "?x=1")
        let redirect = ProxyRequest(request, segments: 7).redirect
        #expect(redirect?.status.code == 301)
        #expect(redirect?.headers["location"] == [root + "/?x=1"])
        // What sends something is not sent twice.
        let post = ProxyRequest(HTTPRequest(method: .POST, target: root), segments: 7)
        #expect(post.redirect == nil)
        #expect(post.forwarded(host: "10.244.0.3:3000").target == "/")
    }

    @Test(arguments: [
        ("/login", "/api/v1/namespaces/default/services/web:80/proxy/login"),
        ("http://10.244.0.3:3000/x", "/api/v1/namespaces/default/services/web:80/proxy/x"),
        ("https://example.com/x", "https://example.com/x"), ("//example.com/x", "//example.com/x"),
        ("next", "next"),
    ])
    func redirectsStayInTheProxy(_ location: String, _ expected: String) {
        let proxied = ProxyRequest(HTTPRequest(method: .GET, target: root + "/"), segments: 7)
        let answered = proxied.answered(
            ["location": location, "keep-alive": "timeout=5"], host: "10.244.0.3:3000")
        #expect(answered["location"] == [expected])
        #expect(!answered.contains(name: "keep-alive"))
    }

    // MARK: Through the server

    @Test func nodesAreReachedThroughTheirAgents() async throws {
        let api = try await Harness()
        _ = try await api.post("/api/v1/nodes", #"{"metadata":{"name":"n1"}}"#)
        let reply = try await api.get("/api/v1/nodes/n1/proxy/healthz?verbose=1")
        #expect(reply.text == "from the node")
        let seen = await api.nodes.requests
        #expect(seen.map(\.node) == ["n1"])
        #expect(seen[0].request.target == "/healthz?verbose=1")
        #expect(try await api.get("/api/v1/nodes/n2/proxy/").message == #"nodes "n2" not found"#)
        #expect(
            try await api.get(Harness.services + "/nope/proxy/").message == #"services "nope" not found"#)
    }

    @Test func whoCannotBeReachedIsNamed() async throws {
        let api = try await Harness()
        _ = try await api.post(
            Harness.services, #"{"metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}}"#)
        let reply = try await api.get(Harness.services + "/web:80/proxy/")
        #expect(reply.status == 503)
        #expect(reply.reason == "ServiceUnavailable")
        #expect(reply.message == #"no endpoints available for service "web""#)
    }

    @Test func componentStatuses() async throws {
        let api = try await Harness()
        let list = try await api.get("/api/v1/componentstatuses")
        #expect(list.json["kind"] == "ComponentStatusList")
        #expect(list.json["items"]?[0]?["metadata"]?["name"] == "etcd-0")
        #expect(list.json["items"]?[0]?["conditions"]?[0]?["status"] == "True")
        #expect(list.warnings == [#"299 - "v1 ComponentStatus is deprecated in v1.19+""#])
        let table = try await api.get(
            "/api/v1/componentstatuses/etcd-0", accept: "application/json;as=Table;v=v1;g=meta.k8s.io")
        #expect(table.json["rows"]?[0]?["cells"] == ["etcd-0", "Healthy", "ok", ""])
        #expect(try await api.get("/api/v1/componentstatuses/nope").status == 404)
        #expect(try await api.delete("/api/v1/componentstatuses/etcd-0").status == 405)
    }
}
