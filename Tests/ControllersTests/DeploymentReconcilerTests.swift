import Controllers
import KubernetesAPI
import Testing

@Suite("Deployment: what a rollout does next")
struct DeploymentReconcilerTests {
    /// Sizes that the actions set, by ReplicaSet name.
    private func sizes(_ actions: [DeploymentAction]) -> [String: Int] {
        actions.reduce(into: [:]) { sizes, action in
            if case .scale(let set, _) = action { sizes[set.metadata.name] = set.spec.replicas }
        }
    }

    private func writtenStatus(_ actions: [DeploymentAction]) -> DeploymentStatus? {
        actions.lazy.compactMap { if case .updateStatus(let status) = $0 { status } else { nil } }.first
    }

    private func reconcile(
        _ deployment: Deployment, _ sets: [ReplicaSet], oldPodsRunning: Bool = false
    ) -> [DeploymentAction] {
        DeploymentReconciler.reconcile(
            deployment: deployment, replicaSets: sets, oldPodsRunning: oldPodsRunning, now: Make.now)
    }

    @Test("A new Deployment gets a ReplicaSet of its full size, labelled and owned")
    func createsFirst() throws {
        let deployment = Make.deployment(replicas: 3)
        let actions = reconcile(deployment, [])
        guard case .createReplicaSet(let set) = try #require(actions.first) else {
            Issue.record("expected a ReplicaSet to be created, got \(actions)")
            return
        }
        let hash = try #require(set.metadata.labels["pod-template-hash"])
        #expect(set.metadata.name == "web-\(hash)")
        #expect(set.spec.replicas == 3)
        #expect(set.spec.selector?.matchLabels == ["app": "web", "pod-template-hash": hash])
        #expect(set.spec.template.metadata.labels == ["app": "web", "pod-template-hash": hash])
        #expect(set.controllerReference?.uid == deployment.metadata.uid)
        #expect(set.metadata.annotations["deployment.kubernetes.io/revision"] == "1")
        #expect(set.metadata.annotations["deployment.kubernetes.io/max-replicas"] == "4")
        #expect(actions.contains(.setRevision("1")))
        let progressing = writtenStatus(actions)?.conditions.first { $0.type == "Progressing" }
        #expect(progressing?.reason == "NewReplicaSetCreated")
        #expect(progressing?.message == "Created new replica set \"web-\(hash)\"")
    }

    @Test("A changed template starts a second ReplicaSet within maxSurge")
    func surges() throws {
        let deployment = Make.deployment(replicas: 4, image: "web:2.0")
        let old = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 4)
        guard case .createReplicaSet(let set) = try #require(reconcile(deployment, [old]).first) else {
            Issue.record("expected a ReplicaSet to be created")
            return
        }
        #expect(set.spec.replicas == 1)
        #expect(set.metadata.annotations["deployment.kubernetes.io/revision"] == "2")
    }

    @Test(
        "Old pods go only as far as enough are available",
        arguments: [
            // new size, new available, old size, expected new, expected old
            (1, 0, 4, nil, 3), (1, 1, 3, 2, nil), (2, 1, 3, nil, 2), (2, 2, 3, nil, 1), (4, 4, 1, nil, 0),
        ] as [(Int, Int, Int, Int?, Int?)])
    func rolls(newSize: Int, newAvailable: Int, oldSize: Int, expectedNew: Int?, expectedOld: Int?) {
        let deployment = Make.deployment(replicas: 4, image: "web:2.0")
        let new = Make.replicaSet(
            of: deployment, image: "web:2.0", revision: 2, size: newSize, available: newAvailable)
        let old = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: oldSize, age: 100)
        let sizes = sizes(reconcile(deployment, [old, new]))
        #expect(sizes[new.metadata.name] == expectedNew)
        #expect(sizes[old.metadata.name] == expectedOld)
    }

    @Test("With maxUnavailable 0, nothing old goes before something new is available")
    func keepsCapacity() {
        let deployment = Make.deployment(replicas: 3, image: "web:2.0", surge: 1, unavailable: 0)
        let old = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 3, age: 100)
        let starting = Make.replicaSet(of: deployment, image: "web:2.0", revision: 2, size: 1, available: 0)
        #expect(sizes(reconcile(deployment, [old, starting])).isEmpty)
        let started = Make.replicaSet(of: deployment, image: "web:2.0", revision: 2, size: 1, available: 1)
        #expect(sizes(reconcile(deployment, [old, started])) == [old.metadata.name: 2])
    }

    @Test("Old pods that do not work go first, whatever is available")
    func dropsBrokenFirst() {
        let deployment = Make.deployment(replicas: 4, image: "web:3.0")
        let broken = Make.replicaSet(
            of: deployment, image: "web:2.0", revision: 2, size: 1, available: 0, age: 50)
        let working = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 3, age: 100)
        let new = Make.replicaSet(of: deployment, image: "web:3.0", revision: 3, size: 1, available: 0)
        let sizes = sizes(reconcile(deployment, [working, broken, new]))
        #expect(sizes[broken.metadata.name] == 0)
        #expect(sizes[working.metadata.name] == nil)
    }

    @Test("An undo makes the old ReplicaSet the newest revision again")
    func undo() {
        let deployment = Make.deployment(replicas: 2, image: "web:1.0")
        let first = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 0, age: 100)
        let second = Make.replicaSet(of: deployment, image: "web:2.0", revision: 2, size: 2)
        let actions = reconcile(deployment, [first, second])
        #expect(actions.contains(.setRevision("3")))
        // One write sets both the annotations and the size.
        #expect(!actions.contains { if case .updateReplicaSet = $0 { true } else { false } })
        let updated = actions.lazy.compactMap { if case .scale(let set, _) = $0 { set } else { nil } }.first
        #expect(updated?.metadata.annotations["deployment.kubernetes.io/revision"] == "3")
        #expect(updated?.metadata.annotations["deployment.kubernetes.io/revision-history"] == "1")
    }

    @Test("Scaling outside of a rollout changes the one active ReplicaSet")
    func scales() {
        let deployment = Make.deployment(replicas: 5)
        let set = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 3, sizedFor: 3)
        #expect(sizes(reconcile(deployment, [set])) == [set.metadata.name: 5])
    }

    @Test("Scaling in the middle of a rollout keeps the mix of versions")
    func scalesInProportion() {
        #expect(
            proportionalSizes(of: [(size: 3, maxReplicas: 13), (size: 10, maxReplicas: 13)], allowed: 25)
                == [6, 19])
        // Of two of the same size the older one shrinks first; what rounding leaves over is the first one's.
        #expect(
            proportionalSizes(of: [(size: 4, maxReplicas: 8), (size: 4, maxReplicas: 8)], allowed: 5)
                == [3, 2])
        // The newer one grows first.
        #expect(
            proportionalSizes(of: [(size: 5, maxReplicas: 10), (size: 5, maxReplicas: 10)], allowed: 11)
                == [6, 5])
        #expect(
            proportionalSizes(of: [(size: 2, maxReplicas: 8), (size: 6, maxReplicas: 8)], allowed: 0)
                == [0, 0])
        // Of one whose basis is unknown only the rest is asked.
        #expect(
            proportionalSizes(of: [(size: 1, maxReplicas: 0), (size: 2, maxReplicas: 0)], allowed: 6) == [
                1, 5,
            ])
    }

    @Test("The list of earlier revisions keeps to its limit, the oldest go")
    func revisionHistory() throws {
        let deployment = Make.deployment(replicas: 2, image: "web:1.0")
        var first = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1998, size: 0, age: 100)
        first.metadata.annotations["deployment.kubernetes.io/revision-history"] =
            (1000..<1400).map(String.init).joined(separator: ",")
        let second = Make.replicaSet(of: deployment, image: "web:2.0", revision: 1999, size: 2)
        let actions = reconcile(deployment, [first, second])
        let updated = actions.lazy.compactMap { if case .scale(let set, _) = $0 { set } else { nil } }.first
        let history = try #require(
            updated?.metadata.annotations["deployment.kubernetes.io/revision-history"])
        #expect(history.utf8.count <= 2000)
        #expect(history.hasPrefix("1001,"))
        #expect(history.hasSuffix(",1399,1998"))
    }

    @Test("Pods on their way out are counted once all ReplicaSets tell of theirs")
    func terminating() {
        let deployment = Make.deployment(replicas: 3)
        var new = Make.replicaSet(of: deployment, image: "web:1.0", revision: 2, size: 3)
        var old = Make.replicaSet(of: deployment, image: "web:0.9", revision: 1, size: 0, age: 100)
        new.status.terminatingReplicas = 1
        #expect(writtenStatus(reconcile(deployment, [old, new]))?.terminatingReplicas == nil)
        old.status.terminatingReplicas = 2
        #expect(writtenStatus(reconcile(deployment, [old, new]))?.terminatingReplicas == 3)
    }

    @Test("A pause does not hide that the deadline was exceeded, and its end starts the time anew")
    func pauseAndDeadline() throws {
        var deployment = Make.deployment(replicas: 3, image: "web:2.0")
        let set = Make.replicaSet(of: deployment, image: "web:2.0", revision: 1, size: 3, available: 0)
        deployment.spec.paused = true
        deployment.status.conditions = [
            DeploymentCondition(type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded")
        ]
        let exceeded = try #require(writtenStatus(reconcile(deployment, [set])))
        #expect(
            exceeded.conditions.first { $0.type == "Progressing" }?.reason == "ProgressDeadlineExceeded")
        deployment.spec.paused = false
        deployment.status.conditions = [
            DeploymentCondition(
                type: "Progressing", status: "Unknown",
                lastUpdateTime: Time(seconds: Make.now.seconds - 10_000), reason: "DeploymentPaused")
        ]
        deployment.status.replicas = 3
        deployment.status.updatedReplicas = 3
        deployment.status.readyReplicas = 3
        let resumed = try #require(
            writtenStatus(reconcile(deployment, [set]))?.conditions.first { $0.type == "Progressing" })
        #expect(resumed.reason == "DeploymentResumed")
        #expect(resumed.lastUpdateTime == Make.now)
    }

    @Test("What a ReplicaSet could not do shows on its Deployment, with the time at which it was found")
    func failure() throws {
        let deployment = Make.deployment(replicas: 3)
        var set = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 3, available: 0)
        let since = Time(seconds: Make.now.seconds - 7)
        set.status.conditions = [
            ReplicaSetCondition(
                type: "ReplicaFailure", status: "True", lastTransitionTime: since, reason: "FailedCreate",
                message: "exceeded quota")
        ]
        let shown = try #require(
            writtenStatus(reconcile(deployment, [set]))?.conditions.first { $0.type == "ReplicaFailure" })
        #expect(shown.reason == "FailedCreate")
        #expect(shown.message == "exceeded quota")
        #expect(shown.lastUpdateTime == since)
    }

    @Test("A paused Deployment scales but does not roll")
    func paused() {
        var deployment = Make.deployment(replicas: 3, image: "web:2.0")
        deployment.spec.paused = true
        let set = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 3)
        let actions = reconcile(deployment, [set])
        #expect(sizes(actions).isEmpty)
        #expect(!actions.contains { if case .createReplicaSet = $0 { true } else { false } })
        let condition = writtenStatus(actions)?.conditions.first { $0.type == "Progressing" }
        #expect(condition?.status == "Unknown")
        #expect(condition?.reason == "DeploymentPaused")
    }

    @Test("Recreate takes every old pod away before it starts a new one")
    func recreate() {
        var deployment = Make.deployment(replicas: 3, image: "web:2.0")
        deployment.spec.strategy = DeploymentStrategy(type: "Recreate")
        let old = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 3)
        #expect(sizes(reconcile(deployment, [old], oldPodsRunning: true)) == [old.metadata.name: 0])
        var gone = old
        gone.spec.replicas = 0
        let waiting = reconcile(deployment, [gone], oldPodsRunning: true)
        #expect(!waiting.contains { if case .createReplicaSet = $0 { true } else { false } })
        let free = reconcile(deployment, [gone], oldPodsRunning: false)
        #expect(
            free.contains {
                if case .createReplicaSet(let set) = $0 { set.spec.replicas == 3 } else { false }
            })
    }

    @Test("Status and conditions of a finished rollout, as kubectl rollout status reads them")
    func completes() throws {
        let deployment = Make.deployment(replicas: 3)
        let set = Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 3)
        let status = try #require(writtenStatus(reconcile(deployment, [set])))
        #expect(status.replicas == 3)
        #expect(status.updatedReplicas == 3)
        #expect(status.availableReplicas == 3)
        #expect(status.unavailableReplicas == 0)
        #expect(status.observedGeneration == 1)
        #expect(status.conditions.map(\.type) == ["Available", "Progressing"])
        #expect(status.conditions.map(\.reason) == ["MinimumReplicasAvailable", "NewReplicaSetAvailable"])
        #expect(
            status.conditions.last?.message
                == "ReplicaSet \"\(set.metadata.name)\" has successfully progressed.")
        // Once written, there is nothing more to say.
        var settled = deployment
        settled.status = status
        settled.metadata.annotations["deployment.kubernetes.io/revision"] = "1"
        #expect(reconcile(settled, [set]).isEmpty)
    }

    @Test("A rollout that does not move runs into its deadline")
    func deadline() throws {
        var deployment = Make.deployment(replicas: 3, image: "web:2.0")
        deployment.spec.progressDeadlineSeconds = 60
        let set = Make.replicaSet(of: deployment, image: "web:2.0", revision: 1, size: 3, available: 0)
        var started = try #require(writtenStatus(reconcile(deployment, [set])))
        for index in started.conditions.indices where started.conditions[index].type == "Progressing" {
            started.conditions[index].lastUpdateTime = Time(seconds: Make.now.seconds - 20)
        }
        deployment.status = started
        let early = reconcile(deployment, [set])
        #expect(early.contains(.wake(afterSeconds: 41)))
        for index in started.conditions.indices where started.conditions[index].type == "Progressing" {
            started.conditions[index].lastUpdateTime = Time(seconds: Make.now.seconds - 61)
        }
        deployment.status = started
        let late = writtenStatus(reconcile(deployment, [set]))?.conditions.first { $0.type == "Progressing" }
        #expect(late?.status == "False")
        #expect(late?.reason == "ProgressDeadlineExceeded")
    }

    @Test("Only revisions beyond the limit are forgotten, oldest first, and only empty ones")
    func history() {
        var deployment = Make.deployment(replicas: 1, image: "web:4")
        deployment.spec.revisionHistoryLimit = 1
        let sets = (1...4).map {
            Make.replicaSet(
                of: deployment, image: "web:\($0)", revision: $0, size: $0 == 4 ? 1 : 0, age: 100 - $0)
        }
        let deleted = reconcile(deployment, sets).compactMap { action -> String? in
            if case .deleteReplicaSet(let set) = action { set.metadata.uid } else { nil }
        }
        #expect(deleted == ["set-web:1", "set-web:2"])
    }

    @Test(
        "Bounds: a surge rounds up, unavailability down, and both are never zero",
        arguments: [
            ("25%", "25%", 3, 1, 0), ("25%", "25%", 4, 1, 1), ("0%", "0%", 5, 0, 1), ("50%", "0", 5, 3, 0),
            ("1", "3", 2, 1, 2),
        ] as [(String, String, Int, Int, Int)])
    func bounds(
        surge: String, unavailable: String, replicas: Int, expectedSurge: Int, expectedUnavailable: Int
    ) {
        func value(_ text: String) -> IntOrString { Int(text).map(IntOrString.int) ?? .string(text) }
        let bounds = RolloutBounds(
            of: Make.deployment(replicas: replicas, surge: value(surge), unavailable: value(unavailable)))
        #expect(bounds.maxSurge == expectedSurge)
        #expect(bounds.maxUnavailable == expectedUnavailable)
    }

    @Test("The hash names a template, not its label, and moves with collisions")
    func templateHash() {
        let template = Make.template(image: "web:1.0")
        var labelled = template
        labelled.metadata.labels["pod-template-hash"] = "x"
        #expect(template.makesSamePod(as: labelled))
        #expect(template.hash(collisions: nil) == Make.template(image: "web:1.0").hash(collisions: nil))
        #expect(template.hash(collisions: nil) != Make.template(image: "web:2.0").hash(collisions: nil))
        #expect(template.hash(collisions: nil) != template.hash(collisions: 1))
    }
}
