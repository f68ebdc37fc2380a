import Controllers
import KubernetesAPI
import Testing

@Suite("Services of type LoadBalancer have the nodes' addresses")
struct LoadBalancerAssignmentTests {
    private func service(
        _ name: String, ports: [Int] = [80], age: Int = 100, _ change: (inout Service) -> Void = { _ in }
    ) -> Service {
        var service = Make.service()
        service.metadata.name = name
        service.metadata.creationTimestamp = Time(seconds: Make.now.seconds - age)
        service.spec.type = "LoadBalancer"
        service.spec.ports = ports.map { ServicePort(name: "p\($0)", protocol: "TCP", port: $0) }
        change(&service)
        return service
    }

    private func node(
        _ name: String, _ addresses: [(String, String)], ready: Bool = true, labels: [String: String] = [:]
    ) -> Node {
        var node = Node(metadata: ObjectMeta(name: name, labels: labels))
        node.status.addresses = addresses.map { NodeAddress(type: $0.0, address: $0.1) }
        node.status.conditions = [NodeCondition(type: "Ready", status: ready ? "True" : "False")]
        return node
    }

    private var plain: [Node] { [node("node-a", [("InternalIP", "172.31.0.1"), ("Hostname", "node-a")])] }

    private func slice(of name: String, on nodes: [String], ready: Bool = true) -> EndpointSlice {
        var slice = EndpointSlice(
            metadata: ObjectMeta(
                name: "\(name)-1", namespace: "default", labels: ["kubernetes.io/service-name": name]))
        slice.endpoints = nodes.map {
            Endpoint(
                addresses: ["10.244.0.2"], conditions: EndpointConditions(ready: ready), nodeName: $0)
        }
        return slice
    }

    private func assign(
        _ services: [Service], _ nodes: [Node], slices: [EndpointSlice] = []
    ) -> [String: LoadBalancerAssignment.Outcome] {
        let assignment = LoadBalancerAssignment(services: services, nodes: nodes) { name in
            slices.filter { $0.metadata.labels["kubernetes.io/service-name"] == name.name }
        }
        return Dictionary(uniqueKeysWithValues: assignment.outcomes.map { ($0.key.name, $0.value) })
    }

    @Test("The internal addresses of ready nodes, as virtual addresses")
    func plainCase() {
        let nodes =
            plain + [
                node("node-b", [("InternalIP", "172.31.0.2")], ready: false),
                node(
                    "node-c", [("InternalIP", "172.31.0.3")],
                    labels: ["node.kubernetes.io/exclude-from-external-load-balancers": ""]),
                node("node-d", [("InternalIP", "172.31.0.4")]),
            ]
        let outcome = assign([service("web")], nodes)["web"]
        #expect(outcome?.ingress.map(\.ip) == ["172.31.0.1", "172.31.0.4"])
        #expect(outcome?.ingress.map(\.ipMode) == ["VIP", "VIP"])
        #expect(outcome?.failure == nil)
    }

    @Test("External addresses rather than internal ones, and those of the Service's families")
    func families() {
        let nodes = [
            node(
                "node-a",
                [
                    ("InternalIP", "172.31.0.1"), ("ExternalIP", "203.0.113.1"),
                    ("ExternalIP", "2001:db8::1"),
                ])
        ]
        #expect(assign([service("web")], nodes)["web"]?.ingress.map(\.ip) == ["203.0.113.1"])
        let dual = service("web") { $0.spec.ipFamilies = ["IPv6", "IPv4"] }
        #expect(assign([dual], nodes)["web"]?.ingress.map(\.ip) == ["2001:db8::1", "203.0.113.1"])
    }

    @Test("Other classes are other balancers' business")
    func classes() {
        let ours = service("ours", ports: [80]) { $0.spec.loadBalancerClass = "swiftlet/node" }
        let theirs = service("theirs", ports: [81]) { $0.spec.loadBalancerClass = "example.com/cloud" }
        let outcomes = assign([ours, theirs, Make.service()], plain)
        #expect(Set(outcomes.keys) == ["ours"])
    }

    @Test("externalTrafficPolicy Local: only nodes with ready endpoints")
    func local() {
        let nodes = plain + [node("node-b", [("InternalIP", "172.31.0.2")])]
        let web = service("web") { $0.spec.externalTrafficPolicy = "Local" }
        #expect(
            assign([web], nodes, slices: [slice(of: "web", on: ["node-b"])])["web"]?.ingress.map(\.ip)
                == ["172.31.0.2"])
        #expect(
            assign([web], nodes, slices: [slice(of: "web", on: ["node-b"], ready: false)])["web"]?.ingress
                .isEmpty == true)
    }

    @Test("Of two that want one port the older has it, the younger is told, and gets it when it is free")
    func contended() {
        let old = service("old", age: 200)
        let young = service("young", ports: [443, 80], age: 100)
        let outcomes = assign([young, old], plain)
        #expect(outcomes["old"]?.ingress.count == 1)
        #expect(outcomes["young"]?.ingress.isEmpty == true)
        #expect(
            outcomes["young"]?.failure
                == "port 80/TCP of 172.31.0.1 is taken by LoadBalancer Service default/old; "
                + "choose another port in spec.ports, or free that one")
        #expect(assign([young], plain)["young"]?.ingress.count == 1)
        // The same number of another protocol is another port.
        let udp = service("udp", age: 50) { $0.spec.ports[0].protocol = "UDP" }
        #expect(assign([old, udp], plain)["udp"]?.failure == nil)
    }

    @Test("A port that was given is not taken away by one that was made in the same second")
    func kept() {
        let first = service("zebra", age: 100) { $0.status.loadBalancer.ingress = [.init(ip: "172.31.0.1")] }
        let outcomes = assign([service("ant", age: 100), first], plain)
        #expect(outcomes["zebra"]?.ingress.count == 1)
        #expect(outcomes["ant"]?.failure != nil)
    }

    @Test("Ports at which something else answers are not given away")
    func reserved() {
        var kubernetes = slice(of: "kubernetes", on: [])
        kubernetes.endpoints = [Endpoint(addresses: ["172.31.0.1"])]
        kubernetes.ports = [EndpointSlicePort(name: "https", protocol: "TCP", port: 6443)]
        let api = assign([service("web", ports: [6443])], plain, slices: [kubernetes])["web"]
        #expect(api?.failure?.contains("taken by the API server") == true)
        var nodes = plain
        nodes[0].status.daemonEndpoints.kubeletEndpoint.Port = 10250
        #expect(
            assign([service("web", ports: [10250])], nodes)["web"]?.failure?.contains("agent of node node-a")
                == true)
        let nodePort = service("np", ports: [8080]) {
            $0.spec.type = "NodePort"
            $0.spec.ports[0].nodePort = 30080
        }
        #expect(
            assign([nodePort, service("web", ports: [30080])], plain)["web"]?.failure?
                .contains("the node port of Service default/np") == true)
        #expect(
            assign([service("web", ports: [10256])], plain)["web"]?.failure
                == "port 10256/TCP of 172.31.0.1 is taken by the health check of the nodes' service proxies; "
                + "choose another port in spec.ports, or free that one")
        let checked = service("checked", ports: [8080]) { $0.spec.healthCheckNodePort = 31000 }
        #expect(
            assign([checked, service("web", ports: [31000])], plain)["web"]?.failure?
                .contains("the health check node port of Service default/checked") == true)
        // Its own one is an obstacle, too.
        let both = service("checked", ports: [31000]) { $0.spec.healthCheckNodePort = 31000 }
        #expect(assign([both], plain)["checked"]?.failure != nil)
        // Health is asked for over TCP.
        let udp = service("udp", ports: [10256]) { $0.spec.ports[0].protocol = "UDP" }
        #expect(assign([udp], plain)["udp"]?.failure == nil)
        // A Service's own node port is no obstacle.
        let own = service("web", ports: [30081]) { $0.spec.ports[0].nodePort = 30081 }
        #expect(assign([own], plain)["web"]?.failure == nil)
    }

    @Test("Without nodes there are no addresses, and somebody should know")
    func noNodes() {
        let outcome = assign([service("web")], [])["web"]
        #expect(outcome?.ingress.isEmpty == true && outcome?.lacksNodes == true)
    }
}

@Suite("What is probably a mistake in a Service")
struct ServiceAdviceTests {
    @Test("A selector that no pod has: the nearest pod shows the difference")
    func typo() {
        var service = Make.service()
        service.spec.selector = ["app": "wbe", "tier": "front"]
        let pod = Make.pod("web-1", labels: ["app": "web", "tier": "front"])
        let advice = ServiceAdvice.about(service, pods: [Make.pod("other", labels: ["x": "y"]), pod])
        #expect(advice?.reason == "SelectorMatchesNoPods")
        #expect(advice?.message.contains("(app=wbe,tier=front)") == true)
        #expect(advice?.message.contains("Closest is pod web-1, which has app=web;") == true)
        #expect(
            ServiceAdvice.about(service, pods: [])?.message.contains(
                "kubectl get pods -n default --show-labels")
                == true)
    }

    @Test("A named target port that no pod has")
    func port() {
        let service = Make.service(target: "http")
        var pod = Make.pod("web-1")
        pod.spec.containers[0].ports = [ContainerPort(name: "web", containerPort: 3000, protocol: "TCP")]
        let advice = ServiceAdvice.about(service, pods: [pod])
        #expect(advice?.reason == "TargetPortNotFound")
        #expect(advice?.message.contains("Pod web-1 has web (3000/TCP)") == true)
        pod.spec.containers[0].ports.append(ContainerPort(name: "http", containerPort: 80, protocol: "UDP"))
        #expect(ServiceAdvice.about(service, pods: [pod]) != nil)
        pod.spec.containers[0].ports.append(ContainerPort(name: "http", containerPort: 80, protocol: "TCP"))
        #expect(ServiceAdvice.about(service, pods: [pod]) == nil)
    }

    @Test("Nothing is said of what is as it should be")
    func quiet() {
        #expect(ServiceAdvice.about(Make.service(), pods: [Make.pod("a", ready: false)]) == nil)
        var bare = Make.service()
        bare.spec.selector = [:]
        #expect(ServiceAdvice.about(bare, pods: []) == nil)
        var elsewhere = Make.service()
        elsewhere.spec.type = "ExternalName"
        #expect(ServiceAdvice.about(elsewhere, pods: []) == nil)
    }
}
