import Synchronization

/// Answers from the cache.
package final class CacheResolver: Resolver {
    package let name = "cache"
    private let cache: Mutex<AnswerCache>
    /// Time since any fixed moment.
    private let now: @Sendable () -> Duration
    private let refresh: @Sendable (Question) -> Void
    private let metrics: CacheMetrics?

    /// - Parameter refresh: is told of questions to ask anew before their answers end.
    package init(
        _ cache: AnswerCache = AnswerCache(), metrics: CacheMetrics? = nil,
        now: @escaping @Sendable () -> Duration, refresh: @escaping @Sendable (Question) -> Void = { _ in }
    ) {
        self.cache = Mutex(cache)
        self.metrics = metrics
        self.now = now
        self.refresh = refresh
    }

    package func resolve(_ question: Question) -> Resolution {
        let now = now()
        switch cache.withLock({ $0.look(up: question, now: now) }) {
        case .fresh(let answer, let needsRefresh):
            metrics?.hit(answer)
            if needsRefresh {
                metrics?.prefetches.increment()
                refresh(question)
            }
            return .answer(answer)
        case .stale, .missing:
            metrics?.misses.increment()
            return .pass
        }
    }

    /// An answer whose time is over, for when nobody knows a better one.
    package func stale(_ question: Question) -> Answer? {
        let now = now()
        guard case .stale(let answer) = cache.withLock({ $0.look(up: question, now: now) }) else {
            return nil
        }
        return answer
    }

    package func store(_ answer: Answer, for question: Question) {
        let now = now()
        cache.withLock { $0.store(answer, for: question, now: now) }
    }

    /// How many answers there are, stale ones included.
    package var count: Int { cache.withLock { $0.count } }
}
