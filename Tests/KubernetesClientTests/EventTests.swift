import HTTPService
import KubernetesAPI
import KubernetesClient
import Testing

private let pod = ObjectReference(kind: "Pod", namespace: "default", name: "web", uid: "u")

@Suite struct EventCorrelatorTests {
    private var correlator = EventCorrelator()

    private func event(_ message: String, at seconds: Int, reason: String = "Pulled") -> Event {
        Event(
            metadata: ObjectMeta(name: "web.\(seconds)", namespace: "default"), involvedObject: pod,
            reason: reason, message: message, source: EventSource(component: "kubelet"),
            firstTimestamp: Time(seconds: seconds), lastTimestamp: Time(seconds: seconds), type: "Normal")
    }

    @Test mutating func repeatsCountUp() {
        guard case .create(let first) = correlator.correlate(event("m", at: 100)) else {
            Issue.record("the first one is new")
            return
        }
        #expect(first.count == 1)
        guard case .repeated(let second) = correlator.correlate(event("m", at: 160)) else {
            Issue.record("the second one repeats it")
            return
        }
        #expect(second.count == 2)
        #expect(second.metadata.name == "web.100")
        #expect(second.firstTimestamp == Time(seconds: 100))
        #expect(second.lastTimestamp == Time(seconds: 160))
        guard case .create = correlator.correlate(event("m", at: 161, reason: "Created")) else {
            Issue.record("another reason is another event")
            return
        }
    }

    @Test mutating func anObjectThatChangedIsStillTheSame() {
        _ = correlator.correlate(event("m", at: 100))
        var later = event("m", at: 101)
        later.involvedObject.resourceVersion = "7"
        guard case .repeated(let second) = correlator.correlate(later) else {
            Issue.record("the revision of the object makes no new event")
            return
        }
        #expect(second.count == 2)
    }

    @Test mutating func manySimilarOnesBecomeOne() {
        for i in 0..<9 {
            guard case .create = correlator.correlate(event("m\(i)", at: i)) else {
                Issue.record("the first nine are told each")
                return
            }
        }
        guard case .create(let combined) = correlator.correlate(event("m9", at: 9)) else {
            Issue.record("the tenth begins a combined one")
            return
        }
        #expect(combined.message == "(combined from similar events): m9")
        guard case .repeated(let more) = correlator.correlate(event("m10", at: 10)) else {
            Issue.record("the eleventh counts it up")
            return
        }
        #expect(more.count == 2)
        #expect(more.message == "(combined from similar events): m10")
        #expect(more.metadata.name == combined.metadata.name)
        guard case .create(let later) = correlator.correlate(event("m11", at: 700)) else {
            Issue.record("after ten quiet minutes they are told again")
            return
        }
        #expect(later.message == "m11")
    }

    @Test mutating func oneObjectCannotFlood() {
        let decisions = (0..<40).map { correlator.correlate(event("same", at: $0 / 40)) }
        #expect(decisions.filter { $0 == .drop }.count == 15, "25 at once")
        guard case .repeated(let later) = correlator.correlate(event("same", at: 301)) else {
            Issue.record("one more every five minutes")
            return
        }
        #expect(later.count == 41, "what was not written was counted")
        #expect(correlator.correlate(event("same", at: 302)) == .drop)
    }

    /// Whatever is thrown at it, what it remembers stays bounded: then forgotten events are new again.
    @Test mutating func memoryIsBounded() {
        for i in 0..<5000 {
            var one = event("m", at: 0)
            one.involvedObject.name = "p\(i)"
            _ = correlator.correlate(one)
        }
        var first = event("m", at: 0)
        first.involvedObject.name = "p0"
        guard case .create = correlator.correlate(first) else {
            Issue.record("the oldest should have been forgotten")
            return
        }
        var last = event("m", at: 0)
        last.involvedObject.name = "p4999"
        guard case .repeated = correlator.correlate(last) else {
            Issue.record("the newest should be known")
            return
        }
    }
}

@Suite struct EventRecorderTests {
    let server = ScriptedServer()
    let clock = TestClock()
    let time = Locked(1_700_000_000_000_000)

    private var recorder: EventRecorder {
        EventRecorder(
            client: server.client, component: "kubelet", host: "n1",
            now: { [time] in MicroTime(microseconds: time.withLock { $0 }) }, clock: clock, logger: quiet)
    }

    @Test func writesOnceAndThenCounts() async throws {
        let recorder = recorder
        server.answer(json(Event()), json(Event()))
        recorder.record(object: pod, type: EventRecorder.normal, reason: "Pulled", message: "got it")
        time.withLock { $0 += 60_000_000 }
        recorder.record(object: pod, type: EventRecorder.normal, reason: "Pulled", message: "got it")
        await recorder.flush()
        let seen = server.seen
        try #require(seen.count == 2)
        #expect(seen[0].line == "POST /api/v1/namespaces/default/events")
        let event = try Event(json: Array(seen[0].body.utf8))
        #expect(event.metadata.name == "web.17979cfe362a0000")
        #expect(event.involvedObject == pod)
        #expect(event.source == EventSource(component: "kubelet", host: "n1"))
        #expect(event.reportingComponent == "kubelet" && event.reportingInstance == "n1")
        #expect(event.count == 1 && event.type == "Normal" && event.reason == "Pulled")
        #expect(event.firstTimestamp == Time(seconds: 1_700_000_000))
        #expect(seen[1].line == "PATCH /api/v1/namespaces/default/events/web.17979cfe362a0000")
        #expect(seen[1].body == #"{"count":2,"message":"got it","lastTimestamp":"2023-11-14T22:14:20Z"}"#)
    }

    @Test func inTheFormOfASeries() async throws {
        let recorder = EventRecorder(
            client: server.client, component: "default-scheduler",
            form: .series(instance: "default-scheduler-a"),
            now: { [time] in MicroTime(microseconds: time.withLock { $0 }) }, clock: clock, logger: quiet)
        server.answer(json(Event()), json(Event()))
        for _ in 0..<2 {
            recorder.record(object: pod, type: "Normal", reason: "Scheduled", action: "Binding", message: "m")
        }
        await recorder.flush()
        try #require(server.seen.count == 2)
        let event = try Event(json: Array(server.seen[0].body.utf8))
        #expect(event.source == EventSource() && event.count == 0)
        #expect(event.firstTimestamp == nil && event.lastTimestamp == nil)
        #expect(event.eventTime == MicroTime(microseconds: 1_700_000_000_000_000))
        #expect(event.reportingComponent == "default-scheduler")
        #expect(event.reportingInstance == "default-scheduler-a" && event.action == "Binding")
        #expect(
            server.seen[1].body
                == #"{"message":"m","series":{"count":2,"lastObservedTime":"2023-11-14T22:13:20.000000Z"}}"#)
    }

    @Test func anEventThatIsGoneIsWrittenAnew() async throws {
        let recorder = recorder
        server.answer(json(Event()), failure(404, "NotFound"), json(Event()))
        for _ in 0..<2 { recorder.record(object: pod, type: "Warning", reason: "BackOff", message: "m") }
        await recorder.flush()
        try #require(server.seen.map(\.request.method) == [.POST, .PATCH, .POST])
        #expect(try Event(json: Array(server.seen[2].body.utf8)).count == 2)
    }

    @Test func triesAgainWhenTheServerIsAwayAndGivesUpWhenItRefuses() async throws {
        let recorder = recorder
        server.answer(failure(503, "ServiceUnavailable"), failure(403, "Forbidden"), json(Event()))
        recorder.record(Node(metadata: ObjectMeta(name: "n1")), type: "Normal", reason: "A", message: "m")
        recorder.record(Node(metadata: ObjectMeta(name: "n1")), type: "Normal", reason: "B", message: "m")
        clock.advance(by: await clock.nextPause())
        await recorder.flush()
        let reasons = try server.seen.map { try Event(json: Array($0.body.utf8)).reason }
        #expect(reasons == ["A", "A", "B"])
        #expect(
            server.seen.allSatisfy { $0.line == "POST /api/v1/namespaces/default/events" },
            "events about nodes are in the default namespace")
    }
}
