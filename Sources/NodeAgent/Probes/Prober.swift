import ContainerRuntime
import KubernetesAPI

/// Runs the probes of one container, from its start to its end, and tells when what they say changes.
package actor Prober {
    private let pod: Pod
    private let container: Container
    private let id: String
    private let address: String
    private let client: ProbeClient
    private let clock: AgentClock
    private let startedAt: Int64
    private let changed: @Sendable () -> Void
    private let report: @Sendable (ProbeState.Kind, ProbeOutcome) -> Void
    private var probes: ContainerProbes
    private var tasks: [Task<Void, Never>] = []
    private var running: Set<ProbeState.Kind> = []

    /// - Parameters:
    ///   - startedAt: the container's start, nanoseconds since 1970.
    ///   - wasReady: the container was ready before this program started; it stays so until a probe fails.
    ///   - changed: called when `results` has changed.
    ///   - report: called for each failed probe that counts.
    package init(
        pod: Pod, container: Container, id: String, address: String, startedAt: Int64, wasReady: Bool,
        client: ProbeClient, clock: AgentClock, changed: @escaping @Sendable () -> Void,
        report: @escaping @Sendable (ProbeState.Kind, ProbeOutcome) -> Void
    ) {
        self.pod = pod
        self.container = container
        self.id = id
        self.address = address
        self.startedAt = startedAt
        self.client = client
        self.clock = clock
        self.changed = changed
        self.report = report
        probes = ContainerProbes(container)
        if wasReady { probes.assumePassing() }
    }

    package var results: ProbeResults { probes.results }

    /// Begins with the probes that may run now; the others follow when the startup probe has succeeded.
    package func start() {
        for kind in probes.states.keys where probes.mayRun(kind) && !running.contains(kind) {
            running.insert(kind)
            tasks.append(Task { await self.loop(kind) })
        }
    }

    /// The pod's deletion has begun: only its readiness is still asked for.
    package func podIsTerminating() {
        guard probes.podIsTerminating() else { return }
        changed()
        start()
    }

    package func stop() {
        for task in tasks { task.cancel() }
        tasks = []
    }

    private var age: Duration { .nanoseconds(max(0, clock.wallNanoseconds() - startedAt)) }

    private func loop(_ kind: ProbeState.Kind) async {
        while !Task.isCancelled, probes.mayRun(kind) {
            let age = age
            guard let turn = probes.next(kind, after: age), let probe = probes.states[kind]?.probe else {
                return
            }
            if turn.due > age {
                do { try await clock.sleep(turn.due - age) } catch { return }
            }
            let outcome = await client.run(probe, container: container, id: id, address: address)
            // The pod may be on its way out since.
            if Task.isCancelled || !probes.mayRun(kind) { return }
            let hasChanged = probes.record(kind, success: outcome.isSuccess, isQuickLook: turn.isQuickLook)
            if !outcome.isSuccess, !turn.isQuickLook { report(kind, outcome) }
            if hasChanged {
                changed()
                start()
            }
        }
    }
}
