import Glibc
import Testing

extension EndToEndTests {
    /// The sample application as it is, which ends the moment it gets SIGTERM, under a client that never waits.
    /// `make bench-rollout` does the same at length.
    @Suite("Rolling out under load", .serialized)
    struct RolloutTests {
        private static let namespace = "rollout"
        private static let load = {
            var parts = Cluster.swiftlet.split(separator: "/", omittingEmptySubsequences: false)
            parts[parts.count - 1] = "rollout-load"
            return parts.joined(separator: "/")
        }()

        /// Runs something while a client opens a hundred connections a second, each for a request that takes a
        /// fifth of one: some are always under way.
        ///
        /// - Returns: what the client says.
        private func underLoad(_ folder: ScratchFolder, _ body: () async throws -> Void) async throws
            -> Outcome
        {
            let address = try await expect(
                "kubectl get service web -n \(Self.namespace) -o jsonpath='{.spec.clusterIP}'"
            ).output
            let process = try await expect(
                """
                '\(Self.load)' \(address) 80 new 100 0 '/api?delay=200' 60 >\(folder.path)/load </dev/null & echo $!
                """
            ).output.trimmed
            do {
                try await body()
            } catch {
                _ = try? await Shell.run("kill -KILL \(process)")
                throw error
            }
            return try await expect(
                "kill -TERM \(process); tail --pid=\(process) -f /dev/null; cat \(folder.path)/load")
        }

        private func kubectl(_ arguments: String) async throws {
            try await expect("kubectl \(arguments) -n \(Self.namespace)")
        }

        private func settle() async throws {
            try await kubectl("rollout status deployment/web --timeout=120s")
        }

        private func withApplication(_ body: () async throws -> Void) async throws {
            try await Cluster.shared.up()
            // More than the usual five seconds: a busy machine takes its time for everything.
            let patience =
                #"{"spec":{"template":{"metadata":{"annotations":{"swiftlet.local/traffic-grace-seconds":"25"}}}}}"#
            try await expect(
                """
                kubectl create namespace \(Self.namespace)
                kubectl apply -n \(Self.namespace) -f Benchmarks/Rollout/rollout.yaml
                kubectl patch deployment web -n \(Self.namespace) --patch '\(patience)'
                """)
            try await settle()
            try await body()
            try await expect("kubectl delete namespace \(Self.namespace)")
        }

        @Test("No request over a new connection is lost, whatever ends the pods")
        func nothingIsLost() async throws {
            let folder = try ScratchFolder("rollout")
            try await withApplication {
                let outcome = try await underLoad(folder) {
                    try await kubectl("rollout restart deployment/web")
                    try await settle()
                    try await kubectl("set image deployment/web web=web:2.0")
                    try await settle()
                    try await kubectl("scale deployment/web --replicas=5")
                    try await settle()
                    try await kubectl("scale deployment/web --replicas=3")
                    try await kubectl(
                        "delete --wait=false $(kubectl get pods -n \(Self.namespace) -l app=web -o name | head -1)"
                    )
                    try await settle()
                    try await kubectl("rollout undo deployment/web")
                    try await expect(
                        """
                        process=$(cat /run/swiftlet/swiftlet.pid)
                        kill -KILL $process
                        tail --pid=$process -s 0.01 -f /dev/null
                        '\(Cluster.swiftlet)' up --detach
                        """)
                    try await settle()
                }
                #expect(outcome.lines.contains("failed 0"), "\(outcome)")
                #expect(!outcome.lines.contains("requests 0"), "\(outcome)")
            }
        }

        @Test("A request that takes its time is answered to its end, and what the pod passed can be seen")
        func drains() async throws {
            try await withApplication {
                let address = try await expect(
                    "kubectl get service web -n \(Self.namespace) -o jsonpath='{.spec.clusterIP}'"
                ).output
                let outcome = try await expect(
                    """
                    cd $(mktemp -d)
                    for i in $(seq 12); do
                        curl --silent --fail --max-time 60 'http://\(address)/api?delay=3000' >answer.$i 2>&1 &
                    done
                    # Until all twelve are under way, or the first is over already.
                    while [ $(jobs -r | wc -l) = 12 ] \\
                        && [ $(ss --no-header --tcp state established dst \(address) | wc -l) != 12 ]; do :; done
                    kubectl delete -n \(Self.namespace) --wait=false >/dev/null \\
                        $(kubectl get pods -n \(Self.namespace) -l app=web -o name | head -2)
                    wait
                    cat answer.*
                    """)
                #expect(outcome.lines.filter { $0.hasPrefix("{\"version\":") }.count == 12, "\(outcome)")
                try await eventually("kubectl get events -n \(Self.namespace)") {
                    $0.output.contains("OutOfService") && $0.output.contains("ConnectionsEnded")
                }
            }
        }

        @Test("Without the gates requests are lost, and this test sees it")
        func somethingIsLostWithoutGates() async throws {
            let folder = try ScratchFolder("rollout-without-gates")
            try await withApplication {
                try await restart("--no-traffic-gates")
                var hasLost = false
                for _ in 0..<20 where !hasLost {
                    let outcome = try await underLoad(folder) {
                        try await kubectl("rollout restart deployment/web")
                        try await settle()
                    }
                    hasLost = !outcome.lines.contains("failed 0")
                }
                #expect(hasLost)
                try await restart("")
            }
        }

        private func restart(_ options: String) async throws {
            try await expect(
                """
                process=$(cat /run/swiftlet/swiftlet.pid)
                kill -KILL $process
                tail --pid=$process -s 0.01 -f /dev/null
                '\(Cluster.swiftlet)' up --detach \(options)
                """)
        }
    }
}
