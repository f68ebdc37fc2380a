import KubernetesAPI
import NodeAgent
import Synchronization
import Testing

/// A pod's way through the gates without IO: what it meets, and the time.
private struct Walk {
    var gates: TerminationGates
    var now: Duration = .seconds(100)

    init(limit: Duration = .seconds(5)) {
        gates = TerminationGates(at: .seconds(100), limit: limit)
    }

    mutating func meet(
        _ standing: TrafficStanding, _ connections: PodConnections? = nil, after: Duration = .zero
    ) -> TerminationGates.Decision {
        now += after
        return gates.step(standing, connections, at: now)
    }
}

@Suite("The gates before a pod's end")
struct TerminationGatesTests {
    typealias Decision = TerminationGates.Decision

    @Test("A pod behind no Service finds them open")
    func apart() {
        var walk = Walk()
        #expect(walk.meet(.apart) == Decision(next: .open))
    }

    @Test("No time for them: they are open, whatever stands behind")
    func noLimit() {
        var walk = Walk(limit: .zero)
        #expect(walk.meet(.reached) == Decision(next: .open))
    }

    @Test("Proxies first, then connections, each told with its time")
    func inOrder() {
        var walk = Walk()
        #expect(walk.meet(.reached) == Decision(next: .wait(.seconds(5))))
        #expect(
            walk.meet(.left, after: .milliseconds(14))
                == Decision(reports: [.confirmed(after: .milliseconds(14))], next: .count))
        #expect(
            walk.meet(.left, PodConnections(open: 2, areRecent: true))
                == Decision(next: .wait(.milliseconds(5))))
        // Woken, it counts before anything else.
        #expect(walk.meet(.left, after: .milliseconds(5)) == Decision(next: .count))
        #expect(
            walk.meet(.left, PodConnections(open: 1, areRecent: true))
                == Decision(next: .wait(.milliseconds(10))))
        #expect(
            walk.meet(.left, PodConnections(areRecent: true), after: .milliseconds(81))
                == Decision(reports: [.drained(after: .milliseconds(100))], next: .open))
    }

    @Test("A pod that nobody uses does not wait for what is cut off, one that is used does")
    func looksAhead() {
        var unused = Walk()
        _ = unused.meet(.reached)
        #expect(
            unused.meet(.leaving, after: .milliseconds(3)) == Decision(next: .wait(.milliseconds(2))))
        // Woken early, it waits for the rest.
        #expect(
            unused.meet(.leaving, after: .milliseconds(1)) == Decision(next: .wait(.milliseconds(1))))
        #expect(unused.meet(.leaving, after: .milliseconds(1)) == Decision(next: .count))
        #expect(
            unused.meet(.leaving, PodConnections(), after: .milliseconds(9))
                == Decision(
                    reports: [.confirmed(after: .milliseconds(3)), .drained(after: .milliseconds(14))],
                    next: .open))
        for use in [
            PodConnections(open: 1), PodConnections(areRecent: true), PodConnections(mayGoOn: true),
        ] {
            var used = Walk()
            _ = used.meet(.leaving)
            #expect(used.meet(.leaving, after: .milliseconds(2)) == Decision(next: .count))
            #expect(
                used.meet(.leaving, use, after: .milliseconds(8))
                    == Decision(next: .wait(.milliseconds(4990))))
            #expect(used.meet(.leaving, after: .milliseconds(1)).next == .wait(.milliseconds(4989)))
            #expect(
                used.meet(.left, after: .milliseconds(9))
                    == Decision(reports: [.confirmed(after: .milliseconds(20))], next: .count))
        }
        var back = Walk()
        _ = back.meet(.leaving)
        _ = back.meet(.lastResort, after: .milliseconds(5))
        #expect(back.meet(.leaving) == Decision(next: .wait(.milliseconds(2))))
    }

    @Test("An endpoint that leaves altogether has been confirmed too")
    func leaves() {
        var walk = Walk()
        _ = walk.meet(.reached)
        #expect(
            walk.meet(.apart, after: .milliseconds(3))
                == Decision(reports: [.confirmed(after: .milliseconds(3))], next: .count))
        #expect(walk.meet(.apart, PodConnections()).next == .open)
    }

    @Test("A proxy that does not answer holds nobody up for longer than the limit, and that is told")
    func silentProxy() {
        var walk = Walk()
        #expect(walk.meet(.unknown) == Decision(next: .wait(.seconds(5))))
        #expect(walk.meet(.reached, after: .seconds(3)) == Decision(next: .wait(.seconds(2))))
        let decision = walk.meet(.reached, after: .seconds(2))
        #expect(decision == Decision(reports: [.unconfirmed(after: .seconds(5))], next: .open))
        #expect(decision.reports.map(\.isWarning) == [true])
    }

    @Test("Connections that stay have the rest of the limit, in pauses that grow to a tenth of a second")
    func idleConnections() {
        var walk = Walk(limit: .seconds(1))
        _ = walk.meet(.left)
        var pauses: [Duration] = []
        while case .wait(let pause) = walk.meet(.left, PodConnections(open: 3)).next {
            pauses.append(pause)
            walk.now += pause
        }
        #expect(Array(pauses.prefix(6)) == [5, 10, 20, 40, 80, 100].map { Duration.milliseconds($0) })
        #expect(pauses.reduce(.zero, +) == .seconds(1))
        #expect(
            walk.meet(.left, PodConnections(open: 3)).reports == [.undrained(3, after: .seconds(1))])
    }

    @Test("The last endpoint of a Service waits for a successor while it is used, and not at all otherwise")
    func lastResort() {
        var walk = Walk()
        #expect(walk.meet(.lastResort) == Decision(next: .count))
        #expect(walk.meet(.lastResort, PodConnections(areRecent: true)).next == .wait(.milliseconds(5)))
        #expect(
            walk.meet(.left, after: .seconds(2)).reports == [.confirmed(after: .seconds(2))])
        var unused = Walk()
        _ = unused.meet(.lastResort)
        #expect(
            unused.meet(.lastResort, PodConnections())
                == Decision(reports: [.unused(after: .zero)], next: .open))
        var alone = Walk()
        _ = alone.meet(.lastResort)
        #expect(
            alone.meet(.lastResort, PodConnections(open: 1, areRecent: true), after: .seconds(5)).reports
                == [.withoutSuccessor(after: .seconds(5))])
    }

    @Test("A pod that others' failure makes the last one again goes back to the first gate")
    func comesBack() {
        var walk = Walk()
        _ = walk.meet(.left)
        #expect(
            walk.meet(.lastResort, PodConnections(open: 1, areRecent: true)).next == .wait(.milliseconds(5)))
        #expect(walk.meet(.left, after: .milliseconds(5)).reports.count == 1)
    }

    @Test("Every report says something, and what it says becomes a condition")
    func reports() {
        let all: [GateReport] = [
            .confirmed(after: .milliseconds(14)), .unconfirmed(after: .seconds(5)), .unused(after: .zero),
            .withoutSuccessor(after: .seconds(5)), .drained(after: .milliseconds(1500)),
            .undrained(1, after: .seconds(5)),
        ]
        for report in all {
            let condition = report.condition(at: Time(seconds: 7))
            #expect(condition.status == (report.isFulfilled ? "True" : "False"))
            #expect(condition.lastTransitionTime == Time(seconds: 7))
            #expect(condition.message == report.message)
        }
        #expect(Set(all.map(\.reason)).count == all.count)
        #expect(
            GateReport.drained(after: .milliseconds(1500)).message
                == "No connection through a Service is left after 1.5 s")
        #expect(
            GateReport.undrained(1, after: .seconds(5)).message.hasPrefix("1 connection through Services"))
    }
}

@Suite("How a grace period is spent")
struct TerminationPlanTests {
    @Test(
        "The limit of the gates",
        arguments: [
            (30, nil, 5000), (6, nil, 3000), (0, nil, 0), (30, "10", 10_000), (30, "0", 0), (30, "0.25", 250),
            (30, "60", 30_000),
        ] as [(Int, String?, Int)])
    func limit(grace: Int, annotation: String?, milliseconds: Int) {
        let plan = TerminationPlan(
            grace: .seconds(grace), annotations: annotation.map { [TerminationPlan.annotation: $0] } ?? [:])
        #expect(plan.gateLimit == .milliseconds(milliseconds))
        #expect(plan.mistake == nil)
    }

    @Test(
        "A mistake in the annotation is told and changes nothing",
        arguments: ["", "soon", "-1", "nan", "1e9", "5s"])
    func mistakes(text: String) {
        let plan = TerminationPlan(grace: .seconds(30), annotations: [TerminationPlan.annotation: text])
        #expect(plan.gateLimit == .seconds(5))
        #expect(plan.mistake?.contains("found \"\(text)\"; 5 s is taken instead.") == true)
    }

    @Test("What is left for the stop signal")
    func remaining() {
        let plan = TerminationPlan(grace: .seconds(30))
        #expect(plan.remaining(after: .seconds(4)) == .seconds(26))
        #expect(plan.remaining(after: .seconds(29)) == .seconds(2))
        #expect(TerminationPlan(grace: .zero).remaining(after: .zero) == .zero)
    }
}

@Suite("The keeper of the gates")
struct GateKeeperTests {
    /// Traffic that a test directs.
    private final class Stage: PodTraffic {
        private struct State {
            var standing = TrafficStanding.reached
            var connections = 0
            var counted = 0
            var watchers: [AsyncStream<Void>.Continuation] = []
        }
        private let state = Mutex(State())

        func standing(of pod: Pod) -> TrafficStanding { state.withLock { $0.standing } }

        func changes() -> AsyncStream<Void> {
            let (changes, signal) = AsyncStream.makeStream(of: Void.self)
            state.withLock { $0.watchers.append(signal) }
            signal.yield()
            return changes
        }

        func connections(to pod: Pod) async throws -> PodConnections {
            state.withLock { state in
                state.counted += 1
                return PodConnections(open: state.connections)
            }
        }

        func set(_ standing: TrafficStanding, connections: Int = 0) {
            let watchers = state.withLock { state in
                state.standing = standing
                state.connections = connections
                return state.watchers
            }
            for watcher in watchers { watcher.yield() }
        }

        var counted: Int { state.withLock { $0.counted } }
    }

    private func start(_ stage: Stage, _ reports: Reports) -> Task<Void, Never> {
        let keeper = GateKeeper(traffic: stage, clock: .system)
        return Task { await keeper.pass(Pod(), limit: .seconds(600)) { reports.add($0) } }
    }

    private final class Reports: Sendable {
        let all = Mutex<[String]>([])
        func add(_ report: GateReport) { all.withLock { $0.append(report.reason) } }
    }

    @Test("It goes on when the data plane changes and when connections end", .timeLimit(.minutes(2)))
    func passes() async {
        let (stage, reports) = (Stage(), Reports())
        let walk = start(stage, reports)
        stage.set(.left, connections: 1)
        let seen = Task {
            while stage.counted < 2 { await Task.yield() }
        }
        await seen.value
        stage.set(.left, connections: 0)
        await walk.value
        #expect(reports.all.withLock { $0 } == ["OutOfService", "ConnectionsEnded"])
    }

    @Test("Who is in a hurry gets past it at once", .timeLimit(.minutes(2)))
    func cancelled() async {
        let (stage, reports) = (Stage(), Reports())
        let walk = start(stage, reports)
        walk.cancel()
        await walk.value
        #expect(reports.all.withLock { $0.isEmpty })
    }
}
