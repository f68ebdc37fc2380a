import APIServer
import KubernetesAPI
import KubernetesJSON
import Testing

/// Kinds that are served in more than one version over one stored object.
@Suite struct VersionTests {
    private static let newEvents = "/apis/events.k8s.io/v1/namespaces/default/events"
    private static let oldEvents = "/api/v1/namespaces/default/events"
    private static let event = """
        {"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"e"},"eventTime":"2026-01-01T00:00:00.000000Z",
         "reportingController":"example.com/c","reportingInstance":"c-1","action":"Pull","reason":"Pulled",
         "regarding":{"kind":"Pod","namespace":"default","name":"web"},"note":"done","type":"Normal"}
        """

    @Test func eventsAreTheSameInBothGroups() async throws {
        let api = try await Harness()
        let made = try await api.post(Self.newEvents, Self.event)
        #expect(made.status == 201, "\(made.message)")
        #expect(made.json["apiVersion"] == "events.k8s.io/v1")
        #expect(made.json["regarding"]?["name"] == "web" && made.json["note"] == "done")
        #expect(made.json["involvedObject"] == nil && made.json["message"] == nil)
        let old = try await api.get("\(Self.oldEvents)/e").json
        #expect(old["apiVersion"] == "v1")
        #expect(old["involvedObject"]?["name"] == "web" && old["message"] == "done")
        #expect(old["reportingComponent"] == "example.com/c")
        #expect(old["metadata"]?["uid"] == made.json["metadata"]?["uid"])
        _ = try await api.post(
            Self.oldEvents,
            #"{"metadata":{"name":"o"},"involvedObject":{"kind":"Node","name":"n"},"reason":"R","message":"m","source":{"component":"s"},"count":2}"#
        )
        let list = try await api.get(Self.newEvents).json
        #expect(list["kind"] == "EventList" && list["apiVersion"] == "events.k8s.io/v1")
        #expect(list["items"]?.arrayValue?.map { $0["note"] } == ["done", "m"])
        #expect(list["items"]?[1]?["deprecatedSource"]?["component"] == "s")
        #expect(list["items"]?[1]?["deprecatedCount"] == 2)
        let selected = try await api.get("\(Self.newEvents)?fieldSelector=regarding.name%3Dn")
        #expect(selected.json["items"]?.arrayValue?.count == 1)
        let unknown = try await api.get("\(Self.newEvents)?fieldSelector=involvedObject.name%3Dn")
        #expect(unknown.status == 400)
        let table = try await api.get(
            "\(Self.newEvents)?includeObject=Object",
            accept: "application/json;as=Table;g=meta.k8s.io;v=v1,application/json")
        #expect(table.json["rows"]?[0]?["object"]?["note"] == "done")
        #expect(table.json["columnDefinitions"]?[0]?["name"] == "Last Seen")
        let patched = try await api.patch("\(Self.newEvents)/e", #"{"metadata":{"labels":{"a":"b"}}}"#)
        #expect(patched.status == 200, "\(patched.message)")
        #expect(patched.json["metadata"]?["labels"]?["a"] == "b" && patched.json["note"] == "done")
        let gone = try await api.delete("\(Self.newEvents)/e")
        #expect(gone.status == 200)
        #expect(try await api.get("\(Self.oldEvents)/e").status == 404)
    }

    @Test func newEventsAreJudgedMoreStrictly() async throws {
        let api = try await Harness()
        let bad = try await api.post(
            Self.newEvents, #"{"metadata":{"name":"e"},"type":"Loud","deprecatedCount":1}"#)
        #expect(bad.status == 422)
        let fields = bad.json["details"]?["causes"]?.arrayValue?.compactMap { $0["field"]?.stringValue } ?? []
        #expect(fields == ["eventTime", "type", "count"])
        _ = try await api.post(Self.newEvents, Self.event)
        let changed = try await api.patch("\(Self.newEvents)/e", #"{"note":"other"}"#)
        #expect(changed.status == 422)
        #expect(changed.message.contains("message: Invalid value: \"other\": field is immutable"))
    }

    @Test func watchesShowTheVersionAskedFor() async throws {
        let api = try await Harness()
        _ = try await api.post(Self.newEvents, Self.event)
        let reply = try await api.get("\(Self.newEvents)?watch=true&timeoutSeconds=1")
        let line = try JSONValue(json: Array(reply.bytes.prefix { $0 != UInt8(ascii: "\n") }))
        #expect(line["type"] == "ADDED")
        #expect(line["object"]?["apiVersion"] == "events.k8s.io/v1")
        #expect(line["object"]?["note"] == "done")
    }

    @Test func autoscalersInTheirFirstVersion() async throws {
        let api = try await Harness()
        let v1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
        let v2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
        let made = try await api.post(
            v1,
            #"{"metadata":{"name":"web"},"spec":{"maxReplicas":5,"targetCPUUtilizationPercentage":50,"scaleTargetRef":{"kind":"Deployment","name":"web","apiVersion":"apps/v1"}}}"#
        )
        #expect(made.status == 201, "\(made.message)")
        #expect(made.json["apiVersion"] == "autoscaling/v1")
        #expect(made.json["spec"]?["targetCPUUtilizationPercentage"] == 50)
        #expect(made.json["spec"]?["minReplicas"] == 1)
        let stored = try await api.get("\(v2)/web").json
        #expect(stored["spec"]?["metrics"]?[0]?["resource"]?["target"]?["averageUtilization"] == 50)
        let more = try await api.patch(
            "\(v2)/web",
            #"{"spec":{"metrics":[{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"100m"}}},{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":70}}}]}}"#
        )
        #expect(more.status == 200, "\(more.message)")
        let view = try await api.get("\(v1)/web").json
        #expect(view["spec"]?["targetCPUUtilizationPercentage"] == 70)
        #expect(
            view["metadata"]?["annotations"]?["autoscaling.alpha.kubernetes.io/metrics"]
                == #"[{"type":"Pods","pods":{"metricName":"rps","targetAverageValue":"100m"}}]"#)
        let patched = try await api.patch("\(v1)/web", #"{"spec":{"targetCPUUtilizationPercentage":30}}"#)
        #expect(patched.status == 200, "\(patched.message)")
        let after = try await api.get("\(v2)/web").json
        #expect(after["spec"]?["metrics"]?[0]?["pods"]?["metric"]?["name"] == "rps")
        #expect(after["spec"]?["metrics"]?[1]?["resource"]?["target"]?["averageUtilization"] == 30)
        #expect(after["metadata"]?["annotations"] == nil)
        let hashes = try await [api.get("/apis/autoscaling/v1"), api.get("/apis/autoscaling/v2")].map {
            $0.json["resources"]?[0]?["storageVersionHash"]
        }
        #expect(hashes == ["qwQve8ut294=", "qwQve8ut294="])
    }

    @Test func statusesOfAutoscalersSurviveTheRoundTrip() {
        let stored: JSONValue = [
            "kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2",
            "metadata": ["name": "web", "annotations": ["keep": "me"]],
            "spec": [
                "maxReplicas": 3,
                "metrics": [
                    [
                        "type": "Object",
                        "object": [
                            "describedObject": ["kind": "Ingress", "name": "i"],
                            "metric": ["name": "rps", "selector": ["matchLabels": ["a": "b"]]],
                            "target": ["type": "Value", "value": "10"],
                        ],
                    ],
                    [
                        "type": "External",
                        "external": [
                            "metric": ["name": "queue"],
                            "target": ["type": "AverageValue", "averageValue": "3"],
                        ],
                    ],
                    [
                        "type": "ContainerResource",
                        "containerResource": [
                            "name": "memory", "container": "c",
                            "target": ["type": "Utilization", "averageUtilization": 60],
                        ],
                    ],
                ],
                "behavior": ["scaleDown": ["selectPolicy": "Disabled"]],
            ],
            "status": [
                "currentMetrics": [
                    ["type": "Resource", "resource": ["name": "cpu", "current": ["averageUtilization": 40]]]
                ],
                "conditions": [["type": "AbleToScale", "status": "True"]],
            ],
        ]
        let conversion = VersionConversion.autoscalers
        let served = conversion.toServed(stored)
        #expect(served["status"]?["currentCPUUtilizationPercentage"] == 40)
        #expect(served["metadata"]?["annotations"]?["keep"] == "me")
        #expect(conversion.toStored(served) == stored)
    }
}
