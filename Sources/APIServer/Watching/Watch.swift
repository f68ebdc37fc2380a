import HTTPService
import KubernetesAPI
import KubernetesJSON
import ObjectStore

extension ResourceVerbs {
    func watch() async throws(APIError) -> Answer {
        let query = try listQuery(isWatch: true)
        let filter = ObjectFilter(labels: query.labels, fields: query.fields)
        var answer = WatchAnswer(
            initial: [], marksInitialEnd: false, initialRevision: 0, stream: nil, failure: nil,
            view: WatchView(
                filter: filter, kind: self.resource.kind, sendsBookmarks: query.allowsBookmarks, told: 0),
            timeout: Self.timeout(query.timeoutSeconds))
        do {
            try begin(&answer, query)
        } catch {
            // The watch itself succeeds and says so in its first event, as upstream's does.
            switch error.code {
            case .compacted(let oldest):
                let asked = query.moment.revision
                answer.failure = .expired("too old resource version: \(asked) (\(oldest))")
            case .future(let current):
                answer.failure = .futureRevision(query.moment.revision, current: current)
            default:
                throw failure(error, key(""))
            }
        }
        return Answer(.watch(answer), warnings: standingWarnings)
    }

    private func begin(_ answer: inout WatchAnswer, _ query: ListQuery) throws(StoreError) {
        let resource = kind.groupResource
        let showsState: Bool
        switch query.moment {
        case .latest, .any: showsState = query.sendsInitialEvents ?? true
        default: showsState = query.sendsInitialEvents ?? false
        }
        if case .notOlderThan(let revision) = query.moment, !showsState {
            answer.stream = try core.store.watch(
                resource: resource, namespace: namespaceOfPath, after: revision)
            answer.view = WatchView(
                filter: answer.view.filter, kind: self.resource.kind, sendsBookmarks: query.allowsBookmarks,
                told: revision)
            return
        }
        if case .notOlderThan(let revision) = query.moment, revision > core.store.revision {
            throw StoreError(.future(current: core.store.revision), "that revision has not happened yet")
        }
        let page = try core.store.list(resource: resource, namespace: namespaceOfPath)
        if showsState { answer.initial = page.objects.filter(answer.view.filter.matches) }
        answer.initialRevision = page.revision
        answer.marksInitialEnd = query.sendsInitialEvents == true
        answer.stream = try core.store.watch(
            resource: resource, namespace: namespaceOfPath, after: page.revision)
        answer.view = WatchView(
            filter: answer.view.filter, kind: self.resource.kind, sendsBookmarks: query.allowsBookmarks,
            told: page.revision)
    }

    /// Watches end by themselves after half an hour to an hour, each at another moment, so that clients
    /// spread over servers.
    private static func timeout(_ seconds: Int?) -> Duration {
        if let seconds, seconds != 0 { return .seconds(min(max(seconds, 0), 86_400)) }
        return .seconds(Int.random(in: 1800...3600))
    }
}

extension ListQuery.Moment {
    var revision: Revision {
        switch self {
        case .latest, .any: 0
        case .notOlderThan(let revision), .exact(let revision): revision
        }
    }
}

/// When a watch tells how far it has come, if nothing happens.
package enum WatchPacing {
    /// Upstream's pace of bookmarks.
    static let interval: Duration = .seconds(60)
    /// A last bookmark comes so long before the end, so that the next watch can go on from there.
    static let farewell: Duration = .seconds(2)

    /// How long to wait before something is due, for a watch that ends in `left`.
    package static func pause(left: Duration) -> Duration {
        if left > interval + farewell { return interval }
        return left > farewell ? left - farewell : left
    }
}

/// Writes a running watch to its client.
struct WatchWriter: Sendable {
    /// Lines are collected up to this many bytes before they are written.
    static let chunk = 64 * 1024

    let answer: WatchAnswer
    /// Puts an object into the form the client asked for; nil for the object itself.
    let transform: (@Sendable (WatchLine, Bool) -> [UInt8])?
    /// Whether events are frames of protobuf instead of lines of JSON.
    let isProtobuf: Bool
    let clock: any Clock<Duration>
    let metrics: WatchMetrics

    /// Runs until the client goes or takes nothing any more, the time is over, or the watcher falls too far behind.
    func run(_ writer: any ResponseWriter) async throws {
        let timeout = answer.timeout
        let clock = clock
        let paced = PacedWriter(writer: writer)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await send(to: paced) }
            group.addTask { await passTime() }
            group.addTask { try await paced.watchOver(for: timeout, clock) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Returns when the time is over; bookmarks are due on the way.
    private func passTime() async {
        var left = answer.timeout
        while left > .zero {
            let pause = WatchPacing.pause(left: left)
            do {
                try await clock.sleep(for: pause)
            } catch {
                return
            }
            left -= pause
            if left > .zero, answer.view.sendsBookmarks { answer.stream?.announceProgress() }
        }
    }

    private func send(to writer: any ResponseWriter) async throws {
        var out = Output(transform: transform, isProtobuf: isProtobuf, metrics: metrics)
        var view = answer.view
        if let failure = answer.failure {
            out.add(WatchLine(.error, failure.status.json()))
            try await out.flush(to: writer)
            return
        }
        for stored in answer.initial {
            out.add(WatchLine(.added, stored.bytes))
            if out.bytes.count >= Self.chunk { try await out.flush(to: writer) }
        }
        if answer.marksInitialEnd {
            out.add(view.bookmark(answer.initialRevision, endsInitialEvents: true))
        }
        try await out.flush(to: writer)
        guard let stream = answer.stream else { return }
        var events = stream.makeAsyncIterator()
        do {
            while let batch = try await events.nextBatch() {
                for element in batch {
                    switch element {
                    case .event(let event): out.add(view.line(event))
                    case .progress(let revision): out.add(view.bookmark(revision))
                    }
                    if out.bytes.count >= Self.chunk { try await out.flush(to: writer) }
                }
                try await out.flush(to: writer)
            }
        } catch let error as StoreError {
            guard case .compacted(let oldest) = error.code else { throw error }
            let failure = APIError.expired("too old resource version: \(view.told) (\(oldest))")
            out.add(WatchLine(.error, failure.status.json()))
            try await out.flush(to: writer)
        }
    }

    private struct Output {
        var bytes: [UInt8] = []
        var isFirst = true
        let transform: (@Sendable (WatchLine, Bool) -> [UInt8])?
        let isProtobuf: Bool
        let metrics: WatchMetrics

        init(
            transform: (@Sendable (WatchLine, Bool) -> [UInt8])?, isProtobuf: Bool, metrics: WatchMetrics
        ) {
            self.transform = transform
            self.isProtobuf = isProtobuf
            self.metrics = metrics
        }

        mutating func add(_ line: WatchLine?) {
            guard var line else { return }
            if let transform, line.kind != .error {
                line.object = transform(line, isFirst)
                isFirst = false
            }
            if isProtobuf { line.appendFrame(to: &bytes) } else { line.append(to: &bytes) }
            metrics.sent(bytes: line.object.count)
        }

        mutating func flush(to writer: any ResponseWriter) async throws {
            guard !bytes.isEmpty else { return }
            let ready = bytes
            bytes = []
            try await writer.write(ready)
        }
    }
}
