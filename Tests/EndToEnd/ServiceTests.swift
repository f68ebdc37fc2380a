import Testing

extension EndToEndTests {
    @Suite("Services as kubectl shows them", .serialized)
    struct ServiceTests {
        @Test("What cannot be had is refused in upstream's words")
        func refusals() async throws {
            try await Cluster.shared.up()
            let dual = try await Shell.run(
                apply(service("dual", "ipFamilyPolicy: RequireDualStack", port: 80)))
            #expect(dual.status != 0)
            #expect(
                dual.error.contains(
                    #"The Service "dual" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services"#
                ), "\(dual)")
            let outside = try await Shell.run(apply(service("outside", "clusterIP: 10.97.0.7", port: 80)))
            #expect(
                outside.error.contains(
                    "failed to allocate IP 10.97.0.7: the provided network does not match the current range"),
                "\(outside)")
        }

        @Test("A LoadBalancer has the node's address, contends for its port, and gives it back")
        func loadBalancer() async throws {
            try await Cluster.shared.up()
            let node = try await expect(
                "kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type==\"InternalIP\")].address}'"
            ).output
            let ingress =
                "-o jsonpath='{.status.loadBalancer.ingress[0].ip} {.status.loadBalancer.ingress[0].ipMode}'"
            try await expect("kubectl create service loadbalancer shop --tcp=8088:3000")
            try await eventually("kubectl get service shop \(ingress)") { $0.output == "\(node) VIP" }
            #expect(try await expect("kubectl get service shop --no-headers").output.contains(" \(node) "))
            try await eventually("kubectl describe service shop") {
                $0.output.contains("EnsuringLoadBalancer") && $0.output.contains("EnsuredLoadBalancer")
                    && $0.output.contains("service-controller")
            }
            try await expect("kubectl create service loadbalancer late --tcp=8088:3000")
            try await eventually("kubectl describe service late") {
                $0.output.contains("SyncLoadBalancerFailed")
                    && $0.output.contains(
                        "port 8088/TCP of \(node) is taken by LoadBalancer Service default/shop")
            }
            #expect(try await expect("kubectl get service late --no-headers").output.contains("<pending>"))
            let patch = #"{"spec":{"type":"ClusterIP"}}"#
            try await expect("kubectl patch service shop --patch '\(patch)'")
            #expect(try await expect("kubectl get service shop \(ingress)").output == " ")
            try await eventually("kubectl get service late \(ingress)") { $0.output == "\(node) VIP" }
            try await eventually("kubectl describe service shop") {
                $0.output.contains("LoadBalancer -> ClusterIP") && $0.output.contains("DeletedLoadBalancer")
            }
            // Somebody else's.
            try await expect(
                apply(
                    service(
                        "theirs", "type: LoadBalancer\n  loadBalancerClass: example.com/cloud", port: 8089)))
            try await expect("kubectl delete service shop late")
            #expect(
                try await expect("kubectl get service theirs --no-headers").output.contains("<pending>"))
            try await expect("kubectl delete service theirs")
        }

        @Test("A node port that is taken is told on the Service that wanted it")
        func portTaken() async throws {
            try await Cluster.shared.up()
            try await expect("kubectl create service nodeport holder --tcp=80 --node-port=30123")
            try await expect("kubectl create service clusterip wanting --tcp=80")
            let patch = #"{"spec":{"type":"NodePort","ports":[{"name":"80","port":80,"nodePort":30123}]}}"#
            let refused = try await Shell.run("kubectl patch service wanting --patch '\(patch)'")
            #expect(refused.error.contains("provided port is already allocated"), "\(refused)")
            try await eventually("kubectl describe service wanting") {
                $0.output.contains("PortAlreadyAllocated")
                    && $0.output.contains("node port 30123 is taken by Service default/holder")
            }
            try await expect("kubectl delete service holder wanting")
        }

        @Test("Load balancers that ask at the health check node port hear of this node's endpoints")
        func healthCheckNodePort() async throws {
            try await Cluster.shared.up()
            try await expect("kubectl create deployment counted --image=web:1.0 --replicas=2")
            try await expect(
                apply(
                    service(
                        "counted",
                        "type: LoadBalancer\n  externalTrafficPolicy: Local\n  selector: {app: counted}",
                        port: 8091)))
            try await expect("kubectl rollout status deployment/counted --timeout=120s")
            let port = try await expect(
                "kubectl get service counted -o jsonpath='{.spec.healthCheckNodePort}'"
            ).output
            let node = try await expect(
                "kubectl get nodes -o jsonpath='{.items[0].status.addresses[?(@.type==\"InternalIP\")].address}'"
            ).output
            let ask =
                "curl --silent --max-time 5 --write-out ' status %{http_code}' http://\(node):\(port)/healthz"
            try await eventually(ask) {
                $0.output.contains(#""localEndpoints": 2"#) && $0.output.contains("status 200")
                    && $0.output.contains(#""serviceProxyHealthy": true"#)
            }
            try await expect("kubectl scale deployment/counted --replicas=1")
            try await eventually(ask) {
                $0.output.contains(#""localEndpoints": 1"#) && $0.output.contains("status 200")
            }
            try await expect("kubectl scale deployment/counted --replicas=0")
            try await eventually(ask) {
                $0.output.contains(#""localEndpoints": 0"#) && $0.output.contains("status 503")
            }
            try await expect("kubectl delete service/counted deployment/counted")
            // Nobody is asked any more.
            try await eventually(ask) { $0.status != 0 }
        }

        @Test("What swiftlet status says of a node whose proxy lags, and has caught up")
        func lag() async throws {
            try await Cluster.shared.up()
            let folder = try ScratchFolder("lag")
            let outcome = try await expect(
                "bash Tests/EndToEnd/lagging_proxy.sh \(folder.path)",
                environment: ["SWIFTLET": Cluster.swiftlet])
            withExtendedLifetime(folder) {}
            #expect(outcome.lines.last == "it lagged, and caught up")
        }

        @Test("The address range grows, and shrinks only when nobody has an address from it")
        func rangeGrows() async throws {
            try await Cluster.shared.up()
            let typo = service("typo", "selector: {app: wbe}", port: 80)
            try await expect(apply(typo))
            try await expect(
                apply(
                    """
                    apiVersion: networking.k8s.io/v1
                    kind: ServiceCIDR
                    metadata: {name: more}
                    spec: {cidrs: [10.97.0.0/24]}
                    """))
            try await expect("kubectl wait servicecidr/more --for=condition=Ready --timeout=60s")
            try await expect(apply(service("far", "clusterIP: 10.97.0.7", port: 80)))
            #expect(
                try await expect("kubectl get ipaddress 10.97.0.7 --no-headers").output.contains(
                    "services/default/far"))
            try await expect("kubectl delete servicecidr more --wait=false")
            let ready = "-o jsonpath='{.status.conditions[?(@.type==\"Ready\")].reason}'"
            try await eventually("kubectl get servicecidr more \(ready)") { $0.output == "Terminating" }
            let late = try await Shell.run(apply(service("later", "clusterIP: 10.97.0.8", port: 80)))
            #expect(late.error.contains("does not match the current range"), "\(late)")
            try await expect("kubectl delete service far")
            try await eventually("kubectl get servicecidr more") { $0.error.contains("NotFound") }
            // Meanwhile somebody was told of a selector that matches nothing.
            try await eventually("kubectl describe service typo", within: .seconds(120)) {
                $0.output.contains("SelectorMatchesNoPods") && $0.output.contains("app=wbe")
            }
            try await expect("kubectl delete service typo")
        }

        private func service(_ name: String, _ spec: String, port: Int) -> String {
            """
            apiVersion: v1
            kind: Service
            metadata: {name: \(name)}
            spec:
              \(spec)
              ports: [{port: \(port)}]
            """
        }

        private func apply(_ manifest: String) -> String {
            "kubectl apply -f - <<'MANIFEST'\n\(manifest)\nMANIFEST"
        }
    }
}
