import APIServer
import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct DiscoveryTests {
    @Test func legacyDocuments() async throws {
        let api = try await Harness()
        #expect(try await api.get("/api").json["versions"] == ["v1"])
        let groups = try await api.get("/apis").json["groups"]?.arrayValue?.map { $0["name"] }
        #expect(groups?.contains("apps") == true)
        let core = try await api.get("/api/v1").json
        let resources = try #require(core["resources"]?.arrayValue)
        let maps = try #require(resources.first { $0["name"] == "configmaps" })
        #expect(maps["storageVersionHash"] == "qFsyl6wFWjQ=")
        #expect(maps["shortNames"] == ["cm"])
        #expect(
            maps["verbs"] == [
                "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
            ])
        let names = resources.compactMap { $0["name"]?.stringValue }
        #expect(names == names.sorted())
        for name in ["bindings", "pods/log", "pods/exec", "serviceaccounts/token", "namespaces/finalize"] {
            #expect(names.contains(name))
        }
        let scale = try await api.get("/apis/apps/v1").json["resources"]?.arrayValue?.first {
            $0["name"] == "deployments/scale"
        }
        #expect(scale?["group"] == "autoscaling")
        #expect(scale?["kind"] == "Scale")
        #expect(try await api.get("/apis/apps").json["preferredVersion"]?["groupVersion"] == "apps/v1")
    }

    @Test func kubectlLooksForCustomResources() async throws {
        let api = try await Harness()
        let reply = try await api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
        #expect(reply.status == 200)
        #expect(reply.json["items"] == [])
    }

    @Test func oldEventsGo() {
        let now = Time(seconds: 10_000)
        func event(_ created: Int, last: Int? = nil) -> Event {
            Event(
                metadata: ObjectMeta(creationTimestamp: Time(seconds: created)),
                lastTimestamp: last.map { Time(seconds: $0) })
        }
        #expect(EventExpiry.isOver(event(6_000), at: now))
        #expect(!EventExpiry.isOver(event(6_500), at: now))
        #expect(!EventExpiry.isOver(event(1_000, last: 9_000), at: now))
        #expect(!EventExpiry.isOver(Event(), at: now))
    }

    @Test func aggregatedDocuments() async throws {
        let api = try await Harness()
        let accept =
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
            + "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
        let reply = try await api.get("/apis", accept: accept)
        #expect(
            reply.headers["content-type"] == [
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            ])
        #expect(reply.json["kind"] == "APIGroupDiscoveryList")
        #expect(reply.json["apiVersion"] == "apidiscovery.k8s.io/v2")
        let apps = reply.json["items"]?.arrayValue?.first { $0["metadata"]?["name"] == "apps" }
        let deployment = apps?["versions"]?[0]?["resources"]?.arrayValue?.first {
            $0["resource"] == "deployments"
        }
        #expect(deployment?["resource"] == "deployments")
        #expect(deployment?["scope"] == "Namespaced")
        #expect(deployment?["responseKind"]?["kind"] == "Deployment")
        #expect(deployment?["subresources"]?[0]?["subresource"] == "scale")
        let core = try await api.get("/api", accept: accept)
        #expect(core.json["items"]?.arrayValue?.count == 1)
        #expect(core.json["items"]?[0]?["versions"]?[0]?["freshness"] == "Current")
    }

    @Test func versionAndHealth() async throws {
        let api = try await Harness()
        let version = try await api.get("/version").json
        #expect(version["gitVersion"] == "v1.35.0")
        #expect(version["major"] == "1" && version["minor"] == "35")
        for path in ["/healthz", "/livez", "/readyz"] { #expect(try await api.get(path).text == "ok") }
        let verbose = try await api.get("/readyz?verbose").text
        #expect(verbose.hasPrefix("[+]ping ok\n[+]etcd ok\n[+]etcd-readiness ok\n"))
        #expect(verbose.hasSuffix("[+]shutdown ok\nreadyz check passed\n"))
        #expect(try await api.get("/livez/ping").text == "ok")
        let bad = HealthReport(name: "livez", checks: [HealthCheck("store", failure: "disk full")])
        #expect(!bad.isHealthy)
        #expect(bad.text == "[-]store failed: reason withheld\nlivez check failed\n")
    }

    @Test func openAPIVersion3() async throws {
        let api = try await Harness()
        let index = try await api.get("/openapi/v3").json
        let url = try #require(index["paths"]?["api/v1"]?["serverRelativeURL"]?.stringValue)
        #expect(url.hasPrefix("/openapi/v3/api/v1?hash="))
        let reply = try await api.get(url)
        #expect(reply.headers["cache-control"].first?.contains("immutable") == true)
        let schemas = try #require(reply.json["components"]?["schemas"])
        let pod = try #require(schemas["io.k8s.api.core.v1.Pod"])
        #expect(
            pod["x-kubernetes-group-version-kind"] == [["group": "", "kind": "Pod", "version": "v1"]])
        let port = try #require(schemas["io.k8s.api.core.v1.ServicePort"])
        #expect(port["required"] == ["port"])
        #expect(port["properties"]?["protocol"]?["enum"] == ["SCTP", "TCP", "UDP"])
        // Every reference leads somewhere.
        let text = reply.text
        for part in text.split(separator: "#/components/schemas/").dropFirst() {
            let name = String(part.prefix { $0 != "\"" })
            #expect(schemas[name] != nil, "\(name)")
        }
        // How kubectl finds out that the server validates fields.
        let patch = reply.json["paths"]?["/api/v1/namespaces/{namespace}/pods/{name}"]?["patch"]
        #expect(patch?["x-kubernetes-group-version-kind"]?["kind"] == "Pod")
        let parameters = patch?["parameters"]?.arrayValue?.compactMap { $0["name"]?.stringValue } ?? []
        #expect(parameters.contains("fieldValidation") && parameters.contains("dryRun"))
    }

    @Test func openAPIVersion2() async throws {
        let api = try await Harness()
        #expect(try await api.get("/openapi/v2", accept: "text/html, application/yaml").status == 406)
        let json = try await api.get("/openapi/v2")
        #expect(json.json["swagger"] == "2.0")
        let definitions = try #require(json.json["definitions"])
        let spec = definitions["io.k8s.api.core.v1.PodSpec"]
        #expect(spec?["properties"]?["containers"]?["x-kubernetes-patch-merge-key"] == "name")
        for part in json.text.split(separator: "#/definitions/").dropFirst() {
            let name = String(part.prefix { $0 != "\"" })
            #expect(definitions[name] != nil, "\(name)")
        }
        let binary = try await api.get(
            "/openapi/v2", accept: "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
        // Field 1, length-delimited: "2.0".
        #expect(Array(binary.bytes.prefix(5)) == [0x0A, 3, 0x32, 0x2E, 0x30])
        #expect(binary.bytes.count > 50_000)
        let tag = try #require(binary.headers["etag"].first)
        let unchanged = try await api.send(
            .GET, "/openapi/v2",
            headers: [
                "accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf", "if-none-match": tag,
            ])
        #expect(unchanged.status == 304)
    }
}
