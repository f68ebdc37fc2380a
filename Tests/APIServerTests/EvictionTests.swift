import APIServer
import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct EvictionTests {
    private static let now = Time(seconds: 1_800_000_000)

    private func pod(phase: String = "Running", ready: Bool = true) -> Pod {
        var pod = Pod(metadata: ObjectMeta(name: "web-0", namespace: "default", labels: ["app": "web"]))
        pod.status.phase = phase
        pod.status.conditions = [PodCondition(type: "Ready", status: ready ? "True" : "False")]
        return pod
    }

    private func budget(
        allowed: Int = 1, healthy: Int = 2, desired: Int = 1, policy: String? = nil, generation: Int = 1
    ) -> PodDisruptionBudget {
        var budget = PodDisruptionBudget(
            metadata: ObjectMeta(name: "web", namespace: "default", generation: generation))
        budget.spec.selector = LabelSelector(matchLabels: ["app": "web"])
        budget.spec.unhealthyPodEvictionPolicy = policy
        budget.status.observedGeneration = 1
        budget.status.disruptionsAllowed = allowed
        budget.status.currentHealthy = healthy
        budget.status.desiredHealthy = desired
        return budget
    }

    private func judge(_ pod: Pod, _ budgets: PodDisruptionBudget...) -> EvictionJudgement {
        EvictionJudgement.judge(pod, budgets, now: Self.now)
    }

    @Test func whoNobodyGuardsMayGo() {
        var other = budget(allowed: 0)
        other.spec.selector = LabelSelector(matchLabels: ["app": "other"])
        #expect(judge(pod(), other) == .allowed(onlyAsSeen: false))
        #expect(judge(pod(phase: "Succeeded"), budget(allowed: 0)) == .allowed(onlyAsSeen: false))
        #expect(judge(pod(phase: "Pending"), budget(allowed: 0)) == .allowed(onlyAsSeen: true))
    }

    @Test func budgetsAreCharged() throws {
        guard case .charge(let charged) = judge(pod(), budget()) else {
            Issue.record("the budget allows one")
            return
        }
        #expect(charged.status.disruptionsAllowed == 0)
        #expect(charged.status.disruptedPods == ["web-0": Self.now])
        #expect(charged.status.conditions.first?.status == "False")
    }

    @Test func spentBudgetsRefuse() {
        guard case .refused(let status) = judge(pod(), budget(allowed: 0, healthy: 1, desired: 1)) else {
            Issue.record("the budget allows none")
            return
        }
        #expect(status.code == 429 && status.reason == "TooManyRequests")
        #expect(status.message == "Cannot evict pod as it would violate the pod's disruption budget.")
        #expect(
            status.details?.causes == [
                StatusCause(
                    reason: "DisruptionBudget",
                    message: "The disruption budget web needs 1 healthy pods and has 1 currently")
            ])
        guard case .refused(let pending) = judge(pod(), budget(generation: 2)) else {
            Issue.record("the budget has yet to be looked at")
            return
        }
        #expect(pending.details?.retryAfterSeconds == 10)
        #expect(
            pending.details?.causes.first?.message
                == "The disruption budget web is still being processed by the server.")
    }

    @Test func unhealthyPodsMayGoWhenTheBudgetIsHealthyOrDoesNotCare() {
        let sick = pod(ready: false)
        #expect(judge(sick, budget(allowed: 0, healthy: 2, desired: 2)) == .allowed(onlyAsSeen: true))
        #expect(
            judge(sick, budget(allowed: 0, healthy: 0, desired: 2, policy: "AlwaysAllow"))
                == .allowed(onlyAsSeen: true))
        guard case .refused = judge(sick, budget(allowed: 0, healthy: 0, desired: 2)) else {
            Issue.record("the budget is broken already")
            return
        }
    }

    @Test func evictionOverTheAPI() async throws {
        let api = try await Harness()
        for name in ["a", "b"] {
            _ = try await api.post(Harness.pods, Harness.pod(name, labels: #"{"app":"web"}"#, node: "n"))
            let reply = try await api.patch(
                "\(Harness.pods)/\(name)/status",
                #"{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}"#)
            #expect(reply.status == 200)
        }
        let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
        let made = try await api.post(
            budgets,
            #"{"metadata":{"name":"web"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"app":"web"}}}}"#
        )
        #expect(made.status == 201)
        func evict(_ name: String, _ query: String = "", _ options: String = "{}") async throws
            -> Harness.Reply
        {
            try await api.post(
                "\(Harness.pods)/\(name)/eviction\(query)",
                #"{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"\#(name)"},"deleteOptions":\#(options)}"#
            )
        }
        let early = try await evict("a")
        #expect(early.status == 429)
        #expect(early.headers["retry-after"] == ["10"])
        let status = try await api.patch(
            "\(budgets)/web/status",
            #"{"status":{"observedGeneration":1,"disruptionsAllowed":1,"currentHealthy":2,"desiredHealthy":1,"expectedPods":2}}"#
        )
        #expect(status.status == 200)
        let dry = try await evict("a", "?dryRun=All")
        #expect(dry.status == 201)
        let old = try await api.post(
            "\(Harness.pods)/a/eviction?dryRun=All",
            #"{"apiVersion":"policy/v1beta1","kind":"Eviction","metadata":{"name":"a"}}"#)
        #expect(old.status == 201, "\(old.text)")
        #expect(try await api.get("\(budgets)/web").json["status"]?["disruptionsAllowed"] == 1)
        let wrong = try await evict("a", "", #"{"preconditions":{"uid":"other"}}"#)
        #expect(wrong.status == 409)
        let done = try await evict("a")
        #expect(done.status == 201)
        #expect(done.json["status"] == "Success")
        let pod = try await api.get("\(Harness.pods)/a").json
        #expect(pod["metadata"]?["deletionTimestamp"] != nil)
        let target = pod["status"]?["conditions"]?.arrayValue?.first { $0["type"] == "DisruptionTarget" }
        #expect(target?["reason"] == "EvictionByEvictionAPI")
        let charged = try await api.get("\(budgets)/web").json["status"]
        #expect(charged?["disruptionsAllowed"] == 0)
        #expect(charged?["disruptedPods"]?["a"] != nil)
        #expect(try await evict("b").status == 429)
        #expect(try await evict("c").status == 404)
        let second = try await api.post(
            budgets, #"{"metadata":{"name":"more"},"spec":{"maxUnavailable":1,"selector":{}}}"#)
        #expect(second.status == 201)
        let several = try await evict("b")
        #expect(several.status == 500)
        #expect(
            several.message
                == "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    }
}
