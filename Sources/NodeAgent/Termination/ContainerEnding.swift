import ContainerRuntime
import KubernetesAPI

/// Ends one container of a pod that lives on: because a probe has failed, or because the pod is over.
package struct ContainerEnding: Sendable {
    package var context: PodContext
    package var pod: Pod
    package var sandbox: SandboxObservation?
    package var volumes: [String: String]
    package var grace: Duration

    /// Returns when the container has ended, or when the runtime could not end it.
    package func run(_ id: String, _ container: Container?) async {
        let begin = context.clock.now()
        let plan = TerminationPlan(grace: grace, annotations: pod.metadata.annotations)
        if let mistake = plan.mistake {
            context.event(pod, "Warning", "InvalidTrafficGrace", mistake, container: container)
        }
        let keeper = GateKeeper(traffic: context.traffic, clock: context.clock)
        await keeper.pass(pod, limit: plan.gateLimit) { report in
            context.event(
                pod, report.isWarning ? "Warning" : "Normal", report.reason, report.message,
                container: container)
        }
        if let hook = container?.lifecycle?.preStop, let container, let sandbox, grace > .zero {
            let limit = plan.remaining(after: context.clock.now() - begin)
            let starter = ContainerStarter(context: context, pod: pod, sandbox: sandbox, volumes: volumes)
            _ = try? await ProbeClient.limited(limit) { await starter.run(hook, container, id, limit: limit) }
        }
        do {
            try await context.runtime.stopContainer(
                id, grace: plan.remaining(after: context.clock.now() - begin))
        } catch {
            if error.code == .notFound { return }
            context.logger.warning("\(pod.key): container \(id) cannot be stopped, trying again: \(error)")
            // The worker looks again then, and finds it running.
            try? await context.clock.sleep(.milliseconds(200))
        }
    }
}
