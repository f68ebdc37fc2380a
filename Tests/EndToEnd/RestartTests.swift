import Testing

extension EndToEndTests {
    @Suite("SIGKILL, and up again", .serialized)
    struct RestartTests {
        @Test("What was acknowledged is there, the same pods run on and stay reachable")
        func kill() async throws {
            try await Cluster.shared.up()
            let folder = "\(Shell.repository)/Examples/web"
            try await expect("kubectl apply -f k8s/deployment.yaml -f k8s/service.yaml", in: folder)
            try await expect("kubectl rollout status deployment/web --timeout=120s")
            let before = try await identities()
            let address = try await expect("kubectl get service web -o jsonpath='{.spec.clusterIP}'").output
            try await eventually("curl --silent --fail --max-time 5 http://\(address)/api") { $0.status == 0 }

            try await expect(
                "kubectl create configmap last-word --from-literal=a=b && kill -KILL $(cat /run/swiftlet/swiftlet.pid)"
            )
            // Nobody home, and still the pods answer through the Service: the kernel has the table.
            try await expect("curl --silent --fail --max-time 5 http://\(address)/api")
            try await expect("\(Cluster.swiftlet) up --detach")

            #expect(try await expect("kubectl get configmap last-word -o jsonpath='{.data.a}'").output == "b")
            #expect(
                try await expect("kubectl get service web -o jsonpath='{.spec.clusterIP}'").output == address)
            try await eventually("kubectl get deployment web -o jsonpath='{.status.availableReplicas}'") {
                $0.output == "3"
            }
            #expect(try await identities() == before)
            try await expect("curl --silent --fail --max-time 5 http://\(address)/api")
            // And it is still a cluster, not a picture of one.
            try await expect("kubectl scale deployment web --replicas=4")
            try await expect("kubectl rollout status deployment/web --timeout=120s")
            try await expect("kubectl delete configmap last-word")
            try await expect("kubectl delete -f k8s/service.yaml -f k8s/deployment.yaml", in: folder)
            try await eventually("kubectl get pods -l app=web --no-headers") { $0.output.isEmpty }
        }

        /// Which pods run: uid, address, container, restarts.
        private func identities() async throws -> [String] {
            try await expect(
                "kubectl get pods -l app=web -o jsonpath='{range .items[*]}{.metadata.uid} {.status.podIP} "
                    + "{.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{\"\\n\"}{end}'"
            ).lines.sorted()
        }
    }
}
