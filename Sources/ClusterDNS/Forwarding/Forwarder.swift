import Synchronization

/// Answers for all names that are not the cluster's: asks the servers that are responsible for a name, once
/// for all who ask at the same time, and keeps what they say.
package final class Forwarder: Sendable {
    private let cache: CacheResolver
    /// Stub domains, the longest first, and then the root.
    private let routes: [(domain: DNSName, upstreams: Upstreams)]
    private let timing: ForwardTiming
    private let metrics: ForwardMetrics?
    private let underway = Mutex(Underway())

    /// Questions that other servers are being asked.
    private struct Underway: Sendable {
        var tasks: [Question: Task<Answer, Never>] = [:]
        /// How many each route has.
        var counts: [Int: Int] = [:]
    }

    /// Questions that may wait for the servers of one domain at a time: a domain whose servers are slow must not keep
    /// those of others from being asked.
    package static let mostOfOneDomain = 1000

    /// - Parameters:
    ///   - upstreams: servers for all names.
    ///   - stubDomains: servers for the names in these domains.
    package init(
        cache: CacheResolver, upstreams: Upstreams, stubDomains: [DNSName: Upstreams] = [:],
        timing: ForwardTiming = ForwardTiming(), metrics: ForwardMetrics? = nil
    ) {
        self.timing = timing
        self.cache = cache
        self.metrics = metrics
        routes =
            stubDomains.map { ($0.key.lowercased, $0.value) }
            .sorted { $0.0.wire.count > $1.0.wire.count } + [(.root, upstreams)]
    }

    private func route(for name: DNSName) -> Int? {
        let lower = name.lowercased
        return routes.firstIndex { lower.relative(to: $0.domain) != nil }
    }

    /// The answer of other servers; a stale one where they do not answer, SERVFAIL where there is none; REFUSED when
    /// too many questions wait for these servers already.
    package func answer(_ question: Question) async -> Answer {
        let stale = cache.stale(question)
        guard let route = route(for: question.name) else { return Answer(code: .serverFailure) }
        if let stale, routes[route].upstreams.isDown {
            _ = ask(question, route, timing.all)
            metrics?.stale.increment()
            return stale
        }
        let patience = stale == nil ? timing.all : timing.allWithStaleAnswer
        guard let asked = ask(question, route, patience) else {
            metrics?.rejected.increment()
            return stale ?? Answer(code: .refused)
        }
        let answer = await asked.value
        if answer.code == .serverFailure, let stale {
            metrics?.stale.increment()
            return stale
        }
        return answer.spelled(as: question)
    }

    /// Asks anew although there is an answer.
    package func refresh(_ question: Question) async {
        guard let route = route(for: question.name) else { return }
        _ = await ask(question, route, timing.all)?.value
    }

    /// Who asks what is being asked already gets the same answer. Nil when too many questions are under way.
    private func ask(_ question: Question, _ route: Int, _ patience: Duration) -> Task<Answer, Never>? {
        let key = question.lowercased
        return underway.withLock { underway in
            if let task = underway.tasks[key] { return task }
            guard underway.counts[route, default: 0] < Self.mostOfOneDomain else { return nil }
            let task = Task { [self] in
                let answer = await routes[route].upstreams.resolve(key, within: patience)
                cache.store(answer, for: key)
                self.underway.withLock {
                    $0.tasks[key] = nil
                    $0.counts[route, default: 1] -= 1
                }
                return answer
            }
            underway.tasks[key] = task
            underway.counts[route, default: 0] += 1
            return task
        }
    }

    /// Who is asked for a name and, when nobody answered, what is known of that; for explanations.
    package func explanation(of name: DNSName, failed: Bool) -> String {
        guard let route = route(for: name) else { return "nobody is responsible for it" }
        let (domain, upstreams) = routes[route]
        let servers = upstreams.servers.map { "\($0)" }.joined(separator: ", ")
        let whose = domain == .root ? "" : ", servers of the stub domain \(domain)"
        return failed ? upstreams.trouble + whose : servers + whose
    }

    /// Looks after the servers until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for route in routes {
                group.addTask { await route.upstreams.run() }
            }
        }
    }
}
