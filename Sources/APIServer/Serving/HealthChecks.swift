import ObjectStore
import Synchronization

/// The things that must be well for the server to be well, and that `/healthz`, `/livez` and `/readyz` ask.
package final class HealthChecks: Sendable {
    /// Where somebody looks.
    package enum Endpoint: String, Sendable, CaseIterable {
        case healthz, livez, readyz
    }

    /// One thing, under upstream's name for it where it has one.
    struct Check: Sendable {
        let name: String
        let endpoints: [Endpoint]
        /// What is wrong, or nil.
        let failure: @Sendable () -> String?
    }

    private let checks: Mutex<[Check]>
    private let isStopping = Atomic(false)

    package init(_ store: ObjectStore) {
        let stored: @Sendable () -> String? = {
            store.writeFailure.map { "the store cannot be written: \($0)" }
        }
        checks = Mutex([
            Check(name: "ping", endpoints: Endpoint.allCases) { nil },
            Check(name: "etcd", endpoints: Endpoint.allCases, failure: stored),
            Check(name: "etcd-readiness", endpoints: [.readyz], failure: stored),
        ])
    }

    /// Adds something to look after. The order is that of the report.
    package func add(
        _ name: String, _ endpoints: [Endpoint] = Endpoint.allCases,
        _ failure: @escaping @Sendable () -> String?
    ) {
        checks.withLock { $0.append(Check(name: name, endpoints: endpoints, failure: failure)) }
    }

    /// From now on the server is alive, but not ready: it goes.
    package func beginShutdown() { isStopping.store(true, ordering: .relaxed) }

    /// What an endpoint reports on.
    package func results(_ endpoint: Endpoint) -> [HealthCheck] {
        var results = checks.withLock { $0 }.filter { $0.endpoints.contains(endpoint) }
            .map { HealthCheck($0.name, failure: $0.failure()) }
        if endpoint == .readyz {
            let stops = isStopping.load(ordering: .relaxed)
            results.append(HealthCheck("shutdown", failure: stops ? "process is shutting down" : nil))
        }
        return results
    }
}

/// One thing that must be well, and whether it is.
package struct HealthCheck: Sendable, Hashable {
    package var name: String
    /// What is wrong, or nil.
    package var failure: String?

    package init(_ name: String, failure: String? = nil) {
        self.name = name
        self.failure = failure
    }
}

/// The text that `/healthz?verbose` shows.
package struct HealthReport: Sendable {
    package let isHealthy: Bool
    package let text: String

    package init(name: String, checks: [HealthCheck], excluded: Set<String> = []) {
        var text = ""
        var isHealthy = true
        var excluded = excluded
        for check in checks {
            if excluded.remove(check.name) != nil {
                text += "[+]\(check.name) excluded: ok\n"
            } else if check.failure != nil {
                isHealthy = false
                // Anybody may look: what exactly failed is for those who may look closer, and for the log.
                text += "[-]\(check.name) failed: reason withheld\n"
            } else {
                text += "[+]\(check.name) ok\n"
            }
        }
        if !excluded.isEmpty {
            let names = excluded.sorted().map { "\"\($0)\"" }.joined(separator: ",")
            text += "warn: some health checks cannot be excluded: no matches for \(names)\n"
        }
        text += isHealthy ? "\(name) check passed\n" : "\(name) check failed\n"
        self.text = text
        self.isHealthy = isHealthy
    }
}
