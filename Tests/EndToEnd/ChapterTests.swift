import Testing

extension EndToEndTests {
    @Suite("The Services chapter", .serialized)
    struct ChapterTests {
        /// The chapter's own command, to the letter.
        private static let client = """
            kubectl run client --rm -i --restart=Never --image=busybox -- \\
            sh -c 'for i in $(seq 1 6); do wget -qO- http://web/api; done'
            """

        /// The command with another kubectl in the place of the one on the PATH.
        private func with(_ kubectl: String, _ command: String) -> String {
            "kubectl() { '\(kubectl)' \"$@\"; }; \(command)".replacing(
                "kubectl() { 'kubectl' \"$@\"; }; ", with: "")
        }

        private let folder = "\(Shell.repository)/Examples/web"

        @Test("Word for word, and what it promises next", arguments: EndToEndTests.kubectls)
        func chapter(kubectl: String) async throws {
            try await Cluster.shared.up()
            func run(_ command: String) async throws -> Outcome {
                try await expect(with(kubectl, command), in: folder)
            }

            #expect(
                try await run("kubectl apply -f k8s/deployment.yaml").output
                    == "deployment.apps/web created\n")
            _ = try await run("kubectl rollout status deployment/web --timeout=120s")
            let pods = try await run("kubectl get pods -l app=web --no-headers").lines
            #expect(pods.count == 3)
            #expect(pods.allSatisfy { $0.contains("1/1") && $0.contains("Running") }, "\(pods)")
            #expect(pods.allSatisfy { $0.prefixMatch(of: #/web-[0-9a-z]+-[0-9a-z]{5} /#) != nil }, "\(pods)")

            #expect(try await run("kubectl apply -f k8s/service.yaml").output == "service/web created\n")
            let service = try await run("kubectl get service web").lines
            #expect(
                service.first?.split(separator: " ").prefix(6).joined(separator: " ")
                    == "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE")
            #expect(
                service.last?.firstMatch(of: #/^web +ClusterIP +10\.96\.\d+\.\d+ +<none> +80/TCP /#) != nil,
                "\(service)")

            let endpoints = try await eventually(with(kubectl, "kubectl get endpoints web")) {
                $0.output.matches(of: /10\.244\.\d+\.\d+:3000/).count == 3
            }
            #expect(endpoints.output.matches(of: /10\.244\.\d+\.\d+:3000/).count == 3)

            try await answersFromSeveral(kubectl, version: "1.0")

            // Pods are disposable: one goes, another comes, at another address, and the name keeps working.
            let victim = try await run(
                "kubectl get pods -l app=web -o jsonpath='{.items[0].metadata.name} {.items[0].status.podIP}'"
            )
            .output.split(separator: " ").map(String.init)
            try #require(victim.count == 2)
            _ = try await run("kubectl delete pod \(victim[0])")
            _ = try await run("kubectl rollout status deployment/web --timeout=120s")
            try await eventually(with(kubectl, "kubectl get endpoints web --no-headers")) {
                $0.output.matches(of: /:3000/).count == 3 && !$0.output.contains("\(victim[1]):")
            }
            try await answersFromSeveral(kubectl, version: "1.0")

            #expect(
                try await run("kubectl scale deployment web --replicas=5").output
                    == "deployment.apps/web scaled\n")
            _ = try await run("kubectl rollout status deployment/web --timeout=120s")
            #expect(
                try await run("kubectl get deployment web -o jsonpath='{.status.readyReplicas}'").output
                    == "5")

            #expect(
                try await run("kubectl set image deployment/web web=web:2.0").output
                    == "deployment.apps/web image updated\n")
            let rollout = try await run("kubectl rollout status deployment/web --timeout=120s")
            #expect(rollout.lines.last == "deployment \"web\" successfully rolled out")
            try await answersFromSeveral(kubectl, version: "2.0")
            #expect(
                try await run("kubectl rollout undo deployment/web").output
                    == "deployment.apps/web rolled back\n")
            _ = try await run("kubectl rollout status deployment/web --timeout=120s")
            try await answersFromSeveral(kubectl, version: "1.0")

            _ = try await run("kubectl delete -f k8s/service.yaml -f k8s/deployment.yaml")
            try await eventually(with(kubectl, "kubectl get pods -l app=web --no-headers")) {
                $0.output.isEmpty
            }
        }

        /// Six lines of JSON that name more than one pod, then the pod is reported deleted.
        private func answersFromSeveral(_ kubectl: String, version: String) async throws {
            let outcome = try await expect(with(kubectl, Self.client), in: folder)
            let answers = outcome.lines.filter { $0.hasPrefix("{") }
            #expect(answers.count == 6, "\(outcome)")
            #expect(
                answers.allSatisfy {
                    $0.wholeMatch(of: /\{"version":"[\d.]+","pod":"web-[0-9a-z]+-[0-9a-z]+"\}/) != nil
                },
                "\(outcome)")
            #expect(answers.allSatisfy { $0.hasPrefix("{\"version\":\"\(version)\"") }, "\(outcome)")
            // Six requests over three pods or more name one pod alone once in 243 times; ask again then.
            if Set(answers).count == 1 {
                let again = try await expect(with(kubectl, Self.client), in: folder)
                #expect(Set(again.lines.filter { $0.hasPrefix("{") } + answers).count > 1, "\(again)")
            }
            #expect(outcome.output.contains("pod \"client\" deleted"), "\(outcome)")
        }

        @Test("Endpoints carry upstream's deprecation warning")
        func warning() async throws {
            try await Cluster.shared.up()
            let outcome = try await expect("kubectl get endpoints kubernetes")
            #expect(
                outcome.error.contains(
                    "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"))
        }
    }
}
