import ContainerRuntime
import KubernetesAPI

/// Takes a pod down, gate by gate: proxies, preStop, stop signal, grace period, SIGKILL, network.
package struct PodTerminator: Sendable {
    package var context: PodContext
    package var pod: Pod
    package var observation: PodObservation

    package init(context: PodContext, pod: Pod, observation: PodObservation) {
        self.context = context
        self.pod = pod
        self.observation = observation
    }

    /// Returns once nothing of the pod runs any more and its address is given back. Tries again when the
    /// runtime fails, for as long as the task runs.
    package func run(grace: Duration) async {
        let begin = context.clock.now()
        let plan = TerminationPlan(grace: grace)
        let running = observation.containers.filter { $0.state == .running }
        if !running.isEmpty, plan.gateLimit > .zero {
            await context.gate.waitUntilUnreachable(pod, limit: plan.gateLimit)
        }
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
        for sandbox in observation.sandboxes {
            await retry("stop the sandbox") { try await context.runtime.stopSandbox(sandbox.id) }
        }
    }

    /// Shortens the grace period of containers that are being stopped.
    package func hasten(grace: Duration) async {
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
