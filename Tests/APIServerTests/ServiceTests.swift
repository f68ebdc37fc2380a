import APIServer
import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct ServiceTests {
    static func service(_ name: String, _ spec: String) -> String {
        #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"\#(name)"},"spec":{\#(spec)}}"#
    }

    @Test func clusterIPIsAllocated() async throws {
        let api = try await Harness()
        let reply = try await api.post(
            Harness.services,
            Self.service("web", #""selector":{"app":"web"},"ports":[{"port":80,"targetPort":3000}]"#))
        #expect(reply.status == 201)
        let spec = try #require(reply.json["spec"])
        let address = try #require(spec["clusterIP"]?.stringValue)
        #expect(address.hasPrefix("10.96."))
        #expect(spec["clusterIPs"] == [.string(address)])
        #expect(spec["ipFamilies"] == ["IPv4"])
        #expect(spec["ipFamilyPolicy"] == "SingleStack")
        #expect(spec["ports"]?[0]?["nodePort"] == nil)
        #expect(reply.json["status"] == ["loadBalancer": [:]])
        #expect(reply.json["metadata"]?["generation"] == nil)
    }

    @Test func explicitAddresses() async throws {
        let api = try await Harness()
        let ports = #""ports":[{"port":80}]"#
        let wish = #""clusterIP":"10.96.0.77",\#(ports)"#
        let first = try await api.post(Harness.services, Self.service("one", wish))
        #expect(first.status == 201)
        #expect(first.json["spec"]?["clusterIPs"] == ["10.96.0.77"])
        let twice = try await api.post(Harness.services, Self.service("two", wish))
        #expect(twice.status == 422)
        #expect(
            twice.message
                == #"Service "two" is invalid: spec.clusterIPs: Invalid value: []string{"10.96.0.77"}: "#
                + "failed to allocate IP 10.96.0.77: provided IP is already allocated")
        let outside = try await api.post(
            Harness.services, Self.service("bad3", #""clusterIP":"1.2.3.4",\#(ports)"#))
        #expect(
            outside.message
                == #"Service "bad3" is invalid: spec.clusterIPs: Invalid value: []string{"1.2.3.4"}: "#
                + "failed to allocate IP 1.2.3.4: the provided network does not match the current range")
        // What is deleted can be had again.
        _ = try await api.delete(Harness.services + "/one")
        #expect(try await api.post(Harness.services, Self.service("two", wish)).status == 201)
    }

    @Test func nodePorts() async throws {
        let api = try await Harness()
        let reply = try await api.post(
            Harness.services,
            Self.service("np", #""type":"NodePort","ports":[{"name":"a","port":80},{"name":"b","port":81}]"#))
        let ports = try #require(reply.json["spec"]?["ports"]?.arrayValue)
        let numbers = ports.compactMap { $0["nodePort"]?.integerValue }
        #expect(numbers.count == 2 && Set(numbers).count == 2)
        #expect(numbers.allSatisfy { (30000...32767).contains($0) })
        let taken = try await api.post(
            Harness.services,
            Self.service("np2", #""type":"NodePort","ports":[{"port":80,"nodePort":\#(numbers[0])}]"#))
        #expect(
            taken.message
                == #"Service "np2" is invalid: spec.ports[0].nodePort: Invalid value: \#(numbers[0]): "#
                + "provided port is already allocated")
        let outside = try await api.post(
            Harness.services,
            Self.service("np-bad", #""type":"NodePort","ports":[{"port":80,"nodePort":80}]"#))
        #expect(
            outside.message
                == #"Service "np-bad" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port "#
                + "is not in the valid range. The range of valid ports is 30000-32767")
    }

    @Test func sameNodePortForTwoProtocols() async throws {
        let api = try await Harness()
        let reply = try await api.post(
            Harness.services,
            Self.service(
                "dns",
                #""type":"NodePort","ports":[{"name":"t","port":53,"protocol":"TCP"},"#
                    + #"{"name":"u","port":53,"protocol":"UDP"}]"#))
        #expect(reply.status == 201)
        let numbers = reply.json["spec"]?["ports"]?.arrayValue?.compactMap { $0["nodePort"]?.integerValue }
        #expect(numbers?.count == 2)
    }

    @Test func headlessAndExternalName() async throws {
        let api = try await Harness()
        let headless = try await api.post(
            Harness.services,
            Self.service("h", #""clusterIP":"None","selector":{"a":"b"},"ports":[{"port":80}]"#))
        #expect(headless.json["spec"]?["clusterIPs"] == ["None"])
        #expect(headless.json["spec"]?["ipFamilies"] == ["IPv4"])
        let external = try await api.post(
            Harness.services, Self.service("ext", #""type":"ExternalName","externalName":"example.com""#))
        #expect(external.status == 201)
        #expect(external.json["spec"]?["clusterIP"] == nil)
        #expect(external.json["spec"]?["ipFamilies"] == nil)
    }

    @Test func changesOfType() async throws {
        let api = try await Harness()
        let web = Harness.services + "/web"
        let created = try await api.post(Harness.services, Self.service("web", #""ports":[{"port":80}]"#))
        let address = created.json["spec"]?["clusterIP"]
        let nodePort = try await api.patch(web, #"{"spec":{"type":"NodePort"}}"#, type: "strategic")
        #expect(nodePort.json["spec"]?["clusterIP"] == address)
        #expect(nodePort.json["spec"]?["ports"]?[0]?["nodePort"] != nil)
        let back = try await api.patch(web, #"{"spec":{"type":"ClusterIP"}}"#, type: "strategic")
        #expect(back.json["spec"]?["ports"]?[0]?["nodePort"] == nil)
        let external = try await api.patch(
            web, #"{"spec":{"type":"ExternalName","externalName":"example.org"}}"#, type: "strategic")
        #expect(external.status == 200)
        #expect(external.json["spec"]?["clusterIP"] == nil)
    }

    @Test func replacementWithoutAllocatedValuesKeepsThem() async throws {
        let api = try await Harness()
        let created = try await api.post(
            Harness.services, Self.service("web", #""type":"NodePort","ports":[{"port":80}]"#))
        let replaced = try await api.put(
            Harness.services + "/web",
            Self.service("web", #""type":"NodePort","selector":{"x":"y"},"ports":[{"port":80}]"#))
        #expect(replaced.json["spec"]?["clusterIP"] == created.json["spec"]?["clusterIP"])
        #expect(
            replaced.json["spec"]?["ports"]?[0]?["nodePort"]
                == created.json["spec"]?["ports"]?[0]?["nodePort"])
    }

    @Test func concurrentCreationsNeverShareAnAddress() async throws {
        let api = try await Harness()
        let addresses = try await withThrowingTaskGroup(of: String?.self) { group in
            for index in 0..<60 {
                group.addTask {
                    try await api.post(
                        Harness.services, Self.service("s\(index)", #""ports":[{"port":80}]"#)
                    ).json["spec"]?["clusterIP"]?.stringValue
                }
            }
            return try await group.reduce(into: [String]()) { list, address in
                if let address { list.append(address) }
            }
        }
        #expect(addresses.count == 60)
        #expect(Set(addresses).count == 60)
    }

    @Test func bootstrapService() async throws {
        let api = try await Harness()
        let reply = try await api.get(Harness.services + "/kubernetes")
        #expect(reply.json["spec"]?["clusterIP"] == "10.96.0.1")
        #expect(reply.json["spec"]?["ports"]?[0]?["port"] == 443)
        let endpoints = try await api.get("/api/v1/namespaces/default/endpoints/kubernetes")
        #expect(endpoints.json["subsets"]?[0]?["ports"]?[0]?["port"] == 6443)
        #expect(
            endpoints.warnings == [
                #"299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice""#
            ])
        let slice = try await api.get(
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
        #expect(slice.json["endpoints"]?[0]?["addresses"] == ["10.200.0.2"])
        // Doing it again changes nothing.
        let before = api.store.revision
        try await api.server.prepare()
        #expect(api.store.revision == before)
    }
}
