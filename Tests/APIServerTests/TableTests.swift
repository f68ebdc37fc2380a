import APIServer
import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct TableTests {
    static let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

    @Test func humanDurations() {
        let cases: [(Int, String)] = [
            (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (3, "3s"), (119, "119s"), (120, "2m"), (125, "2m5s"),
            (599, "9m59s"), (600, "10m"), (10_799, "179m"), (10_800, "3h"), (11_100, "3h5m"),
            (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (176_400, "2d1h"), (691_200, "8d"),
            (63_072_000, "2y"), (63_158_400, "2y1d"), (252_288_000, "8y"),
        ]
        for (seconds, text) in cases { #expect(HumanDuration.text(seconds: seconds) == text) }
    }

    @Test func columnsAreUpstreams() async throws {
        let api = try await Harness()
        let expected: [(String, String)] = [
            ("/api/v1/pods", "Name|Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*"),
            ("/api/v1/services", "Name|Type|Cluster-IP|External-IP|Port(s)|Age|Selector*"),
            ("/api/v1/endpoints", "Name|Endpoints|Age"),
            (
                "/api/v1/nodes",
                "Name|Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|"
                    + "Container-Runtime*"
            ),
            (
                "/api/v1/events",
                "Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count*|Name*"
            ),
            ("/api/v1/configmaps", "Name|Data|Age"), ("/api/v1/secrets", "Name|Type|Data|Age"),
            ("/api/v1/namespaces", "Name|Status|Age"), ("/api/v1/serviceaccounts", "Name|Secrets|Age"),
            (
                "/apis/apps/v1/deployments",
                "Name|Ready|Up-to-date|Available|Age|Containers*|Images*|Selector*"
            ),
            (
                "/apis/apps/v1/replicasets",
                "Name|Desired|Current|Ready|Age|Containers*|Images*|Selector*"
            ),
            ("/apis/discovery.k8s.io/v1/endpointslices", "Name|AddressType|Ports|Endpoints|Age"),
            ("/apis/coordination.k8s.io/v1/leases", "Name|Holder|Age"),
            ("/api/v1/limitranges", "Name|Created At"),
            ("/api/v1/resourcequotas", "Name|Request|Limit|Age"),
            (
                "/api/v1/persistentvolumes",
                "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|"
                    + "Reason|Age|VolumeMode*"
            ),
            (
                "/api/v1/persistentvolumeclaims",
                "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode*"
            ),
            (
                "/apis/storage.k8s.io/v1/storageclasses",
                "Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age"
            ),
            (
                "/apis/scheduling.k8s.io/v1/priorityclasses",
                "Name|Value|Global-Default|Age|PreemptionPolicy"
            ),
            ("/apis/node.k8s.io/v1/runtimeclasses", "Name|Handler|Age"),
        ]
        for (path, columns) in expected {
            let reply = try await api.get(path, accept: Self.table)
            #expect(reply.json["kind"] == "Table", "\(path)")
            let shown = reply.json["columnDefinitions"]?.arrayValue?.map { column in
                (column["name"]?.stringValue ?? "") + (column["priority"] == 1 ? "*" : "")
            }
            #expect(shown?.joined(separator: "|") == columns)
        }
    }

    @Test func serviceRows() async throws {
        let api = try await Harness()
        _ = try await api.post(
            Harness.services,
            #"{"metadata":{"name":"web"},"spec":{"clusterIP":"10.96.0.50","selector":{"b":"2","a":"1"},"#
                + #""ports":[{"port":80}]}}"#)
        let reply = try await api.get(Harness.services + "/web", accept: Self.table)
        let row = try #require(reply.json["rows"]?[0])
        #expect(row["cells"] == ["web", "ClusterIP", "10.96.0.50", "<none>", "80/TCP", "0s", "a=1,b=2"])
        #expect(row["object"]?["kind"] == "PartialObjectMetadata")
        #expect(row["object"]?["metadata"]?["name"] == "web")
        #expect(row["object"]?["spec"] == nil)
        let whole = try await api.get(Harness.services + "/web?includeObject=Object", accept: Self.table)
        #expect(whole.json["rows"]?[0]?["object"]?["kind"] == "Service")
        let none = try await api.get(Harness.services + "/web?includeObject=None", accept: Self.table)
        #expect(none.json["rows"]?[0]?["object"] == nil)
        let wrong = try await api.get(Harness.services + "/web?includeObject=Foo", accept: Self.table)
        #expect(wrong.status == 400)
        #expect(
            wrong.message
                == "Unable to convert to Table as requested: includeObject: Invalid value: \"Foo\": "
                + "must be 'Metadata', 'Object', 'None', or empty")
    }

    @Test func scaleRows() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.deployments, Harness.deployment)
        let reply = try await api.get(Harness.deployments + "/web/scale", accept: Self.table)
        let names = reply.json["columnDefinitions"]?.arrayValue?.compactMap { $0["name"]?.stringValue }
        #expect(names == ["Name", "Desired", "Available", "Age"])
        #expect(reply.json["rows"]?[0]?["cells"] == ["web", 3, 0, "0s"])
        #expect(reply.json["rows"]?[0]?["object"]?["metadata"]?["name"] == "web")
    }

    @Test func partialMetadata() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.maps, #"{"metadata":{"name":"a"},"data":{"k":"v"}}"#)
        let list = try await api.get(
            Harness.maps, accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
        #expect(list.json["kind"] == "PartialObjectMetadataList")
        #expect(list.json["items"]?[0]?["kind"] == "PartialObjectMetadata")
        #expect(list.json["items"]?[0]?["data"] == nil)
        let one = try await api.get(
            Harness.maps + "/a", accept: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
        #expect(one.json["metadata"]?["name"] == "a")
        #expect(one.json["data"] == nil)
        // One is not the other.
        let listOfOne = try await api.get(
            Harness.maps + "/a", accept: "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
        #expect(listOfOne.status == 406 && listOfOne.reason == "NotAcceptable")
        #expect(
            listOfOne.message
                == "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)"
        )
        let oneOfAList = try await api.get(
            Harness.deployments, accept: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
        #expect(
            oneOfAList.message
                == "you requested PartialObjectMetadata, but the requested object is a list (*apps.DeploymentList)"
        )
    }

    @Test func podStates() {
        func pod(_ change: (inout Pod) -> Void) -> PodTable.Summary {
            var pod = Pod(
                metadata: ObjectMeta(name: "p"),
                spec: PodSpec(containers: [Container(name: "a"), Container(name: "b")]),
                status: PodStatus(phase: "Running"))
            change(&pod)
            return PodTable.Summary(pod)
        }
        let running = ContainerState(running: ContainerStateRunning(startedAt: Time(seconds: 1)))
        let ready = pod {
            $0.status.containerStatuses = [
                ContainerStatus(name: "a", state: running, ready: true),
                ContainerStatus(name: "b", state: running, ready: true, restartCount: 2),
            ]
        }
        #expect(ready.status == "Running" && ready.ready == 2 && ready.total == 2 && ready.restarts == 2)
        let crash = pod {
            $0.status.containerStatuses = [
                ContainerStatus(
                    name: "a",
                    state: ContainerState(waiting: ContainerStateWaiting(reason: "CrashLoopBackOff")))
            ]
        }
        #expect(crash.status == "CrashLoopBackOff" && crash.ready == 0)
        let done = pod {
            $0.status.phase = "Succeeded"
            $0.status.containerStatuses = [
                ContainerStatus(
                    name: "a",
                    state: ContainerState(terminated: ContainerStateTerminated(reason: "Completed")))
            ]
            $0.metadata.deletionTimestamp = Time(seconds: 1)
        }
        #expect(done.status == "Completed")
        let code = pod {
            $0.status.containerStatuses = [
                ContainerStatus(
                    name: "a", state: ContainerState(terminated: ContainerStateTerminated(exitCode: 3)))
            ]
        }
        #expect(code.status == "ExitCode:3")
        let initializing = pod {
            $0.spec.initContainers = [Container(name: "i"), Container(name: "j")]
            $0.status.initContainerStatuses = [
                ContainerStatus(
                    name: "i", state: ContainerState(terminated: ContainerStateTerminated())),
                ContainerStatus(name: "j", state: running),
            ]
        }
        #expect(initializing.status == "Init:1/2")
        let ending = pod { $0.metadata.deletionTimestamp = Time(seconds: 1) }
        #expect(ending.status == "Terminating")
    }

    @Test func deploymentRows() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.deployments, Harness.deployment)
        let reply = try await api.get(Harness.deployments, accept: Self.table)
        #expect(
            reply.json["rows"]?[0]?["cells"] == ["web", "0/3", 0, 0, "0s", "web", "web:1.0", "app=web"])
    }

    @Test func prettyJSON() {
        let compact = Array(#"{"a":[1,{"b":"x{,:\"}"}],"c":{},"d":[]}"#.utf8)
        let pretty = String(decoding: PrettyJSON.indent(compact), as: UTF8.self)
        #expect(
            pretty == """
                {
                  "a": [
                    1,
                    {
                      "b": "x{,:\\"}"
                    }
                  ],
                  "c": {},
                  "d": []
                }
                """)
    }
}
