import Synchronization

/// Answers for all names that are not the cluster's: asks the servers that are responsible for a name, once
/// for all who ask at the same time, and keeps what they say.
package final class Forwarder: Sendable {
    private let cache: CacheResolver
    /// Stub domains, the longest first, and then the root.
    private let routes: [(domain: DNSName, upstreams: Upstreams)]
    private let timing: ForwardTiming
    private let metrics: ForwardMetrics?
    /// Questions that other servers are being asked.
    private let underway = Mutex<[Question: Task<Answer, Never>]>([:])

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

    private func upstreams(for name: DNSName) -> Upstreams? {
        let lower = name.lowercased
        return routes.first { lower.relative(to: $0.domain) != nil }?.upstreams
    }

    /// The answer of other servers; a stale one where they do not answer, SERVFAIL where there is none.
    package func answer(_ question: Question) async -> Answer {
        let stale = cache.stale(question)
        guard let upstreams = upstreams(for: question.name) else { return Answer(code: .serverFailure) }
        if let stale, upstreams.isDown {
            _ = ask(question, upstreams, timing.all)
            metrics?.stale.increment()
            return stale
        }
        let patience = stale == nil ? timing.all : timing.allWithStaleAnswer
        let answer = await ask(question, upstreams, patience).value
        if answer.code == .serverFailure, let stale {
            metrics?.stale.increment()
            return stale
        }
        return answer.spelled(as: question)
    }

    /// Asks anew although there is an answer.
    package func refresh(_ question: Question) async {
        guard let upstreams = upstreams(for: question.name) else { return }
        _ = await ask(question, upstreams, timing.all).value
    }

    /// Who asks what is being asked already gets the same answer.
    private func ask(
        _ question: Question, _ upstreams: Upstreams, _ patience: Duration
    ) -> Task<Answer, Never> {
        let key = question.lowercased
        return underway.withLock { underway in
            if let task = underway[key] { return task }
            let task = Task { [self] in
                let answer = await upstreams.resolve(key, within: patience)
                cache.store(answer, for: key)
                self.underway.withLock { $0[key] = nil }
                return answer
            }
            underway[key] = task
            return task
        }
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
