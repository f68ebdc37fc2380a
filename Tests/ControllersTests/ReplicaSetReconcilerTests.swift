import Controllers
import KubernetesAPI
import Testing

@Suite("ReplicaSet: how many pods, and which ones go")
struct ReplicaSetReconcilerTests {
    private func set(replicas: Int, minReadySeconds: Int = 0) -> ReplicaSet {
        var set = ReplicaSet()
        set.metadata.name = "web-1"
        set.metadata.namespace = "default"
        set.metadata.generation = 2
        set.spec.replicas = replicas
        set.spec.minReadySeconds = minReadySeconds
        set.spec.template = Make.template(image: "web:1.0")
        return set
    }

    private func reconcile(_ set: ReplicaSet, _ pods: [Pod], failure: ReplicaSetFailure? = nil)
        -> [ReplicaSetAction]
    {
        ReplicaSetReconciler.reconcile(set, pods: pods, siblings: [:], failure: failure, now: Make.now)
    }

    @Test("Missing pods are created; terminating and finished ones do not count")
    func creates() {
        var terminating = Make.pod("a")
        terminating.metadata.deletionTimestamp = Make.now
        var failed = Make.pod("b")
        failed.status.phase = "Failed"
        let actions = reconcile(set(replicas: 3), [terminating, failed, Make.pod("c")])
        #expect(actions.contains(.createPods(2)))
    }

    @Test("A ReplicaSet that is being deleted creates nothing")
    func deleting() {
        var set = set(replicas: 3)
        set.metadata.deletionTimestamp = Make.now
        #expect(!reconcile(set, []).contains(.createPods(3)))
    }

    @Test("Victims: not placed, not running, not ready, cheap, crowded, young, restarted — in this order")
    func victims() {
        var unplaced = Make.pod("unplaced", node: "")
        unplaced.status.phase = "Pending"
        var pending = Make.pod("pending")
        pending.status.phase = "Pending"
        let notReady = Make.pod("not-ready", ready: false)
        var cheap = Make.pod("cheap")
        cheap.metadata.annotations["controller.kubernetes.io/pod-deletion-cost"] = "-5"
        let crowded = Make.pod("crowded", node: "node2")
        var young = Make.pod("young")
        young.status.conditions[0].lastTransitionTime = Time(seconds: Make.now.seconds - 1)
        var restarted = Make.pod("restarted")
        restarted.status.containerStatuses = [ContainerStatus(restartCount: 3)]
        let steady = Make.pod("steady")
        let order = VictimOrder(siblings: ["node1": 1, "node2": 4], now: Make.now)
        let expected = [unplaced, pending, notReady, cheap, crowded, young, restarted, steady]
        #expect(
            order.sorted(expected.reversed()).map(\.metadata.name) == expected.map(\.metadata.name))
    }

    @Test("Status counts ready, available and labelled pods")
    func status() throws {
        let set = set(replicas: 3, minReadySeconds: 60)
        var old = Make.pod("old")
        old.status.conditions[0].lastTransitionTime = Time(seconds: Make.now.seconds - 100)
        let actions = reconcile(set, [old, Make.pod("young"), Make.pod("other", labels: [:])])
        let status = try #require(
            actions.lazy.compactMap { if case .updateStatus(let status) = $0 { status } else { nil } }.first)
        #expect(status.replicas == 3)
        #expect(status.readyReplicas == 3)
        #expect(status.availableReplicas == 1)
        #expect(status.fullyLabeledReplicas == 2)
        #expect(status.observedGeneration == 2)
        #expect(actions.contains(.wake(afterSeconds: 10)))
    }

    @Test("A refused creation shows as a condition, and goes when it works again")
    func failure() throws {
        var set = set(replicas: 1)
        let failed = reconcile(set, [], failure: ReplicaSetFailure(reason: "FailedCreate", message: "quota"))
        let status = try #require(
            failed.lazy.compactMap { if case .updateStatus(let status) = $0 { status } else { nil } }.first)
        #expect(status.conditions.first?.reason == "FailedCreate")
        #expect(status.conditions.first?.message == "quota")
        set.status = status
        let mended = reconcile(set, [Make.pod("a")])
        #expect(
            mended.contains {
                if case .updateStatus(let status) = $0 { status.conditions.isEmpty } else { false }
            })
    }
}
