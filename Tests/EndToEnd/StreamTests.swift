import Testing

extension EndToEndTests {
    @Suite("logs, exec, cp and port-forward", .serialized)
    struct StreamTests {
        private func pod(_ kubectl: String) async throws {
            try await Cluster.shared.up()
            try await expect("\(kubectl) delete pod tool --ignore-not-found --now")
            try await expect(
                "\(kubectl) run tool --image=busybox --restart=Never -- sh -c 'for i in 1 2 3; do echo line $i; done; "
                    + "mkdir -p /www; echo served > /www/index.html; exec httpd -f -p 8080 -h /www'")
            try await expect("\(kubectl) wait --for=condition=Ready pod/tool --timeout=60s")
        }

        @Test("They work", arguments: EndToEndTests.kubectls)
        func streams(kubectl: String) async throws {
            try await pod(kubectl)
            #expect(try await expect("\(kubectl) logs tool").output == "line 1\nline 2\nline 3\n")
            #expect(try await expect("\(kubectl) logs tool --tail=1").output == "line 3\n")

            #expect(try await expect("\(kubectl) exec tool -- echo hello").output == "hello\n")
            #expect(try await expect("echo typed | \(kubectl) exec -i tool -- cat").output == "typed\n")
            let failing = try await Shell.run(
                "\(kubectl) exec tool -- sh -c 'echo out; echo err >&2; exit 3'")
            #expect(failing.status == 3)
            #expect(failing.output == "out\n")
            #expect(failing.error.contains("err\n"))
            let terminal = try await expect(
                "script -qec \"\(kubectl) exec -it tool -- tty\" /dev/null </dev/null")
            #expect(terminal.output.contains("/dev/pts/"), "\(terminal)")

            try await expect(
                "head -c 3000000 /dev/urandom > /tmp/payload && \(kubectl) cp /tmp/payload tool:/tmp/there")
            try await expect("\(kubectl) cp tool:/tmp/there /tmp/back && cmp /tmp/payload /tmp/back")

            let forwarded = try await expect(
                """
                \(kubectl) port-forward pod/tool 18080:8080 >/tmp/forward.log 2>&1 & forward=$!
                trap 'kill $forward' EXIT
                curl --silent --fail --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:18080/index.html
                """)
            #expect(forwarded.output == "served\n", "\(forwarded)")
            try await expect("\(kubectl) delete pod tool --now")
        }

        @Test("logs -f follows until the container ends")
        func follow() async throws {
            try await Cluster.shared.up()
            try await expect("kubectl delete pod talker --ignore-not-found --now")
            try await expect(
                "kubectl run talker --image=busybox --restart=Never -- sh -c 'for i in 1 2 3 4; do echo $i; sleep 0.3; done'"
            )
            try await expect(
                "kubectl wait --for=jsonpath='{.status.containerStatuses[0].containerID}' pod/talker --timeout=60s"
            )
            let outcome = try await expect("timeout 60 kubectl logs -f talker")
            #expect(outcome.output == "1\n2\n3\n4\n")
            try await expect("kubectl delete pod talker --now")
        }
    }
}
