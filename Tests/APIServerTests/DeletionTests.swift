import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Testing

/// Deletion: policies, grace, and what holds objects back.
@Suite struct DeletionTests {
    static let jobs = "/apis/batch/v1/namespaces/default/jobs"
    static let controllers = "/api/v1/namespaces/default/replicationcontrollers"

    @Test func policiesThatKindsHaveOfOld() {
        var options = DeleteOptions()
        let now = Time(seconds: 100)
        var resource = Resource<ConfigMap>()
        func finalizers(_ held: [String] = []) -> [String] {
            var map = ConfigMap(metadata: ObjectMeta(name: "a", finalizers: held))
            _ = Preparation.delete(&map, options, resource, now: now)
            return map.metadata.finalizers
        }
        #expect(finalizers() == [])
        #expect(finalizers(["orphan"]) == ["orphan"])
        #expect(finalizers(["foregroundDeletion", "a/b"]) == ["foregroundDeletion", "a/b"])
        resource.defaultPropagation = .orphan
        #expect(finalizers() == ["orphan"])
        #expect(finalizers(["foregroundDeletion"]) == ["foregroundDeletion"])
        options.propagationPolicy = "Background"
        #expect(finalizers(["orphan", "a/b"]) == ["a/b"])
        options.propagationPolicy = "Foreground"
        #expect(finalizers(["orphan"]) == ["foregroundDeletion"])
        options.propagationPolicy = nil
        options.orphanDependents = false
        #expect(finalizers(["orphan"]) == [])
        options.orphanDependents = true
        resource.defaultPropagation = .unsupported
        #expect(finalizers(["foregroundDeletion"]) == [])
    }

    @Test func replicationControllersLetTheirPodsGoUnlessTold() async throws {
        let api = try await Harness()
        let controller = #"""
            {"metadata":{"name":"rc"},"spec":{"replicas":1,"selector":{"a":"b"},"template":
             {"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}
            """#
        _ = try await api.post(Self.controllers, controller)
        let marked = try await api.delete(Self.controllers + "/rc")
        #expect(marked.status == 200)
        #expect(marked.json["metadata"]?["finalizers"] == ["orphan"])
        #expect(marked.json["metadata"]?["generation"] == 2)
        let again = try await api.post(Self.controllers, controller)
        #expect(again.status == 409)
        #expect(
            again.message == #"object is being deleted: replicationcontrollers "rc" already exists"#)
    }

    @Test func graceIsOnlyShortened() {
        let now = Time(seconds: 1000)
        let resource = PodResourcesForTests.pods
        func pod(_ grace: Int, until end: Int) -> Pod {
            var pod = Pod(metadata: ObjectMeta(name: "p"), spec: PodSpec(nodeName: "n"))
            pod.metadata.deletionTimestamp = Time(seconds: end)
            pod.metadata.deletionGracePeriodSeconds = grace
            return pod
        }
        var options = DeleteOptions()
        options.propagationPolicy = "Orphan"
        var pending = pod(30, until: 1020)
        #expect(Preparation.delete(&pending, options, resource, now: now) == .mark(changed: false))
        #expect(pending.metadata.finalizers == [])
        options.gracePeriodSeconds = 40
        #expect(Preparation.delete(&pending, options, resource, now: now) == .mark(changed: false))
        options = DeleteOptions()
        options.gracePeriodSeconds = 15
        #expect(Preparation.delete(&pending, options, resource, now: now) == .mark(changed: true))
        #expect(pending.metadata.deletionTimestamp == Time(seconds: 1005))
        #expect(pending.metadata.deletionGracePeriodSeconds == 15)
        // The time that is left has passed already: as short as can be, and not in the past.
        options.gracePeriodSeconds = 5
        #expect(Preparation.delete(&pending, options, resource, now: now) == .mark(changed: true))
        #expect(pending.metadata.deletionTimestamp == now)
        #expect(pending.metadata.deletionGracePeriodSeconds == 1)
        options.gracePeriodSeconds = 0
        #expect(Preparation.delete(&pending, options, resource, now: now) == .remove)
    }

    @Test func theOldestOptionIsAnsweredInItsOwnWay() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.maps, #"{"metadata":{"name":"f","finalizers":["example.com/hold"]}}"#)
        let held = try await api.delete(Harness.maps + "/f", #"{"orphanDependents":false}"#)
        #expect(held.status == 202)
        let both = try await api.delete(
            Harness.maps + "/f", #"{"orphanDependents":false,"propagationPolicy":"Orphan"}"#)
        #expect(both.status == 422)
        #expect(
            both.message
                == #"DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": "#
                + "orphanDependents and deletionPropagation cannot be both set")
    }

    @Test func collectionsGoTogether() async throws {
        let api = try await Harness()
        for index in 0..<150 {
            _ = try await api.post(
                Harness.maps, #"{"metadata":{"name":"m\#(index)","labels":{"go":"yes"}}}"#)
        }
        let dry = try await api.delete(Harness.maps + "?labelSelector=go&dryRun=All")
        #expect(dry.json["items"]?.arrayValue?.count == 150)
        #expect(api.store.count(resource: "configmaps") >= 150)
        let page = try await api.delete(Harness.maps + "?labelSelector=go&limit=20")
        #expect(page.json["items"]?.arrayValue?.count == 20)
        let rest = try await api.delete(Harness.maps + "?labelSelector=go")
        #expect(rest.json["items"]?.arrayValue?.count == 130)
        let left = try await api.get(Harness.maps + "?labelSelector=go")
        #expect(left.json["items"] == [])
    }

    @Test func whoUpdatesMustSayWhat() async throws {
        let api = try await Harness()
        let accounts = "/api/v1/namespaces/default/serviceaccounts"
        let blind = try await api.put(accounts + "/default", #"{"metadata":{"name":"default"}}"#)
        #expect(blind.status == 422)
        #expect(
            blind.message
                == #"serviceaccounts "default" is invalid: metadata.resourceVersion: Invalid value: 0x0: "#
                + "must be specified for an update")
        _ = try await api.post(Harness.maps, #"{"metadata":{"name":"a"}}"#)
        let uid = try await api.get(Harness.maps + "/a").json["metadata"]?["uid"]?.stringValue ?? ""
        let other = try await api.put(Harness.maps + "/a", #"{"metadata":{"name":"a","uid":"other"}}"#)
        #expect(other.status == 409)
        #expect(
            other.message
                == #"Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, "#
                + "Key: /registry/configmaps/default/a, ResourceVersion: 0, AdditionalErrorMsg: "
                + "Precondition failed: UID in precondition: other, UID in object meta: \(uid)")
        let nameless = try await api.put(Harness.maps + "/a", "{}")
        #expect(nameless.status == 400)
        #expect(
            nameless.message
                == "the name of the object (a based on URL) was undeterminable: name must be provided")
    }
}

/// Pods as far as deletion goes.
enum PodResourcesForTests {
    static let pods: Resource<Pod> = {
        var resource = Resource<Pod>()
        resource.gracePeriod = PodResources.gracePeriod
        return resource
    }()
}
