import BenchmarkSupport
import Glibc

/// What is done to the pods while clients use them.
struct Course {
    let swiftlet: String

    /// One turn through everything that ends pods. Each step ends with three ready replicas.
    var steps: [(name: String, body: () throws -> Void)] {
        [
            ("rolling restart", { try kubectl("rollout restart deployment/web") }),
            ("new image", { try kubectl("set image deployment/web web=web:2.0") }),
            ("undo", { try kubectl("rollout undo deployment/web") }),
            ("scale to 10", { try kubectl("scale deployment/web --replicas=10") }),
            ("scale to 2", { try kubectl("scale deployment/web --replicas=2") }),
            ("scale to 3", { try kubectl("scale deployment/web --replicas=3") }),
            ("deletions", { try deleteAtRandom() }),
            ("drain", { try drain() }),
            ("SIGKILL in a rollout", { try killInRollout() }),
        ]
    }

    func settle() throws { try kubectl("rollout status deployment/web --timeout=300s") }

    private func kubectl(_ arguments: String) throws { try shell("kubectl \(arguments)") }

    private func shell(_ line: String) throws {
        try Command(["bash", "-c", "{ \(line)\n} >/dev/null"]).run()
    }

    private func deleteAtRandom() throws {
        for _ in 0..<4 {
            // Whichever it is, it may be on its way out already, or gone meanwhile.
            try shell(
                """
                pod=$(kubectl get pods -l app=web -o name | shuf -n 1)
                kubectl delete --wait=false --ignore-not-found $pod
                """)
            try settle()
        }
    }

    /// With one node, what is evicted finds no new place before it takes pods again: the disruption budget keeps
    /// two of three, so that this ends for want of time.
    private func drain() throws {
        try shell(
            """
            node=$(kubectl get nodes -o jsonpath='{.items[0].metadata.name}')
            kubectl drain $node --force --ignore-daemonsets --pod-selector=app=web --timeout=6s 2>/dev/null || :
            kubectl uncordon $node
            """)
    }

    private func killInRollout() throws {
        try shell(
            """
            kubectl rollout restart deployment/web
            kubectl get pods -l app=web --watch-only --request-timeout=30s -o name | head -n 4
            process=$(cat /run/swiftlet/swiftlet.pid)
            kill -KILL $process
            tail --pid=$process -s 0.01 -f /dev/null
            \(swiftlet) up --detach
            """)
    }
}
