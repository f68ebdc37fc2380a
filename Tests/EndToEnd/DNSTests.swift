import Testing

extension EndToEndTests {
    @Suite("Names", .serialized)
    struct DNSTests {
        /// The node's own programs in a pod: glibc's resolver, dig, nslookup and Python beside busybox.
        private static let client = """
            apiVersion: v1
            kind: Pod
            metadata: {name: NAME, namespace: NAMESPACE}
            spec:
              terminationGracePeriodSeconds: 0
              EXTRA
              volumes:
              - {name: usr, hostPath: {path: /usr}}
              - {name: lib, hostPath: {path: /usr/lib}}
              - {name: lib64, hostPath: {path: /usr/lib64}}
              containers:
              - name: main
                image: busybox
                command: [sh, -c, "trap exit TERM; while :; do sleep 1; done"]
                volumeMounts:
                - {name: usr, mountPath: /usr, readOnly: true}
                - {name: lib, mountPath: /lib, readOnly: true}
                - {name: lib64, mountPath: /lib64, readOnly: true}
            """

        private func start(
            _ name: String, in namespace: String = "default", _ extra: String = "subdomain: \"\""
        ) async throws {
            let manifest = Self.client.replacing("NAMESPACE", with: namespace).replacing("NAME", with: name)
                .replacing("EXTRA", with: extra)
            try await expect("kubectl apply -f - <<'YAML'\n\(manifest)\nYAML")
        }

        private func ready(_ name: String, in namespace: String = "default") async throws {
            try await expect(
                "kubectl wait --for=condition=Ready pod/\(name) --namespace \(namespace) --timeout=120s")
        }

        private func inside(_ pod: String, _ command: String) -> String {
            "kubectl exec \(pod) -- sh -c '\(command)'"
        }

        private let folder = "\(Shell.repository)/Examples/web"

        @Test("Every form of a name, every kind of resolver")
        func resolvers() async throws {
            try await Cluster.shared.up()
            try await expect("kubectl apply -f k8s/service.yaml", in: folder)
            try await expect("kubectl create namespace other --dry-run=client -o yaml | kubectl apply -f -")
            try await start("names")
            try await start("names", in: "other")
            try await ready("names")
            try await ready("names", in: "other")
            let address = try await expect("kubectl get service web -o jsonpath='{.spec.clusterIP}'").output
            for name in ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local"] {
                // (busybox's nslookup has a search path of its own, its other programs have the C library's.)
                for command in [
                    "getent ahostsv4 \(name)", "dig +search +short \(name)", "nslookup \(name)",
                    "busybox ping -c 1 -W 1 \(name) || true",
                    "/usr/bin/python3 -c \"import socket; print(socket.gethostbyname(\\\"\(name)\\\"))\"",
                ] {
                    let outcome = try await expect(inside("names", command))
                    #expect(outcome.output.contains(address), "\(outcome)")
                }
            }
            try await expect(inside("names", "busybox nslookup web.default.svc.cluster.local 10.96.0.10"))
            // From another namespace all but the shortest.
            for name in ["web.default", "web.default.svc"] {
                let outcome = try await expect(
                    "kubectl exec --namespace other names -- getent ahostsv4 \(name)")
                #expect(outcome.output.contains(address), "\(outcome)")
            }
            let none = try await Shell.run("kubectl exec --namespace other names -- getent ahostsv4 web")
            #expect(none.status != 0, "\(none)")
            // One question is enough, and the first answer tells everything.
            let dig = try await expect(inside("names", "dig +search +ndots=5 web.default"))
            #expect(dig.output.contains("web.default.default.svc.cluster.local."), "\(dig)")
            #expect(
                dig.output.replacing("\t", with: " ").contains("CNAME web.default.svc.cluster.local."),
                "\(dig)")
            let explained = try await expect(
                "\(Cluster.swiftlet) dns --query web.default.default.svc.cluster.local --from default/names")
            #expect(explained.output.contains("search path: default.svc.cluster.local. svc.cluster.local."))
            #expect(explained.output.contains("cluster says that the name does not exist"), "\(explained)")
            #expect(explained.output.contains("answer: NOERROR, with authority"), "\(explained)")
        }

        @Test("The Service kube-dns, and queries without connection tracking")
        func service() async throws {
            try await Cluster.shared.up()
            let service = try await expect(
                "kubectl get service kube-dns --namespace kube-system --no-headers")
            #expect(service.output.contains("10.96.0.10"), "\(service)")
            #expect(service.output.contains("53/UDP,53/TCP,9153/TCP"), "\(service)")
            try await expect("kubectl delete service kube-dns --namespace kube-system")
            try await eventually("kubectl get service kube-dns --namespace kube-system -o name") {
                $0.status == 0
            }
            let count = "cat /proc/sys/net/netfilter/nf_conntrack_count"
            let before = try await expect(count)
            // Each from a port of its own, by UDP and by TCP.
            try await expect(
                """
                for i in $(seq 60); do
                  dig +short @10.96.0.10 kubernetes.default.svc.cluster.local
                  dig +short +tcp @10.96.0.10 kubernetes.default.svc.cluster.local
                done | sort | uniq -c | grep -q '120 10.96.0.1$'
                """)
            let after = try await expect(count)
            let numbers = [before, after].compactMap { Int($0.output.filter(\.isNumber)) }
            try #require(numbers.count == 2)
            #expect(numbers[1] - numbers[0] < 60, "\(numbers)")
            let metrics = try await expect("curl -s http://10.96.0.10:9153/metrics")
            #expect(metrics.output.contains("coredns_dns_requests_total{server=\"dns://10.96.0.10:53\""))
        }

        @Test("What pods find in resolv.conf and hosts")
        func files() async throws {
            try await Cluster.shared.up()
            try await start(
                "named", "hostname: a\n  subdomain: b\n  hostAliases: [{ip: 192.0.2.7, hostnames: [alias]}]")
            try await start("shared", "hostNetwork: true\n  dnsPolicy: ClusterFirstWithHostNet")
            try await start("plain", "dnsPolicy: Default")
            try await start(
                "own",
                "dnsPolicy: None\n  dnsConfig: {nameservers: [10.96.0.10], searches: [default.svc.cluster.local], options: [{name: ndots, value: \"3\"}]}"
            )
            for pod in ["named", "shared", "plain", "own"] { try await ready(pod) }
            func file(_ pod: String, _ path: String) async throws -> String {
                try await expect("kubectl exec \(pod) -- cat \(path)").output
            }
            let cluster = try await file("named", "/etc/resolv.conf")
            #expect(cluster.contains("nameserver 10.96.0.10"))
            #expect(cluster.contains("search default.svc.cluster.local svc.cluster.local cluster.local"))
            #expect(cluster.contains("options ndots:5"))
            let hosts = try await file("named", "/etc/hosts")
            #expect(hosts.contains("\ta.b.default.svc.cluster.local\ta\n"), "\(hosts)")
            #expect(hosts.contains("192.0.2.7\talias\n"), "\(hosts)")
            #expect(try await file("shared", "/etc/resolv.conf") == cluster)
            #expect(try await file("shared", "/etc/hosts").contains("(host network)"))
            #expect(try await !file("plain", "/etc/resolv.conf").contains("10.96.0.10"))
            let own = try await file("own", "/etc/resolv.conf")
            #expect(own.contains("nameserver 10.96.0.10"), "\(own)")
            #expect(own.contains("search default.svc.cluster.local\n"), "\(own)")
            #expect(own.contains("options ndots:3"), "\(own)")
            for pod in ["shared", "own"] {
                let outcome = try await expect("kubectl exec \(pod) -- getent ahostsv4 kubernetes")
                #expect(outcome.output.contains("10.96.0.1 "), "\(outcome)")
            }
            try await expect("kubectl delete pod named shared plain own --now")
        }

        @Test("Alone, beside an API server")
        func alone() async throws {
            try await Cluster.shared.up()
            try await expect(
                """
                set -e
                folder=$(mktemp -d)
                \(Cluster.swiftlet) kubeconfig > $folder/config
                \(Cluster.swiftlet) dns --kubeconfig $folder/config --listen 192.0.2.10:5300 \
                    --metrics 192.0.2.10:5301 --log-queries > $folder/out 2> $folder/log &
                server=$!
                trap 'kill $server; wait $server; cat $folder/log; rm -r $folder' EXIT
                dig="dig @192.0.2.10 -p 5300 +short +tries=20 +time=3"
                until [ "$($dig kubernetes.default.svc.cluster.local)" = 10.96.0.1 ]; do kill -0 $server; done
                [ "$($dig +tcp SRV _https._tcp.kubernetes.default.svc.cluster.local)" = \
                    "0 100 443 kubernetes.default.svc.cluster.local." ]
                kubectl create service clusterip alone --clusterip=None
                kubectl create service clusterip addressed --tcp=80
                until [ -n "$($dig addressed.default.svc.cluster.local)" ]; do kill -0 $server; done
                kubectl delete service addressed alone
                until [ -z "$($dig addressed.default.svc.cluster.local)" ]; do kill -0 $server; done
                curl -s http://192.0.2.10:5301/metrics | grep -q '^coredns_dns_requests_total'
                grep -q 'A IN addressed.default.svc.cluster.local. udp' $folder/log
                """)
        }

        @Test("A restart loses no query that is asked again")
        func restart() async throws {
            try await Cluster.shared.up()
            try await expect(
                """
                set -e
                kill $(cat /run/swiftlet/swiftlet.pid)
                while kill -0 $(cat /run/swiftlet/swiftlet.pid) 2>/dev/null; do :; done
                \(Cluster.swiftlet) up --detach > /dev/null &
                until [ "$(dig @10.96.0.10 +short +tries=1 +time=5 kubernetes.default.svc.cluster.local)" \
                    = 10.96.0.1 ]; do :; done
                wait $!
                """)
        }
    }
}
