import BenchmarkSupport
import HTTPService
import KubernetesClient

/// Many writers and many watchers at once: whether every watcher hears of every event once and in order.
public struct Soak: Sendable {
    public var watchers = 200
    public var writers = 16
    /// How long the writers write.
    public var duration: Duration
    /// How many objects each writer creates, changes and deletes.
    public var objectsPerWriter = 8

    public init(duration: Duration) { self.duration = duration }

    /// What came of it.
    public struct Outcome: Sendable {
        /// Writes that were acknowledged.
        public var events = 0
        /// What watchers saw otherwise than it happened; empty when all is well.
        public var failures: [String] = []
        /// The server's resident memory, in MiB: when half the time was over, and when all watchers had heard all.
        public var memoryHalfway = 0.0
        public var memoryAfter = 0.0
    }

    /// What the writers did, as their answers told it.
    struct Written: Sendable {
        var creations: [WatchedEvent] = []
        var deletions: [String: Int] = [:]
        var count = 0
    }

    /// Runs it in a namespace that exists and is empty.
    ///
    /// - Throws: what requests throw; what watchers see wrong is part of the outcome.
    public func run(on server: APIProcess, namespace: String) async throws -> Outcome {
        let path = "/api/v1/namespaces/\(namespace)/configmaps"
        let observer = try server.connect()
        let list = try await observer.exchange(.GET, path)
        let revision = WatchedEvent.revision(in: list)
        return try await withThrowingTaskGroup(of: (Int, WatchedEvents).self) { group in
            for number in 0..<watchers {
                // One in two speaks HTTP/1.1.
                let transport = try server.connect(offersHTTP2: number.isMultiple(of: 2))
                let response = try await transport.send(
                    HTTPRequest(
                        method: .GET,
                        target: path + "?watch=true&timeoutSeconds=3600&resourceVersion=\(revision)"))
                group.addTask {
                    var seen = WatchedEvents(after: revision, keepsAll: number == 0)
                    try await seen.read(response.body, until: Self.farewell)
                    await transport.close()
                    return (number, seen)
                }
            }
            async let halfway = Self.memory(of: server, after: duration / 2)
            let written = try await write(to: server, path)
            var outcome = Outcome(events: written.count, memoryHalfway: try await halfway)
            try await observer.exchange(
                .POST, path, Payloads.configMap(Self.farewell, namespace: namespace), expecting: 201)
            var all: [WatchedEvents] = []
            for try await (number, seen) in group {
                if number == 0 { all.insert(seen, at: 0) } else { all.append(seen) }
            }
            outcome.failures = Self.compare(all, written)
            outcome.memoryAfter = server.residentMemory()
            return outcome
        }
    }

    /// The name of the last object.
    private static let farewell = "farewell"

    private static func memory(of server: APIProcess, after delay: Duration) async throws -> Double {
        try await ContinuousClock().sleep(for: delay)
        return server.residentMemory()
    }

    private func write(to server: APIProcess, _ path: String) async throws -> Written {
        let end = ContinuousClock.now + duration
        return try await withThrowingTaskGroup(of: Written.self) { group in
            for writer in 0..<writers {
                let transport = try server.connect(offersHTTP2: writer.isMultiple(of: 2))
                group.addTask { try await write(as: writer, transport, path, until: end) }
            }
            return try await group.reduce(into: Written()) {
                $0.creations += $1.creations
                $0.deletions.merge($1.deletions) { $0 + $1 }
                $0.count += $1.count
            }
        }
    }

    private func write(
        as writer: Int, _ transport: HTTPSTransport, _ path: String, until end: ContinuousClock.Instant
    ) async throws -> Written {
        var written = Written()
        var existing: Set<String> = []
        while ContinuousClock.now < end {
            written.count += 1
            let name = "w\(writer)-\(Int.random(in: 0..<objectsPerWriter))"
            let body = Payloads.configMap(name, namespace: "", value: "step \(written.count)")
            if !existing.contains(name) {
                let answer = try await transport.exchange(.POST, path, body, expecting: 201)
                existing.insert(name)
                written.creations.append(WatchedEvent("ADDED", name, answer))
            } else if Int.random(in: 0..<10) == 0 {
                // The answer to a deletion does not tell its revision.
                try await transport.exchange(.DELETE, path + "/" + name)
                existing.remove(name)
                written.deletions[name, default: 0] += 1
            } else {
                let answer = try await transport.exchange(.PUT, path + "/" + name, body)
                written.creations.append(WatchedEvent("MODIFIED", name, answer))
            }
        }
        return written
    }

    /// Compares what the watchers saw with what was written, and with each other.
    private static func compare(_ all: [WatchedEvents], _ written: Written) -> [String] {
        guard let first = all.first else { return ["there was no watcher"] }
        var failures = all.compactMap(\.disorder)
        for seen in all where seen.digest != first.digest || seen.count != first.count {
            failures.append("one watcher saw \(seen.count) events, another one \(first.count) or others")
        }
        let kept = first.events.dropLast()  // the farewell
        if kept.filter({ $0.type != "DELETED" }) != written.creations.sorted() {
            failures.append("what was created and changed is not what a watcher saw")
        }
        let deletions = kept.filter { $0.type == "DELETED" }.reduce(into: [String: Int]()) {
            $0[$1.name, default: 0] += 1
        }
        if deletions != written.deletions { failures.append("what was deleted is not what a watcher saw") }
        if kept.count != written.count {
            failures.append("\(written.count) writes were acknowledged, a watcher saw \(kept.count)")
        }
        return failures
    }
}
