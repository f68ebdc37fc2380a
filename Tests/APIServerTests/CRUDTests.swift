import APIServer
import KubernetesJSON
import Testing

@Suite struct CRUDTests {
    @Test func createGetListDelete() async throws {
        let api = try await Harness()
        let created = try await api.post(Harness.maps, #"{"metadata":{"name":"a"},"data":{"k":"v"}}"#)
        #expect(created.status == 201)
        #expect(created.json["kind"] == "ConfigMap")
        #expect(created.json["apiVersion"] == "v1")
        let metadata = try #require(created.json["metadata"])
        #expect(metadata["namespace"] == "default")
        #expect(metadata["creationTimestamp"] == "2027-01-15T08:00:00Z")
        #expect(metadata["uid"]?.stringValue?.utf8.count == 36)
        #expect(metadata["generation"] == nil)
        let revision = try #require(metadata["resourceVersion"]?.stringValue.flatMap { Int($0) })
        #expect(revision > 0)

        let read = try await api.get(Harness.maps + "/a")
        #expect(read.status == 200)
        #expect(read.bytes == created.bytes)

        let list = try await api.get(Harness.maps)
        #expect(list.json["kind"] == "ConfigMapList")
        #expect(list.json["items"]?.arrayValue?.map { $0["metadata"]?["name"] } == ["a"])

        let again = try await api.post(Harness.maps, #"{"metadata":{"name":"a"}}"#)
        #expect(again.status == 409)
        #expect(again.message == #"configmaps "a" already exists"#)
        #expect(again.reason == "AlreadyExists")

        let gone = try await api.delete(Harness.maps + "/a")
        #expect(gone.status == 200)
        #expect(gone.json["status"] == "Success")
        #expect(gone.json["details"]?["uid"] == metadata["uid"])
        let missing = try await api.get(Harness.maps + "/a")
        #expect(missing.status == 404)
        #expect(missing.message == #"configmaps "a" not found"#)
        #expect(missing.json["details"]?["kind"] == "configmaps")
    }

    @Test func generatedNames() async throws {
        let api = try await Harness()
        var names: Set<String> = []
        for _ in 0..<3 {
            let reply = try await api.post(Harness.maps, #"{"metadata":{"generateName":"gen-"}}"#)
            #expect(reply.status == 201)
            let name = try #require(reply.json["metadata"]?["name"]?.stringValue)
            #expect(name.hasPrefix("gen-") && name.utf8.count == 9)
            names.insert(name)
        }
        #expect(names.count == 3)
    }

    @Test func conflictsAndUnconditionalUpdates() async throws {
        let api = try await Harness()
        let first = try await api.post(Harness.maps, #"{"metadata":{"name":"a"},"data":{"k":"1"}}"#)
        let version = first.json["metadata"]?["resourceVersion"]?.stringValue ?? ""
        let second = try await api.put(Harness.maps + "/a", #"{"metadata":{"name":"a"},"data":{"k":"2"}}"#)
        #expect(second.status == 200)
        #expect(second.json["metadata"]?["uid"] == first.json["metadata"]?["uid"])
        let stale = try await api.put(
            Harness.maps + "/a",
            #"{"metadata":{"name":"a","resourceVersion":"\#(version)"},"data":{"k":"3"}}"#)
        #expect(stale.status == 409)
        #expect(
            stale.message
                == #"Operation cannot be fulfilled on configmaps "a": the object has been modified; "#
                + "please apply your changes to the latest version and try again")
        let wrongName = try await api.put(Harness.maps + "/a", #"{"metadata":{"name":"b"}}"#)
        #expect(wrongName.status == 400)
        #expect(
            wrongName.message == "the name of the object (b) does not match the name on the URL (a)")
    }

    @Test func updateWithoutChangeKeepsTheRevision() async throws {
        let api = try await Harness()
        let first = try await api.post(Harness.maps, #"{"metadata":{"name":"a"},"data":{"k":"1"}}"#)
        let second = try await api.put(Harness.maps + "/a", #"{"metadata":{"name":"a"},"data":{"k":"1"}}"#)
        #expect(second.bytes == first.bytes)
        let third = try await api.patch(Harness.maps + "/a", #"{"metadata":{"labels":{"no":null}}}"#)
        #expect(third.bytes == first.bytes)
    }

    @Test func dryRunStoresNothing() async throws {
        let api = try await Harness()
        let reply = try await api.post(Harness.maps + "?dryRun=All", #"{"metadata":{"name":"a"}}"#)
        #expect(reply.status == 201)
        #expect(reply.json["metadata"]?["uid"] != nil)
        #expect(reply.json["metadata"]?["resourceVersion"] == nil)
        #expect(try await api.get(Harness.maps + "/a").status == 404)
        let bad = try await api.post(Harness.maps + "?dryRun=Some", #"{"metadata":{"name":"a"}}"#)
        #expect(bad.status == 422)
        #expect(
            bad.message
                == #"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: []string{"Some"}: "#
                + #"supported values: "All""#)
    }

    @Test func namespaceOfPathAndBodyMustAgree() async throws {
        let api = try await Harness()
        let reply = try await api.post(Harness.maps, #"{"metadata":{"name":"a","namespace":"other"}}"#)
        #expect(reply.status == 400)
        #expect(
            reply.message
                == "the namespace of the provided object does not match the namespace sent on the request")
        let nowhere = try await api.post(
            "/api/v1/namespaces/nowhere/configmaps", #"{"metadata":{"name":"a"}}"#)
        #expect(nowhere.status == 404)
        #expect(nowhere.message == #"namespaces "nowhere" not found"#)
    }

    @Test func finalizersHoldAnObjectBack() async throws {
        let api = try await Harness()
        _ = try await api.post(
            Harness.maps, #"{"metadata":{"name":"f","finalizers":["example.com/hold"]}}"#)
        let marked = try await api.delete(Harness.maps + "/f")
        #expect(marked.json["metadata"]?["deletionTimestamp"] != nil)
        #expect(marked.json["metadata"]?["deletionGracePeriodSeconds"] == 0)
        #expect(try await api.get(Harness.maps + "/f").status == 200)
        let more = try await api.patch(
            Harness.maps + "/f", #"{"metadata":{"finalizers":["example.com/hold","example.com/b"]}}"#)
        #expect(more.status == 422)
        #expect(more.message.contains("no new finalizers can be added if the object is being deleted"))
        let released = try await api.patch(Harness.maps + "/f", #"{"metadata":{"finalizers":null}}"#)
        #expect(released.status == 200)
        #expect(try await api.get(Harness.maps + "/f").status == 404)
    }

    @Test func propagationPolicyBecomesFinalizers() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.maps, #"{"metadata":{"name":"o"}}"#)
        let orphan = try await api.delete(
            Harness.maps + "/o", #"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"}"#)
        #expect(orphan.json["metadata"]?["finalizers"] == ["orphan"])
        _ = try await api.post(Harness.maps, #"{"metadata":{"name":"f"}}"#)
        let foreground = try await api.delete(Harness.maps + "/f?propagationPolicy=Foreground")
        #expect(foreground.json["metadata"]?["finalizers"] == ["foregroundDeletion"])
        let bad = try await api.delete(Harness.maps + "/f?propagationPolicy=Maybe")
        #expect(bad.status == 422)
    }

    @Test func preconditions() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.maps, #"{"metadata":{"name":"a"}}"#)
        let reply = try await api.delete(Harness.maps + "/a", #"{"preconditions":{"uid":"wrong"}}"#)
        #expect(reply.status == 409)
        #expect(reply.message.contains("The object might have been deleted and then recreated"))
        #expect(try await api.get(Harness.maps + "/a").status == 200)
    }

    @Test func deleteCollection() async throws {
        let api = try await Harness()
        for name in ["a", "b", "c"] {
            let label = name == "c" ? "keep" : "go"
            _ = try await api.post(
                Harness.maps, #"{"metadata":{"name":"\#(name)","labels":{"x":"\#(label)"}}}"#)
        }
        let reply = try await api.delete(Harness.maps + "?labelSelector=x%3Dgo")
        #expect(reply.status == 200)
        #expect(reply.json["items"]?.arrayValue?.count == 2)
        let left = try await api.get(Harness.maps)
        #expect(left.json["items"]?.arrayValue?.map { $0["metadata"]?["name"] } == ["c"])
    }

    @Test func wrongPathsAndMethods() async throws {
        let api = try await Harness()
        #expect(try await api.get("/api/v1/namespaces/default/nonsense").status == 404)
        #expect(try await api.get("/apis/nope/v1").status == 404)
        let reply = try await api.send(.POST, "/api/v1/pods", "{}")
        #expect(reply.status == 405)
        #expect(reply.json["kind"] == "Status")
        #expect(try await api.send(.DELETE, "/api/v1/namespaces").status == 405)
        let media = try await api.send(
            .POST, Harness.maps, "x", headers: ["content-type": "text/plain"])
        #expect(media.status == 415)
        let accept = try await api.get(Harness.maps, accept: "image/png")
        #expect(accept.status == 406)
        let patch = try await api.patch(Harness.maps + "/a", "{}", type: "application/json")
        #expect(patch.status == 415)
        #expect(
            patch.message
                == "the body of the request was in an unknown format - accepted media types include: "
                + "application/json-patch+json, application/merge-patch+json, "
                + "application/strategic-merge-patch+json, application/apply-patch+yaml")
    }

    @Test func anUpdateDoesNotBeginADeletion() async throws {
        let api = try await Harness()
        let maps = "/api/v1/namespaces/default/configmaps"
        _ = try await api.post(maps, #"{"metadata":{"name":"a"}}"#)
        for field in [#""deletionTimestamp":"2026-01-02T03:04:05Z""#, #""deletionGracePeriodSeconds":3"#] {
            let reply = try await api.put("\(maps)/a", "{\"metadata\":{\"name\":\"a\",\(field)}}")
            #expect(reply.status == 422, "\(field)")
            #expect(reply.message.hasSuffix("field is immutable"), "\(reply.message)")
        }
        // Where one is under way it stays, whatever the update says.
        _ = try await api.patch("\(maps)/a", #"{"metadata":{"finalizers":["a.b/c"]}}"#)
        _ = try await api.delete("\(maps)/a")
        let kept = try await api.put(
            "\(maps)/a",
            #"{"metadata":{"name":"a","finalizers":["a.b/c"],"deletionTimestamp":"2020-01-02T03:04:05Z"}}"#)
        #expect(kept.status == 200)
        #expect(kept.json["metadata"]?["deletionTimestamp"] == "2027-01-15T08:00:00Z")
    }

    @Test func collectionsAreNeitherReplacedNorPatched() async throws {
        let api = try await Harness()
        let maps = "/api/v1/namespaces/default/configmaps"
        #expect(try await api.put(maps, "nonsense").status == 405)
        #expect(try await api.patch(maps, "nonsense").status == 405)
        #expect(try await api.patch(maps, "nonsense", type: "apply").status == 405)
    }

    @Test func deprecationIsToldWithFailuresToo() async throws {
        let api = try await Harness()
        let reply = try await api.get("/api/v1/namespaces/default/endpoints/none")
        #expect(reply.status == 404)
        #expect(reply.warnings.count == 1)
        #expect(reply.message == #"endpoints "none" not found"#)
    }

    @Test func namespacesGoInTwoSteps() async throws {
        let api = try await Harness()
        let created = try await api.post("/api/v1/namespaces", #"{"metadata":{"name":"team"}}"#)
        #expect(created.json["spec"]?["finalizers"] == ["kubernetes"])
        #expect(created.json["status"]?["phase"] == "Active")
        #expect(created.json["metadata"]?["labels"]?["kubernetes.io/metadata.name"] == "team")
        let marked = try await api.delete("/api/v1/namespaces/team")
        #expect(marked.json["status"]?["phase"] == "Terminating")
        let late = try await api.post(
            "/api/v1/namespaces/team/configmaps", #"{"metadata":{"name":"late"}}"#)
        #expect(late.status == 403)
        #expect(
            late.message
                == #"configmaps "late" is forbidden: unable to create new content in namespace team "#
                + "because it is being terminated")
        #expect(late.json["details"]?["causes"]?[0]?["reason"] == "NamespaceTerminating")
        var body = marked.json
        body["spec"] = ["finalizers": []]
        let finalized = try await api.put("/api/v1/namespaces/team/finalize", body.description)
        #expect(finalized.status == 200)
        #expect(try await api.get("/api/v1/namespaces/team").status == 404)
        let immortal = try await api.delete("/api/v1/namespaces/default")
        #expect(immortal.status == 403)
        #expect(
            immortal.message == #"namespaces "default" is forbidden: this namespace may not be deleted"#)
    }
}
