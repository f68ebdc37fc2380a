import APIServer
import KubernetesAPI
import KubernetesJSON
import Testing

/// What is particular about workloads, batch, networking and autoscaling.
@Suite struct KindTests {
    static let template =
        #""template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"c","image":"busybox"}]}}"#

    private func cells(_ api: Harness, _ path: String) async throws -> [JSONValue] {
        let reply = try await api.get(
            path, accept: "application/json;as=Table;g=meta.k8s.io;v=v1,application/json")
        return reply.json["rows"]?[0]?["cells"]?.arrayValue ?? []
    }

    @Test func jobsGetTheirSelector() async throws {
        let api = try await Harness()
        let jobs = "/apis/batch/v1/namespaces/default/jobs"
        let made = try await api.post(
            jobs,
            #"{"metadata":{"name":"pi"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"busybox"}]}}}}"#
        )
        #expect(made.status == 201, "\(made.message)")
        let uid = made.json["metadata"]?["uid"]
        #expect(made.json["spec"]?["selector"]?["matchLabels"]?["batch.kubernetes.io/controller-uid"] == uid)
        let labels = made.json["spec"]?["template"]?["metadata"]?["labels"]
        #expect(labels?["controller-uid"] == uid && labels?["job-name"] == "pi")
        #expect(made.json["metadata"]?["labels"] == labels)
        #expect(made.json["metadata"]?["generation"] == 1)
        let row = try await cells(api, jobs)
        #expect(row.prefix(4) == ["pi", "Running", "0/1", ""])
        #expect(row[5...6] == ["c", "busybox"])
        let status = try await api.patch("\(jobs)/pi/status", #"{"status":{"succeeded":1}}"#)
        #expect(status.status == 200)
        let found = try await api.get("\(jobs)?fieldSelector=status.successful%3D1")
        #expect(found.json["items"]?.arrayValue?.count == 1)
        let none = try await api.get("\(jobs)?fieldSelector=status.successful%3D0")
        #expect(none.json["items"]?.arrayValue?.isEmpty == true)
    }

    @Test func jobsLeaveTheirPodsUnlessTold() async throws {
        let api = try await Harness()
        let jobs = "/apis/batch/v1/namespaces/default/jobs"
        func make(_ name: String) async throws -> Harness.Reply {
            try await api.post(
                jobs,
                #"{"metadata":{"name":"\#(name)"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"busybox"}]}}}}"#
            )
        }
        let dotted = try await make("a.b")
        #expect(dotted.status == 201)
        #expect(dotted.warnings.contains { $0.contains("this is used in Pod names and hostnames") })
        let orphaning = try await api.delete("\(jobs)/a.b")
        #expect(orphaning.warnings.contains { $0.contains("child pods are preserved by default") })
        let marked = try await api.get("\(jobs)/a.b").json["metadata"]
        #expect(marked?["finalizers"] == ["orphan"])
        _ = try await make("c")
        let background = try await api.delete("\(jobs)/c", #"{"propagationPolicy":"Background"}"#)
        #expect(background.warnings.isEmpty)
        #expect(try await api.get("\(jobs)/c").status == 404)
    }

    @Test func statefulSetsScale() async throws {
        let api = try await Harness()
        let sets = "/apis/apps/v1/namespaces/default/statefulsets"
        let made = try await api.post(
            sets,
            #"{"metadata":{"name":"db"},"spec":{"serviceName":"db","selector":{"matchLabels":{"app":"x"}},\#(Self.template)}}"#
        )
        #expect(made.status == 201, "\(made.message)")
        let scale = try await api.patch("\(sets)/db/scale", #"{"spec":{"replicas":3}}"#)
        #expect(scale.status == 200)
        #expect(scale.json["status"]?["selector"] == "app=x")
        let set = try await api.get("\(sets)/db").json
        #expect(set["spec"]?["replicas"] == 3)
        #expect(set["metadata"]?["generation"] == 2)
        #expect(try await cells(api, sets).prefix(2) == ["db", "0/3"])
        let renamed = try await api.patch("\(sets)/db", #"{"spec":{"serviceName":"other"}}"#)
        #expect(renamed.status == 422)
        #expect(renamed.message.hasPrefix("StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to"))
    }

    @Test func daemonSetsCountTheirTemplates() async throws {
        let api = try await Harness()
        let sets = "/apis/apps/v1/namespaces/default/daemonsets"
        let made = try await api.post(
            sets,
            #"{"metadata":{"name":"agent"},"spec":{"selector":{"matchLabels":{"app":"x"}},\#(Self.template)}}"#
        )
        #expect(made.status == 201, "\(made.message)")
        let key = "deprecated.daemonset.template.generation"
        #expect(made.json["metadata"]?["annotations"]?[key] == "1")
        let changed = try await api.patch(
            "\(sets)/agent", #"{"spec":{"template":{"metadata":{"labels":{"tier":"b"}}}}}"#)
        #expect(changed.json["metadata"]?["annotations"]?[key] == "2")
        let same = try await api.patch("\(sets)/agent", #"{"metadata":{"labels":{"a":"b"}}}"#)
        #expect(same.json["metadata"]?["annotations"]?[key] == "2")
        #expect(try await cells(api, sets).prefix(7) == ["agent", 0, 0, 0, 0, 0, "<none>"])
    }

    @Test func rowsOfTheNetwork() async throws {
        let api = try await Harness()
        let networking = "/apis/networking.k8s.io/v1"
        let rules = ["a", "b", "c", "d"].map {
            #"{"host":"\#($0).example.com","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"web","port":{"number":80}}}}]}}"#
        }
        let made = try await api.post(
            "\(networking)/namespaces/default/ingresses",
            #"{"metadata":{"name":"web"},"spec":{"tls":[{"hosts":["a.example.com"]}],"rules":[\#(rules.joined(separator: ","))]}}"#
        )
        #expect(made.status == 201, "\(made.message)")
        #expect(
            try await cells(api, "\(networking)/namespaces/default/ingresses").prefix(5) == [
                "web", "<none>", "a.example.com,b.example.com,c.example.com + 1 more...", "", "80, 443",
            ])
        #expect(
            try await cells(api, "\(networking)/servicecidrs").prefix(2) == ["kubernetes", "10.96.0.0/16"])
        let range = try await api.get("\(networking)/servicecidrs/kubernetes").json
        #expect(range["status"]?["conditions"]?[0]?["type"] == "Ready")
        #expect(
            range["status"]?["conditions"]?[0]?["message"] == "Kubernetes default Service CIDR is ready")
        #expect(
            try await cells(api, "\(networking)/ipaddresses").prefix(2) == [
                "10.96.0.1", "services/default/kubernetes",
            ])
    }

    @Test func metricsInCells() async throws {
        let api = try await Harness()
        let path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
        let made = try await api.post(
            path,
            #"{"metadata":{"name":"web"},"spec":{"maxReplicas":5,"scaleTargetRef":{"kind":"Deployment","name":"web","apiVersion":"apps/v1"}}}"#
        )
        #expect(made.status == 201, "\(made.message)")
        #expect(
            try await cells(api, path).prefix(6) == [
                "web", "Deployment/web", "cpu: <unknown>/80%", "1", 5, 0,
            ])
    }
}
