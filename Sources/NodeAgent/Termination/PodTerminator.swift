import ContainerRuntime
import KubernetesAPI
import Synchronization

/// Takes a pod down, gate by gate: proxies, connections, preStop, stop signal, grace period, SIGKILL, network.
package struct PodTerminator: Sendable {
    package var context: PodContext
    package var pod: Pod
    package var observation: PodObservation
    /// How much of the grace period was over when this program came to it: the pod was on its way already.
    package var elapsed: Duration
    package var haste: Haste
    /// Is told of each gate that the pod passes.
    package var passed: @Sendable (GateReport) async -> Void

    /// Returns once nothing of the pod runs any more and its address is given back. Tries again when the
    /// runtime fails, for as long as the task runs.
    package func run() async {
        let begin = context.clock.now() - elapsed
        let running = observation.containers.filter { $0.state == .running }
        if !running.isEmpty { await passGates() }
        let plan = TerminationPlan(grace: haste.grace)
        let sidecars = Set(pod.spec.initContainers.filter(\.isSidecar).map(\.name))
        await withTaskGroup(of: Void.self) { group in
            for container in running where !sidecars.contains(container.name) {
                group.addTask { await stop(container, plan, begin: begin) }
            }
        }
        for name in pod.spec.initContainers.reversed().map(\.name) where sidecars.contains(name) {
            for container in running where container.name == name {
                await stop(container, plan, begin: begin)
            }
        }
        // Before its address is given back: it may be another pod's next.
        await context.traffic.forgetConnections(to: pod)
        for sandbox in observation.sandboxes {
            await retry("stop the sandbox") { try await context.runtime.stopSandbox(sandbox.id) }
        }
    }

    private func passGates() async {
        let plan = TerminationPlan(grace: haste.grace, annotations: pod.metadata.annotations)
        if let mistake = plan.mistake {
            context.event(pod, "Warning", "InvalidTrafficGrace", mistake)
        }
        let limit = plan.gateLimit - elapsed
        guard limit > .zero else { return }
        let keeper = GateKeeper(traffic: context.traffic, clock: context.clock)
        let walk = Task { await keeper.pass(pod, limit: limit, report: passed) }
        haste.interrupts(walk)
        await walk.value
        haste.interrupts(nil)
    }

    /// Shortens the grace period, and opens the gates, of a pod that is being taken down.
    package func hasten(grace: Duration) async {
        // Whoever still stands at the gates goes on by itself, with less time.
        if haste.shorten(to: grace), grace > .zero { return }
        await withTaskGroup(of: Void.self) { group in
            for container in observation.containers where container.state == .running {
                group.addTask { try? await context.runtime.stopContainer(container.id, grace: grace) }
            }
        }
    }

    private func stop(_ observed: ContainerObservation, _ plan: TerminationPlan, begin: Duration) async {
        if let container = pod.container(observed.name) {
            context.event(
                pod, "Normal", "Killing", "Stopping container \(container.name)", container: container)
            if let hook = container.lifecycle?.preStop, plan.grace > .zero {
                await preStop(
                    hook, container, observed.id, limit: plan.remaining(after: context.clock.now() - begin))
            }
        }
        await retry("stop container \(observed.name)") {
            try await context.runtime.stopContainer(
                observed.id, grace: plan.remaining(after: context.clock.now() - begin))
        }
    }

    private func preStop(_ hook: LifecycleHandler, _ container: Container, _ id: String, limit: Duration)
        async
    {
        guard let sandbox = observation.readySandbox else { return }
        let starter = ContainerStarter(context: context, pod: pod, sandbox: sandbox, volumes: [:])
        let outcome = try? await ProbeClient.limited(limit) {
            await starter.run(hook, container, id, limit: limit)
        }
        if let outcome, !outcome.isSuccess {
            context.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", container: container)
        }
    }

    private func retry(_ what: String, _ body: () async throws -> Void) async {
        var backOff = BackOff(initial: .milliseconds(100), maximum: .seconds(5))
        while !Task.isCancelled {
            do {
                try await body()
                return
            } catch {
                if (error as? GRPCError)?.code == .notFound { return }
                context.logger.warning("\(pod.key): cannot \(what), trying again: \(error)")
                backOff.failed(at: context.clock.now())
                try? await context.clock.sleep(backOff.delay)
            }
        }
    }
}

/// The grace period of a pod that is being taken down; it may get shorter on the way.
package final class Haste: Sendable {
    private let state: Mutex<(grace: Duration, walk: Task<Void, Never>?)>

    package init(grace: Duration) { state = Mutex((grace, nil)) }

    package var grace: Duration { state.withLock { $0.grace } }

    /// What ends at once when the grace period gets shorter.
    func interrupts(_ walk: Task<Void, Never>?) { state.withLock { $0.walk = walk } }

    /// - Returns: whether there was something to end.
    func shorten(to grace: Duration) -> Bool {
        let walk = state.withLock { state in
            state.grace = min(state.grace, grace)
            return state.walk
        }
        walk?.cancel()
        return walk != nil
    }
}
