import Controllers
import KubernetesAPI
import Testing

@Suite("Disruption budgets: what their status says")
struct DisruptionReconcilerTests {
    private let now = Make.now

    private func budget(
        _ spec: PodDisruptionBudgetSpec, status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()
    ) -> PodDisruptionBudget {
        PodDisruptionBudget(
            metadata: ObjectMeta(name: "web", namespace: "default", generation: 2), spec: spec, status: status
        )
    }

    private func pod(_ name: String, ready: Bool = true, going: Bool = false) -> Pod {
        var pod = Pod(metadata: ObjectMeta(name: name, namespace: "default"))
        if going { pod.metadata.deletionTimestamp = now }
        pod.status.conditions = [PodCondition(type: "Ready", status: ready ? "True" : "False")]
        return pod
    }

    private func pods(_ count: Int, ready: Int) -> [Pod] {
        (0..<count).map { pod("web-\($0)", ready: $0 < ready) }
    }

    private let three: (Pod) -> DisruptionReconciler.Scale = { _ in .wanted(3, uid: "a") }

    @Test("A number that must stay up counts the pods there are")
    func minimum() {
        let outcome = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(minAvailable: 2)), pods: pods(3, ready: 3), now: now,
            scale: { _ in .unknown("nobody asks") })
        #expect(outcome.status.expectedPods == 3)
        #expect(outcome.status.desiredHealthy == 2)
        #expect(outcome.status.currentHealthy == 3)
        #expect(outcome.status.disruptionsAllowed == 1)
        #expect(outcome.status.observedGeneration == 2)
        let condition = outcome.status.conditions.first
        #expect(condition?.type == "DisruptionAllowed" && condition?.status == "True")
        #expect(condition?.reason == "SufficientPods" && condition?.observedGeneration == 2)
    }

    @Test("Percentages are of what the controllers want, each counted once, and are rounded up")
    func percentages() {
        let least = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(minAvailable: "50%")), pods: pods(2, ready: 2), now: now,
            scale: three)
        #expect(least.status.expectedPods == 3 && least.status.desiredHealthy == 2)
        #expect(least.status.disruptionsAllowed == 0)
        #expect(least.status.conditions.first?.reason == "InsufficientPods")
        let most = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(maxUnavailable: "34%")), pods: pods(3, ready: 3), now: now,
            scale: three)
        #expect(most.status.desiredHealthy == 1 && most.status.disruptionsAllowed == 2)
    }

    @Test("Pods without a controller are not expected; without pods nothing is allowed")
    func unmanaged() {
        let outcome = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(maxUnavailable: 1)), pods: pods(1, ready: 1), now: now,
            scale: { _ in .none })
        #expect(outcome.status.expectedPods == 0 && outcome.status.disruptionsAllowed == 0)
        #expect(outcome.status.currentHealthy == 1)
    }

    @Test("Evicted pods do not count until they are gone or given up")
    func evicted() {
        var status = PodDisruptionBudgetStatus()
        status.disruptedPods = [
            "web-0": Time(seconds: now.seconds - 20), "web-1": Time(seconds: now.seconds - 121),
            "gone": now,
        ]
        let outcome = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(minAvailable: 1), status: status), pods: pods(3, ready: 3),
            now: now,
            scale: three)
        #expect(outcome.status.currentHealthy == 2)
        #expect(outcome.status.disruptedPods == ["web-0": Time(seconds: now.seconds - 20)])
        #expect(outcome.lingering == ["web-1"])
        #expect(outcome.recheck == 100)
        let going = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(minAvailable: 1), status: status),
            pods: [pod("web-0", going: true), pod("web-2")], now: now, scale: three)
        #expect(going.status.currentHealthy == 1 && going.status.disruptedPods.isEmpty)
    }

    @Test("What cannot be found out allows nothing and is said")
    func unknown() {
        var status = PodDisruptionBudgetStatus()
        status.disruptionsAllowed = 3
        let outcome = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(maxUnavailable: 1), status: status), pods: pods(1, ready: 1),
            now: now, scale: { _ in .unknown("jobs.batch does not implement the scale subresource") })
        #expect(outcome.status.disruptionsAllowed == 0)
        #expect(outcome.status.conditions.first?.reason == "SyncFailed")
        #expect(
            outcome.status.conditions.first?.message == "jobs.batch does not implement the scale subresource")
    }

    @Test("Looking twice changes nothing, and a condition keeps the time of its last change")
    func stable() {
        let first = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(minAvailable: 1)), pods: pods(3, ready: 3), now: now, scale: three)
        let later = Time(seconds: now.seconds + 60)
        let second = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(minAvailable: 1), status: first.status), pods: pods(3, ready: 3),
            now: later, scale: three)
        #expect(second.status == first.status)
        let third = DisruptionReconciler.reconcile(
            budget(PodDisruptionBudgetSpec(minAvailable: 1), status: first.status), pods: pods(3, ready: 1),
            now: later, scale: three)
        #expect(third.status.conditions.first?.lastTransitionTime == later)
    }
}
