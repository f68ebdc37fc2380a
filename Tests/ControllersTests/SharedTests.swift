import Controllers
import KubernetesAPI
import Testing

@Suite("What controllers share")
struct SharedTests {
    @Test("A claim keeps its own, adopts matching orphans, lets strangers be")
    func claim() {
        let owner = Make.deployment(replicas: 1)
        var own = Make.pod("own")
        own.metadata.ownerReferences = [owner.asController]
        var foreign = Make.pod("foreign")
        var other = Make.deployment(replicas: 1)
        other.metadata.uid = "other"
        foreign.metadata.ownerReferences = [other.asController]
        var strayed = Make.pod("strayed", labels: ["app": "else"])
        strayed.metadata.ownerReferences = [owner.asController]
        let pods = [own, foreign, strayed, Make.pod("orphan"), Make.pod("unrelated", labels: [:])]
        let claim = Claim(of: pods, by: owner.metadata.uid, isDeleting: false) { $0["app"] == "web" }
        #expect(claim.claimed.map(\.metadata.name) == ["own"])
        #expect(claim.toAdopt.map(\.metadata.name) == ["orphan"])
        #expect(claim.toRelease.map(\.metadata.name) == ["strayed"])
        let deleting = Claim(of: pods, by: owner.metadata.uid, isDeleting: true) { $0["app"] == "web" }
        #expect(deleting.toAdopt.isEmpty)
    }

    @Test("A fence holds until the cache has seen the write")
    func fence() {
        var fence = WriteFence<String>()
        fence.note("12", for: "a")
        fence.note("10", for: "a")
        let answers = [("a", "11"), ("b", "11"), ("a", "12"), ("a", "11")].map {
            fence.isBehind($0, cache: $1)
        }
        // The last: once seen, it stays seen.
        #expect(answers == [true, false, false, false])
    }

    @Test("A node's conditions and cordon show as taints")
    func taints() throws {
        let health = NodeHealth()
        var node = Node()
        node.metadata.creationTimestamp = Make.now
        node.status.conditions = [
            NodeCondition(type: "Ready", status: "True"), NodeCondition(type: "DiskPressure", status: "True"),
        ]
        node.spec.unschedulable = true
        node.spec.taints = [Taint(key: "mine", effect: "NoExecute")]
        let tainted = try #require(health.judge(node, lease: nil, now: Make.now).change)
        #expect(
            tainted.spec.taints.map { "\($0.key):\($0.effect)" } == [
                "mine:NoExecute", "node.kubernetes.io/disk-pressure:NoSchedule",
                "node.kubernetes.io/unschedulable:NoSchedule",
            ])
        var well = tainted
        well.spec.unschedulable = false
        well.status.conditions[1].status = "False"
        #expect(health.judge(well, lease: nil, now: Make.now).change?.spec.taints.map(\.key) == ["mine"])
    }

    @Test("The taint that a new node gets goes when the node is ready")
    func newNode() throws {
        let health = NodeHealth()
        var node = Node()
        node.metadata.creationTimestamp = Make.now
        node.spec.taints = [Taint(key: "node.kubernetes.io/not-ready", effect: "NoSchedule")]
        let silent = try #require(health.judge(node, lease: nil, now: Make.now).change)
        #expect(silent.spec.taints.map(\.effect) == ["NoSchedule", "NoExecute"])
        node.status.conditions = [NodeCondition(type: "Ready", status: "True")]
        let ready = try #require(health.judge(node, lease: nil, now: Make.now).change)
        #expect(ready.spec.taints.isEmpty)
    }

    @Test("A silent node is Unknown and tainted; one that speaks again is not")
    func nodeHealth() throws {
        var node = Node()
        node.metadata.name = "node1"
        node.status.conditions = [NodeCondition(type: "Ready", status: "True")]
        var lease = Lease()
        lease.spec.renewTime = MicroTime(microseconds: (Make.now.seconds - 10) * 1_000_000)
        let health = NodeHealth(graceSeconds: 40)
        let fresh = health.judge(node, lease: lease, now: Make.now)
        #expect(fresh.change == nil)
        #expect(fresh.lookAgainAfter == 30)
        lease.spec.renewTime = MicroTime(microseconds: (Make.now.seconds - 41) * 1_000_000)
        let silent = try #require(health.judge(node, lease: lease, now: Make.now).change)
        #expect(silent.status.conditions.first?.status == "Unknown")
        #expect(silent.spec.taints.map(\.key).allSatisfy { $0 == "node.kubernetes.io/unreachable" })
        #expect(silent.spec.taints.count == 2)
        var back = silent
        back.status.conditions[0].status = "True"
        lease.spec.renewTime = MicroTime(microseconds: Make.now.seconds * 1_000_000)
        #expect(health.judge(back, lease: lease, now: Make.now).change?.spec.taints.isEmpty == true)
    }
}
