/// How a reflector keeps up with a resource: list, watch from there, and after a failure whatever is needed
/// to be right again. A value; the informer carries out what it says.
package struct Reflector: Sendable {
    package enum Action: Sendable, Hashable {
        /// List. `"0"` takes any state the server has at hand, the empty string its latest.
        case list(resourceVersion: String)
        /// Watch what happens after this revision.
        case watch(resourceVersion: String)
        /// Wait, then ask for the next action by `waited`.
        case wait(Duration)
    }

    /// What went wrong, as far as it matters to what happens next.
    package enum Failure: Sendable, Hashable {
        /// 410: the server does not have that revision any more.
        case expired
        /// 429 or 503, perhaps with the time to wait.
        case busy(retryAfter: Duration?)
        case other
    }

    private var backoff: Backoff
    /// What to do after a pause.
    private var pending: Action
    /// Where the watch stands.
    package private(set) var resourceVersion = ""
    private var isFirstList = true

    package init(
        backoff: Backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(10), jitter: 0.5)
    ) {
        self.backoff = backoff
        pending = .list(resourceVersion: "0")
    }

    /// What to do at first, and after a pause.
    package func next() -> Action { pending }

    package mutating func listed(resourceVersion: String) -> Action {
        isFirstList = false
        self.resourceVersion = resourceVersion
        // The pauses start over only once a watch has held: a server whose lists work and whose watches
        // fail at once must not be listed without pause.
        return .watch(resourceVersion: resourceVersion)
    }

    package mutating func listFailed(_ failure: Failure, random: Double) -> Action {
        // "Whatever you have" can be too old as well; then only the latest will do.
        pending = .list(resourceVersion: failure == .expired ? "" : listVersion)
        return pause(failure, random: random)
    }

    /// An event or a bookmark of the watch.
    package mutating func observed(resourceVersion: String) {
        guard !resourceVersion.isEmpty else { return }
        self.resourceVersion = resourceVersion
        backoff.reset()
    }

    /// The watch is over.
    ///
    /// - Parameters:
    ///   - failure: nil when the server ended it in order, as it does every few minutes.
    ///   - lasted: how long it held.
    package mutating func watchEnded(_ failure: Failure?, lasted: Duration, random: Double) -> Action {
        if lasted >= .seconds(1) { backoff.reset() }
        switch failure {
        case .expired:
            pending = .list(resourceVersion: "")
            return pause(.expired, random: random)
        case nil where lasted >= .seconds(1):
            return .watch(resourceVersion: resourceVersion)
        case nil:
            pending = .watch(resourceVersion: resourceVersion)
            return pause(.other, random: random)
        case .busy, .other:
            pending = .watch(resourceVersion: resourceVersion)
            return pause(failure ?? .other, random: random)
        }
    }

    private var listVersion: String { isFirstList ? "0" : resourceVersion }

    private mutating func pause(_ failure: Failure, random: Double) -> Action {
        let pause = backoff.next(random: random)
        if case .busy(let retryAfter?) = failure { return .wait(max(pause, retryAfter)) }
        return .wait(pause)
    }
}
