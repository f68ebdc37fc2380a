import Testing

extension EndToEndTests {
    @Suite("Pods and Services of both address families", .serialized)
    struct DualStackTests {
        private let swiftlet = Cluster.swiftlet
        private let folder = "\(Shell.repository)/Examples/web"

        private static let service = """
            apiVersion: v1
            kind: Service
            metadata: {name: both}
            spec:
              type: NodePort
              ipFamilyPolicy: RequireDualStack
              selector: {app: web}
              ports: [{port: 80, targetPort: 3000, nodePort: 30090}]
            """

        @Test("Pods have two addresses, and a Service answers at both of its own")
        func bothFamilies() async throws {
            try await expect("\(swiftlet) down --purge")
            await Cluster.shared.isDown()
            let wrong = try await Shell.run("\(swiftlet) up --detach --pod-cidr fd00:244::/56")
            #expect(wrong.status != 0)
            #expect(
                (wrong.output + wrong.error).contains(
                    "Expected --pod-cidr to be an IPv4 range such as 10.244.0.0/16, or one and an IPv6 range behind"
                ),
                "\(wrong)")
            let forwarding = "cat /proc/sys/net/ipv6/conf/all/forwarding"
            let before = try await expect(forwarding).output
            try await expect(
                """
                \(swiftlet) up --detach --pod-cidr 10.244.0.0/16,fd00:244::/56 \
                  --service-cidr 10.96.0.0/16,fd00:96::/112
                """)
            for image in ["web_1.0", "busybox_latest"] {
                try await expect("\(swiftlet) image load \(Cluster.images)/\(image).oci.tar")
            }
            #expect(
                try await expect("kubectl get nodes -o jsonpath='{.items[0].spec.podCIDRs}'").output
                    == #"["10.244.0.0/24","fd00:244::/64"]"#)
            try await expect("kubectl apply -f k8s/deployment.yaml", in: folder)
            try await expect("kubectl apply -f - <<'YAML'\n\(Self.service)\nYAML")
            try await expect("kubectl rollout status deployment/web --timeout=120s")
            try await expect("kubectl run client --image=busybox --restart=Never -- sleep 600")
            try await expect("kubectl wait --for=condition=Ready pod/client --timeout=120s")
            let pods = try await expect(
                "kubectl get pods -l app=web -o jsonpath='{.items[*].status.podIPs[1].ip}'")
            #expect(pods.output.split(separator: " ").count { $0.hasPrefix("fd00:244::") } == 3, "\(pods)")
            let addresses = try await expect(
                "kubectl get service both -o jsonpath='{.spec.clusterIPs[*]}'"
            ).output.split(separator: " ")
            try #require(addresses.count == 2 && addresses[1].hasPrefix("fd00:96::"))

            // (Debian's busybox wget does not survive an IPv6 answer; nc does.)
            let request = #"printf "GET /api HTTP/1.0\r\n\r\n""#
            for address in addresses {
                try await eventually("kubectl exec client -- sh -c '\(request) | nc -w 5 \(address) 80'") {
                    $0.output.contains(#""version":"1.0""#)
                }
            }
            for address in ["[\(addresses[1])]", "[::1]:30090", "[2001:db8::10]:30090", "127.0.0.1:30090"] {
                let answer = try await expect("curl --silent --max-time 5 'http://\(address)/api'")
                #expect(answer.output.contains(#""version":"1.0""#), "\(address): \(answer)")
            }
            let names = try await expect("kubectl exec client -- nslookup both.default.svc.cluster.local")
            #expect(names.output.contains(addresses[0]) && names.output.contains(addresses[1]), "\(names)")

            // Another program, without the options, takes down what these made.
            try await expect("\(swiftlet) down --purge")
            #expect(try await expect("nft list tables ip6").output == "")
            #expect(try await expect(forwarding).output == before)
        }
    }
}
