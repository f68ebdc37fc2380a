import KubernetesAPI
import KubernetesClient

/// What clients of a server that is killed again and again know: what was acknowledged, what was asked for and not
/// answered. Whatever the server says after a restart has to agree with it.
struct Ledger: Sendable {
    /// An object as a client knows it.
    struct State: Equatable, Sendable {
        var revision: UInt64
        var content: String

        init(revision: UInt64, content: String) {
            self.revision = revision
            self.content = content
        }

        init(_ object: ConfigMap) {
            self.init(
                revision: UInt64(object.metadata.resourceVersion) ?? 0, content: object.data["content"] ?? "")
        }
    }

    /// A request without an answer: what the object's content becomes if it was carried out; nil if it goes.
    private struct Open: Sendable { var content: String? }

    private(set) var states: [String: State] = [:]
    private var open: [String: Open] = [:]
    /// The newest revision that anybody was told of.
    private(set) var newest: UInt64 = 0
    private(set) var acknowledged = 0
    private var revisions: Set<UInt64> = []
    private(set) var failures: [String] = []

    mutating func ask(_ name: String, content: String?) { open[name] = Open(content: content) }

    /// A request was answered; a deletion's answer has no revision.
    mutating func acknowledge(_ name: String, revision: UInt64?) {
        guard let asked = open.removeValue(forKey: name) else { return }
        acknowledged += 1
        guard let revision, let content = asked.content else {
            states[name] = nil
            return
        }
        if revision <= (states[name]?.revision ?? 0) {
            failures.append("\(name) went from revision \(states[name]?.revision ?? 0) to \(revision)")
        }
        if !revisions.insert(revision).inserted { failures.append("revision \(revision) was given twice") }
        newest = max(newest, revision)
        states[name] = State(revision: revision, content: content)
    }

    mutating func note(_ failure: String) { failures.append(failure) }

    mutating func heard(of revision: UInt64) { newest = max(newest, revision) }

    /// Compares with what the server has after a restart.
    mutating func verify(_ found: [String: State], at revision: UInt64) {
        if revision < newest { failures.append("the server is at \(revision), and was at \(newest)") }
        for name in Set(found.keys).union(states.keys).union(open.keys) {
            let (now, before) = (found[name], states[name])
            if now == before { continue }
            // Only what nobody was told may have happened, or not, and wholly.
            if let asked = open[name], asked.content == now?.content {
                if let now, now.revision <= newest, revisions.contains(now.revision) {
                    failures.append("\(name) has revision \(now.revision), which was given to another object")
                }
                states[name] = now
                if let now { revisions.insert(now.revision) }
            } else {
                failures.append("\(name) should be \(before.debug), or as asked for, and is \(now.debug)")
            }
        }
        open = [:]
        newest = max(newest, revision)
    }
}

extension Ledger.State? {
    fileprivate var debug: String {
        map { "\($0.content.suffix(24)) at revision \($0.revision)" } ?? "absent"
    }
}

/// A watcher that goes on where it was when the server ends: what it heard, replayed, must lead to what is there.
struct ReplayingWatcher: Sendable {
    private(set) var states: [String: Ledger.State] = [:]
    private(set) var revision: UInt64
    private(set) var count = 0
    private(set) var failures: [String] = []

    init(after revision: UInt64) { self.revision = revision }

    mutating func hear(_ event: ObjectEvent<ConfigMap>) {
        switch event {
        case .added(let object): hear(object, "ADDED", wasThere: false)
        case .modified(let object): hear(object, "MODIFIED", wasThere: true)
        case .deleted(let object): hear(object, "DELETED", wasThere: true)
        case .bookmark(let text, _): revision = max(revision, UInt64(text) ?? 0)
        case .error(let status): failures.append("the watch failed: \(status.message)")
        }
    }

    private mutating func hear(_ object: ConfigMap, _ type: String, wasThere: Bool) {
        let name = object.metadata.name
        let at = UInt64(object.metadata.resourceVersion) ?? 0
        if at <= revision { failures.append("\(type) \(name) at \(at) came after \(revision)") }
        if (states[name] != nil) != wasThere {
            failures.append("\(type) \(name) at \(at): it was \(wasThere ? "not " : "")there")
        }
        count += 1
        revision = max(revision, at)
        states[name] = type == "DELETED" ? nil : Ledger.State(object)
    }
}
