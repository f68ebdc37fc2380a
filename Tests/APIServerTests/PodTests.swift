import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct PodTests {
    @Test func admissionFillsIn() async throws {
        let api = try await Harness()
        let reply = try await api.post(Harness.pods, Harness.pod("p"))
        #expect(reply.status == 201)
        let spec = try #require(reply.json["spec"])
        #expect(spec["serviceAccountName"] == "default")
        #expect(spec["serviceAccount"] == "default")
        #expect(spec["priority"] == 0)
        #expect(spec["preemptionPolicy"] == "PreemptLowerPriority")
        #expect(
            spec["tolerations"]?.arrayValue?.map { $0["key"] } == [
                "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable",
            ])
        let volume = try #require(spec["volumes"]?[0])
        let name = try #require(volume["name"]?.stringValue)
        #expect(name.hasPrefix("kube-api-access-"))
        let sources = try #require(volume["projected"]?["sources"]?.arrayValue)
        #expect(sources.count == 3)
        #expect(sources[0]["serviceAccountToken"]?["expirationSeconds"] == 3607)
        #expect(sources[1]["configMap"]?["name"] == "kube-root-ca.crt")
        let mount = try #require(spec["containers"]?[0]?["volumeMounts"]?[0])
        #expect(mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount")
        #expect(mount["readOnly"] == true)
        #expect(reply.json["status"]?["phase"] == "Pending")
        #expect(reply.json["status"]?["qosClass"] == "BestEffort")
        #expect(reply.json["metadata"]?["generation"] == 1)
    }

    @Test func ephemeralContainersComeAndStay() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.pods, Harness.pod("p"))
        let path = Harness.pods + "/p/ephemeralcontainers"
        let added = #"{"spec":{"ephemeralContainers":[{"name":"d","image":"busybox"}]}}"#
        let reply = try await api.patch(path, added, type: "strategic")
        #expect(reply.status == 200, "\(reply.text)")
        #expect(reply.json["spec"]?["ephemeralContainers"]?[0]?["terminationMessagePolicy"] == "File")
        #expect(reply.json["metadata"]?["generation"] == 2)
        let other = try await api.patch(
            path, #"{"spec":{"ephemeralContainers":[{"name":"d","image":"other"}]}}"#, type: "strategic")
        #expect(other.status == 422)
        #expect(other.message.contains(#"existing ephemeral containers "d" may not be changed"#))
        let none = try await api.patch(path, #"{"spec":{"ephemeralContainers":null}}"#)
        #expect(none.message.contains(#"existing ephemeral containers "d" may not be removed"#))
        let outside = try await api.patch(
            Harness.pods + "/p", #"{"spec":{"ephemeralContainers":[{"name":"e","image":"i"}]}}"#)
        #expect(outside.status == 422)
    }

    @Test func whatIsQuestionableIsToldAtCreation() async throws {
        let api = try await Harness()
        let containers = #""containers":[{"name":"c","image":"i","env":[{"name":"A"},{"name":"A"}]}]"#
        func hidden(_ path: String) -> [String] {
            [
                #"299 - "\#(path).containers[0].env[1]: hides previous definition of \"A\", which may be "#
                    + #"dropped when using apply""#
            ]
        }
        let pod = try await api.post(Harness.pods, "{\"metadata\":{\"name\":\"p\"},\"spec\":{\(containers)}}")
        #expect(pod.status == 201)
        #expect(pod.warnings == hidden("spec"))
        let deployments = "/apis/apps/v1/namespaces/default/deployments"
        let deployment = try await api.post(
            deployments,
            #"{"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":"#
                + #"{"labels":{"a":"b"}},"spec":{"# + containers + "}}}}")
        #expect(deployment.warnings == hidden("spec.template.spec"))
        // And when what is wanted changes, but not with every touch.
        let scaled = try await api.patch("\(deployments)/d", #"{"spec":{"replicas":2}}"#)
        #expect(scaled.warnings == hidden("spec.template.spec"))
        let labelled = try await api.patch("\(deployments)/d", #"{"metadata":{"labels":{"x":"y"}}}"#)
        #expect(labelled.status == 200 && labelled.warnings.isEmpty)
        let service = try await api.post(
            "/api/v1/namespaces/default/services",
            #"{"metadata":{"name":"s"},"spec":{"clusterIP":"None","sessionAffinity":"ClientIP"}}"#)
        #expect(
            service.warnings == [#"299 - "spec.SessionAffinity is ignored for headless services""#])
    }

    @Test func logOptionsHaveRules() async throws {
        let api = try await Harness()
        func refusal(_ query: String) async throws -> (Int, String) {
            let reply = try await api.get("\(Harness.pods)/a/log?\(query)")
            return (reply.status, reply.message)
        }
        let both = try await refusal("sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z")
        #expect(both.0 == 422)
        #expect(
            both.1
                == #"PodLogOptions "a" is invalid: : Forbidden: at most one of `sinceTime` or `sinceSeconds` may "#
                + "be specified")
        #expect(
            try await refusal("sinceSeconds=0").1
                == #"PodLogOptions "a" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0"#)
        #expect(
            try await refusal("limitBytes=0").1.hasSuffix(
                "limitBytes: Invalid value: 0: must be greater than 0"))
        let time = try await refusal("sinceTime=yesterday")
        #expect(time.0 == 400)
        #expect(
            time.1
                == #"parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006""#
        )
        #expect(
            try await refusal("sinceTime=2026-01-02%2003:04:05Z").1.hasSuffix(
                #"cannot parse " 03:04:05Z" as "T""#))
        #expect(try await refusal("tailLines=1").0 == 404)
    }

    @Test func unknownServiceAccount() async throws {
        let api = try await Harness()
        let reply = try await api.post(
            Harness.pods,
            #"{"metadata":{"name":"p"},"spec":{"serviceAccountName":"bot","#
                + #""containers":[{"name":"c","image":"i"}]}}"#)
        #expect(reply.status == 403)
        #expect(
            reply.message
                == #"pods "p" is forbidden: error looking up service account default/bot: "#
                + #"serviceaccount "bot" not found"#)
    }

    @Test func podsWaitForTheDefaultServiceAccount() async throws {
        let api = try await Harness()
        _ = try await api.post("/api/v1/namespaces", #"{"metadata":{"name":"fresh"}}"#)
        async let reply = api.post("/api/v1/namespaces/fresh/pods", Harness.pod("p"))
        while api.store.idleWatchers == 0 { await Task.yield() }
        _ = try await api.post(
            "/api/v1/namespaces/fresh/serviceaccounts", #"{"metadata":{"name":"default"}}"#)
        #expect(try await reply.status == 201)
    }

    @Test func gracefulDeletion() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.pods, Harness.pod("p", node: "node1"))
        let path = Harness.pods + "/p"
        let marked = try await api.delete(path)
        #expect(marked.json["metadata"]?["deletionGracePeriodSeconds"] == 30)
        #expect(marked.json["metadata"]?["deletionTimestamp"] == "2027-01-15T08:00:30Z")
        #expect(marked.json["metadata"]?["generation"] == 2)
        let again = try await api.delete(path)
        #expect(again.bytes == marked.bytes)
        let shorter = try await api.delete(path, #"{"gracePeriodSeconds":5}"#)
        #expect(shorter.json["metadata"]?["deletionGracePeriodSeconds"] == 5)
        #expect(shorter.json["metadata"]?["deletionTimestamp"] == "2027-01-15T08:00:05Z")
        let gone = try await api.delete(path, #"{"gracePeriodSeconds":0}"#)
        #expect(gone.json["kind"] == "Pod")
        #expect(try await api.get(path).status == 404)
        // Without a node nobody has to be waited for.
        _ = try await api.post(Harness.pods, Harness.pod("q"))
        _ = try await api.delete(Harness.pods + "/q")
        #expect(try await api.get(Harness.pods + "/q").status == 404)
    }

    @Test func bindingAndStatus() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.pods, Harness.pod("p"))
        let body = #"{"metadata":{"name":"p"},"target":{"kind":"Node","name":"node1"}}"#
        let strange = try await api.post(
            Harness.pods + "/p/binding", #"{"metadata":{"name":"q"},"target":{"kind":"Node","name":"node1"}}"#
        )
        #expect(strange.status == 400)
        #expect(strange.message == "name in URL does not match name in Binding object")
        let bound = try await api.post(Harness.pods + "/p/binding", body)
        #expect(bound.status == 201)
        #expect(bound.json["status"] == "Success")
        let pod = try await api.get(Harness.pods + "/p")
        #expect(pod.json["spec"]?["nodeName"] == "node1")
        #expect(pod.json["status"]?["conditions"]?[0]?["type"] == "PodScheduled")
        let twice = try await api.post(Harness.pods + "/p/binding", body)
        #expect(twice.status == 409)
        #expect(twice.message.contains(#"pod p is already assigned to node "node1""#))
        let status = try await api.patch(
            Harness.pods + "/p/status",
            #"{"status":{"phase":"Running","podIP":"10.244.0.5","podIPs":[{"ip":"10.244.0.5"}]},"#
                + #""spec":{"nodeName":"other"}}"#, type: "strategic")
        #expect(status.status == 200)
        #expect(status.json["spec"]?["nodeName"] == "node1")
        #expect(status.json["status"]?["phase"] == "Running")
        let running = try await api.get(
            "/api/v1/pods?fieldSelector=status.phase%3DRunning,spec.nodeName%3Dnode1")
        #expect(running.json["items"]?.arrayValue?.count == 1)
        // The main resource leaves the status alone.
        let main = try await api.patch(Harness.pods + "/p", #"{"status":{"phase":"Failed"}}"#)
        #expect(main.json["status"]?["phase"] == "Running")
    }

    @Test func streamsGoToTheNode() async throws {
        let api = try await Harness()
        let path = Harness.pods + "/p"
        _ = try await api.post(Harness.pods, Harness.pod("p"))
        // Not on a node yet.
        #expect(try await api.get(path + "/log").text == "")
        let early = try await api.send(.POST, path + "/exec?command=ls&stdout=true")
        #expect(early.message == "pod p does not have a host assigned")
        _ = try await api.post(path + "/binding", #"{"metadata":{"name":"p"},"target":{"name":"node1"}}"#)
        #expect(try await api.get(path + "/log?tailLines=2&follow=true").text == "from the node")
        let wrong = try await api.get(path + "/log?container=nope")
        #expect(wrong.message == "container nope is not valid for pod p")
        _ = try await api.send(.POST, path + "/exec?command=sh&command=-c&stdin=true&stdout=true&tty=true")
        _ = try await api.send(.POST, path + "/portforward")
        let sent = await api.nodes.requests
        #expect(sent.map(\.node) == ["node1", "node1", "node1"])
        #expect(
            sent.map(\.request.path) == [
                "/containerLogs/default/p/main", "/exec/default/p/main", "/portForward/default/p",
            ])
        #expect(sent[0].request.query.description == "follow=true&tailLines=2")
        #expect(sent[1].request.query.description == "input=1&output=1&tty=1&command=sh&command=-c")
    }

    @Test func qualityOfService() {
        func spec(_ requests: [String: Quantity], _ limits: [String: Quantity]) -> PodSpec {
            PodSpec(containers: [
                Container(name: "c", resources: ResourceRequirements(limits: limits, requests: requests))
            ])
        }
        #expect(PodResources.qualityOfService(spec([:], [:])) == "BestEffort")
        #expect(PodResources.qualityOfService(spec(["cpu": "1"], [:])) == "Burstable")
        let both: [String: Quantity] = ["cpu": "1", "memory": "1Gi"]
        #expect(PodResources.qualityOfService(spec(both, both)) == "Guaranteed")
        #expect(PodResources.qualityOfService(spec([:], both)) == "Guaranteed")
        #expect(PodResources.qualityOfService(spec(["cpu": "500m"], both)) == "Burstable")
    }
}
