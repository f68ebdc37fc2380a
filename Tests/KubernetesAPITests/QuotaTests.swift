import KubernetesAPI
import Testing

@Suite struct QuotaTests {
    private static let now = Time(seconds: 1_800_000_000)

    private func container(
        _ name: String, cpu: Quantity, limit: Quantity? = nil, restarts: String? = nil
    ) -> Container {
        Container(
            name: name,
            resources: ResourceRequirements(
                limits: limit.map { ["cpu": $0] } ?? [:], requests: ["cpu": cpu]),
            restartPolicy: restarts)
    }

    // MARK: Pods as a whole

    @Test func initContainersRunBeforeAndSidecarsBeside() {
        let spec = PodSpec(
            initContainers: [
                container("first", cpu: "3"), container("sidecar", cpu: "1", restarts: "Always"),
                container("last", cpu: "2"),
            ],
            containers: [container("a", cpu: "500m"), container("b", cpu: "500m")])
        // While the last init container starts, the sidecar runs: 3. Afterwards sidecar and containers: 2.
        #expect(spec.total(\.requests) == ["cpu": "3"])
    }

    @Test func overheadRaisesLimitsThatThereAre() {
        var spec = PodSpec(containers: [container("a", cpu: "1", limit: "2")])
        spec.overhead = ["cpu": "250m", "memory": "10Mi"]
        #expect(spec.totalWithOverhead(\.requests) == ["cpu": "1250m", "memory": "10Mi"])
        #expect(spec.totalWithOverhead(\.limits) == ["cpu": "2250m"])
    }

    // MARK: Usage

    @Test func aPodThatHasEndedIsOnlyThere() {
        var pod = Pod(spec: PodSpec(containers: [container("a", cpu: "1")]))
        #expect(
            QuotaUsage.usage(of: pod, now: Self.now) == [
                "count/pods": 1, "pods": 1, "cpu": "1", "requests.cpu": "1",
            ])
        pod.status.phase = "Succeeded"
        #expect(QuotaUsage.usage(of: pod, now: Self.now) == ["count/pods": 1])
        pod.status.phase = "Running"
        pod.metadata.deletionTimestamp = Time(seconds: Self.now.seconds - 40)
        pod.metadata.deletionGracePeriodSeconds = 30
        #expect(QuotaUsage.usage(of: pod, now: Self.now) == ["count/pods": 1])
    }

    @Test func claimsCountForTheirClassToo() {
        let claim = PersistentVolumeClaim(
            spec: PersistentVolumeClaimSpec(
                resources: VolumeResourceRequirements(requests: ["storage": "1Gi"]), storageClassName: "gold")
        )
        #expect(
            QuotaUsage.usage(of: claim, now: Self.now) == [
                "count/persistentvolumeclaims": 1, "persistentvolumeclaims": 1, "requests.storage": "1Gi",
                "gold.storageclass.storage.k8s.io/persistentvolumeclaims": 1,
                "gold.storageclass.storage.k8s.io/requests.storage": "1Gi",
            ])
    }

    @Test func servicesCountTheirPorts() {
        let ports = [ServicePort(port: 80), ServicePort(port: 81, nodePort: 30_081)]
        var service = Service(spec: ServiceSpec(ports: ports, type: "NodePort"))
        #expect(QuotaUsage.usage(of: service, now: Self.now)["services.nodeports"] == 2)
        service.spec.type = "LoadBalancer"
        service.spec.allocateLoadBalancerNodePorts = false
        #expect(QuotaUsage.usage(of: service, now: Self.now)["services.nodeports"] == 1)
        #expect(QuotaUsage.usage(of: service, now: Self.now)["services.loadbalancers"] == 1)
        #expect(
            QuotaUsage.usage(of: Deployment(), now: Self.now) == ["count/deployments.apps": 1])
    }

    // MARK: Booking

    private func quota(
        _ hard: [String: Quantity], used: [String: Quantity], scopes: [String] = []
    ) -> ResourceQuota {
        ResourceQuota(
            metadata: ObjectMeta(name: "q"), spec: ResourceQuotaSpec(hard: hard, scopes: scopes),
            status: ResourceQuotaStatus(hard: hard, used: used))
    }

    @Test func whatIsTooMuchIsRefused() {
        let ledger = QuotaLedger(
            [quota(["requests.cpu": "1", "pods": 5], used: ["requests.cpu": "500m", "pods": 1])],
            now: Self.now)
        let pod = Pod(spec: PodSpec(containers: [container("a", cpu: "600m")]))
        #expect(
            throws: QuotaLedger.Refusal(
                message:
                    "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=500m, limited: requests.cpu=1"
            )
        ) { try ledger.booking(new: pod, old: nil, enforces: true) }
        let silent = Pod(spec: PodSpec(containers: [Container(name: "x")]))
        #expect(
            throws: QuotaLedger.Refusal(
                message: "failed quota: q: must specify requests.cpu for: x")
        ) { try ledger.booking(new: silent, old: nil, enforces: true) }
    }

    @Test func whatGoesGivesBack() throws {
        let ledger = QuotaLedger([quota(["pods": 1], used: ["pods": 1])], now: Self.now)
        let pod = Pod(spec: PodSpec(containers: [Container(name: "x")]))
        let booked = try ledger.booking(new: nil, old: pod, enforces: false)
        #expect(booked.map(\.status.used) == [["pods": 0]])
        // Nothing that is counted changes: nothing to write.
        #expect(try ledger.booking(new: pod, old: pod, enforces: false) == [])
        #expect(try ledger.booking(new: ConfigMap(), old: nil, enforces: true) == [])
    }

    @Test func overuseThatIsThereDoesNotForbidOtherThings() throws {
        let ledger = QuotaLedger(
            [
                quota(
                    ["services": 1, "services.nodeports": 0], used: ["services": 3, "services.nodeports": 0])
            ],
            now: Self.now)
        let old = Service(spec: ServiceSpec(type: "ClusterIP"))
        var new = old
        new.metadata.labels = ["a": "b"]
        #expect(try ledger.booking(new: new, old: old, enforces: true) == [])
    }

    @Test func countingStartsAnew() {
        var counted = quota(
            ["pods": 3, "count/deployments.apps": 2, "secrets": 5, "requests.cpu": "4"], used: ["pods": 9])
        let pod = Pod(spec: PodSpec(containers: [container("a", cpu: "600m")]))
        #expect(!counted.isCounted)
        #expect(counted.countedResources == ["deployments.apps", "secrets"])
        counted.recount(
            QuotaContents(pods: [pod, pod]), count: { $0 == "secrets" ? 4 : 1 }, now: Self.now)
        #expect(
            counted.status.used == [
                "pods": 2, "count/deployments.apps": 1, "secrets": 4, "requests.cpu": "1200m",
            ])
        #expect(counted.isCounted)
    }

    @Test func scopesSelectPods() {
        func counts(_ scope: String, _ change: (inout Pod) -> Void) -> Bool {
            var pod = Pod(spec: PodSpec(containers: [Container(name: "x")]))
            change(&pod)
            return quota(["pods": 1], used: [:], scopes: [scope]).counts(pod)
        }
        #expect(counts("BestEffort") { _ in })
        #expect(!counts("NotBestEffort") { _ in })
        #expect(counts("NotTerminating") { _ in })
        #expect(counts("Terminating") { $0.spec.activeDeadlineSeconds = 0 })
        #expect(!counts("PriorityClass") { _ in })
        #expect(counts("PriorityClass") { $0.spec.priorityClassName = "high" })
        #expect(!quota(["configmaps": 1], used: [:], scopes: ["BestEffort"]).counts(ConfigMap()))
    }
}
