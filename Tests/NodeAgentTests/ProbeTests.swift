import HTTPService
import KubernetesAPI
import NodeAgent
import Testing

@Suite struct ProbeTests {
    private static func probe(delay: Int = 0, period: Int = 10, success: Int = 1, failure: Int = 3) -> Probe {
        Probe(
            initialDelaySeconds: delay, timeoutSeconds: 1, periodSeconds: period, successThreshold: success,
            failureThreshold: failure)
    }

    @Test func livenessFailsOnlyAfterItsThreshold() {
        var state = ProbeState(.liveness, Self.probe())
        #expect(state.next(after: .zero) == ProbeState.Turn(due: .zero, isQuickLook: false))
        #expect(state.next(after: .seconds(1)).due == .seconds(10))
        #expect(state.record(success: false) == false)
        #expect(state.record(success: false) == false)
        #expect(state.record(success: false) == true)
        #expect(state.isPassing == false)
        #expect(state.record(success: false) == false)
    }

    @Test func aSuccessInBetweenBeginsTheCountAgain() {
        var state = ProbeState(.readiness, Self.probe(success: 2))
        #expect(state.record(success: true) == false)
        #expect(state.record(success: false) == false)
        #expect(state.record(success: true) == false)
        #expect(state.record(success: true) == true)
        #expect(state.isPassing == true)
    }

    @Test func readinessIsLookedAtSoonAndThoseLooksDoNotCount() {
        var state = ProbeState(.readiness, Self.probe(failure: 1))
        #expect(state.next(after: .zero) == ProbeState.Turn(due: .zero, isQuickLook: false))
        #expect(state.record(success: false) == true)
        var due = Duration.zero
        var looks = 0
        while true {
            let turn = state.next(after: due)
            #expect(turn.due >= due)
            due = turn.due
            guard turn.isQuickLook else { break }
            looks += 1
            #expect(state.record(success: false, isQuickLook: true) == false)
        }
        #expect(due == .seconds(10))
        #expect(looks == 8)
        #expect(state.record(success: true) == true)
        // Once it has passed, only the period counts.
        #expect(state.next(after: due).isQuickLook == false)
    }

    @Test func theOthersWaitForTheStartupProbe() {
        var container = Container(name: "c")
        container.startupProbe = Self.probe(failure: 2)
        container.readinessProbe = Self.probe()
        container.livenessProbe = Self.probe()
        var probes = ContainerProbes(container)
        #expect(probes.mayRun(.startup) && !probes.mayRun(.readiness) && !probes.mayRun(.liveness))
        #expect(probes.results == ProbeResults(isStarted: false, isReady: false, failure: nil))
        var failed = probes
        _ = failed.record(.startup, success: false)
        _ = failed.record(.startup, success: false)
        #expect(failed.results.failure == .startup)
        #expect(probes.record(.startup, success: true) == true)
        #expect(!probes.mayRun(.startup) && probes.mayRun(.readiness) && probes.mayRun(.liveness))
        #expect(probes.results == ProbeResults(isStarted: true, isReady: false, failure: nil))
        #expect(probes.record(.readiness, success: true) == true)
        #expect(probes.results == ProbeResults(isStarted: true, isReady: true, failure: nil))
    }

    @Test func whatHasCondemnedAContainerAsksNoMore() {
        var container = Container(name: "c")
        container.readinessProbe = Self.probe()
        container.livenessProbe = Self.probe(failure: 2)
        var probes = ContainerProbes(container)
        _ = probes.record(.liveness, success: false)
        #expect(probes.mayRun(.liveness))
        let isCondemned = probes.record(.liveness, success: false)
        #expect(isCondemned)
        #expect(!probes.mayRun(.liveness) && probes.mayRun(.readiness))
        #expect(probes.results.failure == .liveness)
    }

    @Test func ofAPodOnItsWayOutOnlyTheReadinessCounts() {
        var container = Container(name: "c")
        container.readinessProbe = Self.probe(failure: 1)
        container.livenessProbe = Self.probe(failure: 1)
        var probes = ContainerProbes(container)
        _ = probes.record(.readiness, success: true)
        var hasChanged = probes.podIsTerminating()
        #expect(!hasChanged)
        #expect(!probes.mayRun(.liveness) && probes.mayRun(.readiness))
        _ = probes.record(.liveness, success: false)
        #expect(probes.results == ProbeResults(isStarted: true, isReady: true, failure: nil))
        hasChanged = probes.record(.readiness, success: false)
        #expect(hasChanged)
        #expect(probes.results.isReady == false)
        // One that still waited for its startup probe is ready when its readiness says so.
        container.startupProbe = Self.probe()
        probes = ContainerProbes(container)
        hasChanged = probes.podIsTerminating()
        #expect(hasChanged)
        #expect(!probes.mayRun(.startup) && probes.mayRun(.readiness))
    }

    @Test func aRefusedConnectionIsToldInGosWords() async throws {
        let client = try HTTPClient(ClientConfiguration(endpoint: .tcp(host: "127.0.0.1", port: 1)))
        let error = await #expect(throws: HTTPError.self) {
            _ = try await client.send(HTTPRequest(path: "/"))
        }
        await client.close()
        #expect(error.flatMap { ProbeClient.refusal($0) } == "connect: connection refused")
        #expect(ProbeClient.refusal(CancellationError()) == nil)
    }

    @Test func portsAreFoundByName() {
        let container = Container(name: "c", ports: [ContainerPort(name: "web", containerPort: 3000)])
        #expect(ProbeClient.port(.string("web"), container) == 3000)
        #expect(ProbeClient.port(.string("8080"), container) == 8080)
        #expect(ProbeClient.port(.string("nope"), container) == nil)
        #expect(ProbeClient.port(.int(70000), container) == nil)
    }
}
