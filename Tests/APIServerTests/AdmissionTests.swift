import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

/// What stands between a request that is allowed and its being carried out.
@Suite struct AdmissionTests {
    private static let namespace = "/api/v1/namespaces/default"

    private func pod(_ name: String, _ container: String = "", spec: String = "") -> String {
        let container = container.isEmpty ? "" : ",\(container)"
        return
            #"{"metadata":{"name":"\#(name)"},"spec":{"containers":[{"name":"c","image":"i"\#(container)}]"#
            + (spec.isEmpty ? "" : ",\(spec)") + "}}"
    }

    // MARK: Priority

    @Test func prioritiesComeFromClasses() async throws {
        let api = try await Harness()
        let classes = try await api.get("/apis/scheduling.k8s.io/v1/priorityclasses")
        #expect(
            classes.json["items"]?.arrayValue?.map { $0["value"] } == [2_000_000_000, 2_000_001_000])
        #expect(classes.json["items"]?[0]?["metadata"]?["generation"] == 1)

        let missing = try await api.post(Harness.pods, pod("a", spec: #""priorityClassName":"high""#))
        #expect(missing.status == 403)
        #expect(missing.message == #"pods "a" is forbidden: no PriorityClass with name high was found"#)

        let made = try await api.post(
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            #"{"metadata":{"name":"high"},"value":1000,"globalDefault":true,"preemptionPolicy":"Never"}"#)
        #expect(made.status == 201)
        let second = try await api.post(
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            #"{"metadata":{"name":"higher"},"value":2000,"globalDefault":true}"#)
        #expect(second.status == 403)
        #expect(
            second.message
                == #"priorityclasses.scheduling.k8s.io "higher" is forbidden: PriorityClass high is already "#
                + "marked as default. Only one default can exist")

        let given = try await api.post(Harness.pods, pod("b"))
        #expect(given.json["spec"]?["priorityClassName"] == "high")
        #expect(given.json["spec"]?["priority"] == 1000)
        #expect(given.json["spec"]?["preemptionPolicy"] == "Never")
        let wrong = try await api.post(Harness.pods, pod("c", spec: #""priority":7"#))
        #expect(
            wrong.message
                == #"pods "c" is forbidden: the integer value of priority (7) must not be provided in pod spec; "#
                + "priority admission controller computed 1000 from the given PriorityClass name")

        let kept = try await api.send(
            .DELETE, "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical")
        #expect(kept.status == 403)
        #expect(kept.message.hasSuffix("this is a system priority class and cannot be deleted"))
    }

    // MARK: Limit ranges

    @Test func limitRangesFillInAndBound() async throws {
        let api = try await Harness()
        let range = try await api.post(
            "\(Self.namespace)/limitranges",
            #"{"metadata":{"name":"bounds"},"spec":{"limits":[{"type":"Container","max":{"cpu":"1"},"#
                + #""min":{"cpu":"100m"},"default":{"cpu":"500m"},"defaultRequest":{"cpu":"200m"}}]}}"#)
        #expect(range.status == 201)
        let filled = try await api.post(Harness.pods, pod("a"))
        #expect(filled.json["spec"]?["containers"]?[0]?["resources"]?["limits"]?["cpu"] == "500m")
        #expect(filled.json["spec"]?["containers"]?[0]?["resources"]?["requests"]?["cpu"] == "200m")
        #expect(
            filled.json["metadata"]?["annotations"]?["kubernetes.io/limit-ranger"]
                == "LimitRanger plugin set: cpu request for container c; cpu limit for container c")
        #expect(filled.json["status"]?["qosClass"] == "Burstable")
        let large = try await api.post(
            Harness.pods, pod("b", #""resources":{"limits":{"cpu":"2"},"requests":{"cpu":"50m"}}"#))
        #expect(large.status == 403)
        #expect(
            large.message
                == #"pods "b" is forbidden: [minimum cpu usage per Container is 100m, but request is 50m, "#
                + "maximum cpu usage per Container is 1, but limit is 2]")
    }

    // MARK: Quotas

    private func quota(_ api: Harness, _ hard: String, _ more: String = "") async throws {
        let reply = try await api.post(
            "\(Self.namespace)/resourcequotas",
            #"{"metadata":{"name":"quota"},"spec":{"hard":{\#(hard)}\#(more)}}"#)
        #expect(reply.status == 201)
    }

    private func used(_ api: Harness) async throws -> JSONValue? {
        try await api.get("\(Self.namespace)/resourcequotas/quota").json["status"]?["used"]
    }

    @Test func quotasAreEnforcedAndKept() async throws {
        let api = try await Harness()
        try await quota(api, #""pods":"2","requests.cpu":"1","count/configmaps":"1""#)
        let unnamed = try await api.post(Harness.pods, pod("a"))
        #expect(unnamed.status == 403)
        #expect(
            unnamed.message
                == #"pods "a" is forbidden: failed quota: quota: must specify requests.cpu for: c"#)
        let resources = #""resources":{"requests":{"cpu":"600m"}}"#
        #expect(try await api.post(Harness.pods, pod("a", resources)).status == 201)
        #expect(
            try await used(api) == ["count/configmaps": "0", "pods": "1", "requests.cpu": "600m"])
        let over = try await api.post(Harness.pods, pod("b", resources))
        #expect(over.status == 403)
        #expect(over.reason == "Forbidden")
        #expect(
            over.message
                == #"pods "b" is forbidden: exceeded quota: quota, requested: requests.cpu=600m, "#
                + "used: requests.cpu=600m, limited: requests.cpu=1")
        let dry = try await api.post(Harness.pods + "?dryRun=All", pod("b", resources))
        #expect(dry.status == 403)

        #expect(
            try await api.post("\(Self.namespace)/configmaps", #"{"metadata":{"name":"m"}}"#).status == 201)
        let second = try await api.post("\(Self.namespace)/configmaps", #"{"metadata":{"name":"n"}}"#)
        #expect(
            second.message
                == #"configmaps "n" is forbidden: exceeded quota: quota, requested: count/configmaps=1, "#
                + "used: count/configmaps=1, limited: count/configmaps=1")
        // What ends or goes gives back what it had, at once.
        _ = try await api.send(.DELETE, "\(Self.namespace)/configmaps/m")
        _ = try await api.patch("\(Harness.pods)/a/status", #"{"status":{"phase":"Succeeded"}}"#)
        #expect(try await used(api) == ["count/configmaps": "0", "pods": "0", "requests.cpu": "0"])
        #expect(try await api.post(Harness.pods, pod("b", resources)).status == 201)
    }

    @Test func concurrentCreatesStayWithinAQuota() async throws {
        let api = try await Harness()
        try await quota(api, #""configmaps":"5""#)
        let created = try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<20 {
                group.addTask {
                    try await api.post(
                        "\(Self.namespace)/configmaps", #"{"metadata":{"name":"m\#(index)"}}"#
                    ).status
                }
            }
            return try await group.reduce(into: [:]) { counts, status in counts[status, default: 0] += 1 }
        }
        #expect(created == [201: 5, 403: 15])
        #expect(try await used(api) == ["configmaps": "5"])
    }

    @Test func scopesLimitWhatCounts() async throws {
        let api = try await Harness()
        try await quota(api, #""pods":"1""#, #","scopes":["BestEffort"]"#)
        let resources = #""resources":{"requests":{"cpu":"1"}}"#
        #expect(try await api.post(Harness.pods, pod("a", resources)).status == 201)
        #expect(try await api.post(Harness.pods, pod("b", resources)).status == 201)
        #expect(try await api.post(Harness.pods, pod("c")).status == 201)
        #expect(try await api.post(Harness.pods, pod("d")).status == 403)
        #expect(try await used(api) == ["pods": "1"])
    }

    @Test func servicesCountWhenTheyChange() async throws {
        let api = try await Harness()
        try await quota(api, #""services.nodeports":"1""#)
        let services = "\(Self.namespace)/services"
        let body =
            #"{"metadata":{"name":"s"},"spec":{"ports":[{"name":"a","port":80},{"name":"b","port":81}]}}"#
        #expect(try await api.post(services, body).status == 201)
        let over = try await api.patch("\(services)/s", #"{"spec":{"type":"NodePort"}}"#)
        #expect(over.status == 403)
        #expect(
            over.message
                == #"services "s" is forbidden: exceeded quota: quota, requested: services.nodeports=2, "#
                + "used: services.nodeports=0, limited: services.nodeports=1")
    }

    // MARK: Pod security

    private func label(_ api: Harness, _ labels: String) async throws -> Harness.Reply {
        try await api.patch(Self.namespace, #"{"metadata":{"labels":{\#(labels)}}}"#)
    }

    @Test func podsKeepToTheLevelOfTheirNamespace() async throws {
        let api = try await Harness()
        let privileged = #""securityContext":{"privileged":true}"#
        #expect(try await api.post(Harness.pods, pod("old", privileged)).status == 201)
        let wrong = try await label(api, #""pod-security.kubernetes.io/enforce":"strict""#)
        #expect(wrong.status == 422)
        #expect(
            wrong.message
                == #"Namespace "default" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: "#
                + #"Invalid value: "strict": must be one of privileged, baseline, restricted"#)
        let reply = try await label(api, #""pod-security.kubernetes.io/enforce":"baseline""#)
        #expect(reply.status == 200)
        #expect(
            reply.warnings == [
                #"299 - "existing pods in namespace \"default\" violate the new PodSecurity enforce level \"baseline:latest\"""#,
                #"299 - "old: privileged""#,
            ])
        let refused = try await api.post(Harness.pods, pod("new", privileged))
        #expect(refused.status == 403)
        #expect(
            refused.message
                == #"pods "new" is forbidden: violates PodSecurity "baseline:latest": privileged "#
                + #"(container "c" must not set securityContext.privileged=true)"#)
        #expect(try await api.post(Harness.pods, pod("plain")).status == 201)
    }

    @Test func templatesAreWarnedOf() async throws {
        let api = try await Harness()
        _ = try await label(api, #""pod-security.kubernetes.io/warn":"restricted""#)
        let reply = try await api.post(
            "/apis/apps/v1/namespaces/default/deployments",
            #"{"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":"#
                + #"{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}"#)
        #expect(reply.status == 201)
        #expect(
            reply.warnings == [
                #"299 - "would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false "#
                    + #"(container \"c\" must set securityContext.allowPrivilegeEscalation=false), "#
                    + #"unrestricted capabilities (container \"c\" must set "#
                    + #"securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container "#
                    + #"\"c\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "#
                    + #"\"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")""#
            ])
    }

    // MARK: Storage and runtime classes

    @Test func claimsGetTheDefaultClass() async throws {
        let api = try await Harness()
        let classes = "/apis/storage.k8s.io/v1/storageclasses"
        _ = try await api.post(
            classes,
            #"{"metadata":{"name":"slow","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"#
                + #""provisioner":"example.com/disc"}"#)
        let claims = "\(Self.namespace)/persistentvolumeclaims"
        let body =
            #"{"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],"#
            + #""resources":{"requests":{"storage":"1Gi"}}}}"#
        let claim = try await api.post(claims, body)
        #expect(claim.status == 201)
        #expect(claim.json["spec"]?["storageClassName"] == "slow")
        #expect(claim.json["spec"]?["volumeMode"] == "Filesystem")
        #expect(claim.json["status"]?["phase"] == "Pending")
        let grow = #"{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}"#
        let early = try await api.patch("\(claims)/c", grow)
        #expect(early.status == 422)
        _ = try await api.patch(
            "\(claims)/c/status", #"{"status":{"phase":"Bound","capacity":{"storage":"1Gi"}}}"#)
        let stiff = try await api.patch("\(claims)/c", grow)
        #expect(stiff.status == 403)
        #expect(
            stiff.message
                == #"persistentvolumeclaims "c" is forbidden: only dynamically provisioned pvc can be resized "#
                + "and the storageclass that provisions the pvc must support resize")
        _ = try await api.patch("\(classes)/slow", #"{"allowVolumeExpansion":true}"#)
        #expect(try await api.patch("\(claims)/c", grow).status == 200)
    }

    @Test func runtimeClassesAddTheirCost() async throws {
        let api = try await Harness()
        let spec = #""runtimeClassName":"sandboxed""#
        let missing = try await api.post(Harness.pods, pod("a", spec: spec))
        #expect(
            missing.message == #"pods "a" is forbidden: pod rejected: RuntimeClass "sandboxed" not found"#)
        _ = try await api.post(
            "/apis/node.k8s.io/v1/runtimeclasses",
            #"{"metadata":{"name":"sandboxed"},"handler":"gvisor","overhead":{"podFixed":{"cpu":"250m"}},"#
                + #""scheduling":{"nodeSelector":{"sandbox":"yes"}}}"#)
        let made = try await api.post(Harness.pods, pod("a", spec: spec))
        #expect(made.json["spec"]?["overhead"]?["cpu"] == "250m")
        #expect(made.json["spec"]?["nodeSelector"]?["sandbox"] == "yes")
        let wrong = try await api.post(Harness.pods, pod("b", spec: #""overhead":{"cpu":"1"}"#))
        #expect(
            wrong.message
                == #"pods "b" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass "#
                + "defined Overhead")
    }

    @Test func volumesAreShownAndWarnedOf() async throws {
        let api = try await Harness()
        let volumes = "/api/v1/persistentvolumes"
        let made = try await api.post(
            volumes,
            #"{"metadata":{"name":"disc"},"spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce","#
                + #""ReadOnlyMany"],"hostPath":{"path":"/data"},"persistentVolumeReclaimPolicy":"Recycle","#
                + #""claimRef":{"namespace":"shop","name":"c"},"storageClassName":"slow"}}"#)
        #expect(made.status == 201)
        #expect(made.json["status"]?["lastPhaseTransitionTime"] == "2027-01-15T08:00:00Z")
        #expect(
            made.warnings == [
                #"299 - "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, "#
                    + #"the recommended approach is to use dynamic provisioning.""#
            ])
        let table = try await api.get(volumes, accept: TableTests.table)
        #expect(
            table.json["rows"]?[0]?["cells"]?.arrayValue?.compactMap(\.stringValue) == [
                "disc", "1Gi", "RWO,ROX", "Recycle", "Pending", "shop/c", "slow", "<unset>", "", "0s",
                "Filesystem",
            ])
    }
}
