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

    @Test("Much the same age is no reason to prefer anybody; restarts of sidecars are the last one")
    func victimsOfTheSameAge() {
        func pod(_ name: String, readyFor seconds: Int, restarts: Int = 0, sidecar: Int = 0) -> Pod {
            var pod = Make.pod(name)
            pod.status.conditions[0].lastTransitionTime = Time(seconds: Make.now.seconds - seconds)
            pod.status.containerStatuses = [ContainerStatus(restartCount: restarts)]
            pod.spec.initContainers = [Container(name: "side", restartPolicy: "Always")]
            pod.status.initContainerStatuses = [ContainerStatus(name: "side", restartCount: sidecar)]
            return pod
        }
        let order = VictimOrder(siblings: [:], now: Make.now)
        // 40 s and 60 s lie between the same powers of two (34.4 s and 68.7 s): the uid decides.
        #expect(
            order.sorted([pod("b", readyFor: 40, restarts: 9), pod("a", readyFor: 60)]).map(\.metadata.name)
                == ["a", "b"])
        #expect(
            order.sorted([pod("a", readyFor: 100), pod("b", readyFor: 60)]).map(\.metadata.name) == [
                "b", "a",
            ])
        #expect(
            order.sorted([pod("a", readyFor: 60), pod("b", readyFor: 60, sidecar: 1)]).map(\.metadata.name)
                == ["b", "a"])
    }

    @Test("A ready pod is available once the proxies send it connections, or when they had their time")
    func confirmation() throws {
        let set = set(replicas: 2)
        var fresh = Make.pod("fresh")
        fresh.status.conditions[0].lastTransitionTime = Time(seconds: Make.now.seconds - 3)
        var late = Make.pod("late")
        late.status.conditions[0].lastTransitionTime = Time(seconds: Make.now.seconds - 10)
        let actions = ReplicaSetReconciler.reconcile(
            set, pods: [fresh, late], siblings: [:], failure: nil, now: Make.now, isReached: { _ in false })
        let status = try #require(
            actions.lazy.compactMap { if case .updateStatus(let status) = $0 { status } else { nil } }.first)
        #expect(status.readyReplicas == 2)
        #expect(status.availableReplicas == 1)
        #expect(actions.contains(.wake(afterSeconds: 7)))
        #expect(
            actions.contains { if case .reportUnconfirmed(let pod) = $0 { pod == late } else { false } })
        let confirmed = ReplicaSetReconciler.reconcile(
            set, pods: [fresh, late], siblings: [:], failure: nil, now: Make.now,
            isReached: { $0 == fresh || $0 == late })
        #expect(
            confirmed.contains {
                if case .updateStatus(let status) = $0 { status.availableReplicas == 2 } else { false }
            })
    }

    @Test("Pods on their way out are counted apart; those that have ended are not")
    func terminating() throws {
        var leaving = Make.pod("leaving")
        leaving.metadata.deletionTimestamp = Make.now
        var over = leaving
        over.status.phase = "Succeeded"
        let status = try #require(
            reconcile(set(replicas: 1), [leaving, over, Make.pod("stays")]).lazy.compactMap {
                if case .updateStatus(let status) = $0 { status } else { nil }
            }.first)
        #expect(status.replicas == 1)
        #expect(status.terminatingReplicas == 1)
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
