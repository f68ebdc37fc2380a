import APIServer
import KubernetesAPI
import KubernetesJSON
import Testing

/// `ipFamilyPolicy`, `ipFamilies` and `clusterIPs` in a cluster of two families, and in one of one.
@Suite struct DualStackTests {
    private func dual() async throws -> Harness {
        try await Harness { $0.serviceRanges = ["10.96.0.0/16", "fd00:96::/112"] }
    }

    private func create(_ api: Harness, _ name: String, _ spec: String = "") async throws -> Harness.Reply {
        try await api.post(Harness.services, AddressTests.service(name, spec))
    }

    private func families(_ reply: Harness.Reply) -> [String] {
        reply.json["spec"]?["ipFamilies"]?.arrayValue?.compactMap(\.stringValue) ?? []
    }

    private func addresses(_ reply: Harness.Reply) -> [String] {
        reply.json["spec"]?["clusterIPs"]?.arrayValue?.compactMap(\.stringValue) ?? []
    }

    private func isDual(_ reply: Harness.Reply) -> Bool {
        let addresses = addresses(reply)
        return addresses.count == 2 && addresses[0].hasPrefix("10.96.")
            && addresses[1].hasPrefix("fd00:96::") && families(reply) == ["IPv4", "IPv6"]
            && reply.json["spec"]?["clusterIP"]?.stringValue == addresses[0]
    }

    @Test func whatAServiceGets() async throws {
        let api = try await dual()
        let plain = try await create(api, "plain")
        #expect(plain.json["spec"]?["ipFamilyPolicy"] == "SingleStack")
        #expect(families(plain) == ["IPv4"] && addresses(plain).count == 1)
        #expect(isDual(try await create(api, "prefer", #""ipFamilyPolicy":"PreferDualStack""#)))
        #expect(isDual(try await create(api, "require", #""ipFamilyPolicy":"RequireDualStack""#)))
        let six = try await create(api, "six", #""ipFamilies":["IPv6"]"#)
        #expect(addresses(six).first?.hasPrefix("fd00:96::") == true && addresses(six).count == 1)
        let sixFirst = try await create(
            api, "six-first", #""ipFamilyPolicy":"PreferDualStack","ipFamilies":["IPv6"]"#)
        #expect(families(sixFirst) == ["IPv6", "IPv4"])
        #expect(addresses(sixFirst).first?.hasPrefix("fd00:96::") == true)
        let wish = try await create(
            api, "wish",
            #""ipFamilyPolicy":"PreferDualStack","clusterIPs":["fd00:96::77"],"clusterIP":"fd00:96::77""#
        )
        #expect(addresses(wish).first == "fd00:96::77" && families(wish) == ["IPv6", "IPv4"])
        let headless = try await create(
            api, "headless", #""clusterIP":"None","selector":{"a":"b"},"ipFamilyPolicy":"PreferDualStack""#)
        #expect(families(headless) == ["IPv4", "IPv6"] && addresses(headless) == ["None"])
    }

    @Test func whatCannotBe() async throws {
        let api = try await dual()
        let policy = #"spec.ipFamilyPolicy: Invalid value: "SingleStack": "#
        let families = try await create(
            api, "a", #""ipFamilyPolicy":"SingleStack","ipFamilies":["IPv4","IPv6"]"#)
        #expect(
            families.message == #"Service "a" is invalid: \#(policy)must be 'RequireDualStack' or "#
                + "'PreferDualStack' when multiple IP families are specified")
        let addresses = try await create(
            api, "a", #""clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9","fd00:96::9"]"#)
        #expect(
            addresses.message.contains(
                "\(policy)must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"
            ), "\(addresses.message)")
        let twice = try await create(
            api, "a",
            #""ipFamilyPolicy":"RequireDualStack","clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9","fd00:97::9"]"#
        )
        #expect(
            twice.message
                == #"Service "a" is invalid: spec.clusterIPs: Invalid value: []string{"10.96.0.9", "fd00:97::9"}: "#
                + "failed to allocate IP fd00:97::9: the provided network does not match the current range")
        // The other address was not kept.
        #expect(try await create(api, "b", #""clusterIP":"10.96.0.9""#).status == 201)
    }

    @Test func oneFamilyOnly() async throws {
        let api = try await Harness()
        let required = try await create(api, "a", #""ipFamilyPolicy":"RequireDualStack""#)
        #expect(
            required.message
                == #"Service "a" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": "#
                + "this cluster is not configured for dual-stack services")
        let six = try await create(api, "a", #""ipFamilies":["IPv6"]"#)
        #expect(
            six.message == #"Service "a" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": "#
                + "not configured on this cluster")
        let address = try await create(api, "a", #""clusterIP":"fd00::1""#)
        #expect(
            address.message
                == #"Service "a" is invalid: spec.clusterIPs[0]: Invalid value: []string{"fd00::1"}: "#
                + "IPv6 is not configured on this cluster")
        let prefer = try await create(api, "a", #""ipFamilyPolicy":"PreferDualStack""#)
        #expect(families(prefer) == ["IPv4"] && addresses(prefer).count == 1)
        // Nobody knows of which families the endpoints will be that somebody writes.
        let bare = try await create(api, "bare", #""clusterIP":"None""#)
        #expect(bare.json["spec"]?["ipFamilyPolicy"] == "RequireDualStack")
        #expect(families(bare) == ["IPv4", "IPv6"])
    }

    @Test func upAndDown() async throws {
        let api = try await dual()
        let web = Harness.services + "/web"
        let first = addresses(try await create(api, "web"))
        let up = try await api.patch(web, #"{"spec":{"ipFamilyPolicy":"PreferDualStack"}}"#)
        #expect(isDual(up) && addresses(up)[0] == first[0])
        let second = addresses(up)[1]
        #expect(try await api.get("\(AddressTests.networking)/ipaddresses/\(second)").status == 200)
        // Without the policy the second is not given back.
        let refused = try await api.patch(
            web, #"{"spec":{"clusterIPs":["\#(first[0])"],"ipFamilies":["IPv4"]}}"#)
        #expect(refused.status == 422)
        let down = try await api.patch(web, #"{"spec":{"ipFamilyPolicy":"SingleStack"}}"#)
        #expect(addresses(down) == first && families(down) == ["IPv4"], "\(down.message)")
        #expect(try await api.get("\(AddressTests.networking)/ipaddresses/\(second)").status == 404)
        let wish = try await api.patch(
            web,
            #"{"spec":{"ipFamilyPolicy":"RequireDualStack","clusterIPs":["\#(first[0])","fd00:96::88"],"ipFamilies":["IPv4","IPv6"]}}"#
        )
        #expect(addresses(wish) == [first[0], "fd00:96::88"], "\(wish.message)")
    }
}

/// Every type of Service becomes every other, and keeps and gives back what upstream's does.
@Suite struct TypeChangeTests {
    static let types = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "Headless"]
    static let pairs = types.flatMap { from in types.filter { $0 != from }.map { (from, $0) } }

    private static func spec(_ type: String) -> String {
        let ports = #""ports":[{"port":80}]"#
        return switch type {
        case "ExternalName": #"{"type":"ExternalName","externalName":"example.com"}"#
        case "Headless": #"{"type":"ClusterIP","clusterIP":"None","selector":{"a":"b"},\#(ports)}"#
        case "LoadBalancer":
            #"{"type":"LoadBalancer","externalTrafficPolicy":"Local","selector":{"a":"b"},\#(ports)}"#
        default: #"{"type":"\#(type)","selector":{"a":"b"},\#(ports)}"#
        }
    }

    @Test(arguments: pairs) func changes(_ from: String, _ to: String) async throws {
        let api = try await Harness()
        let made = try await api.post(
            Harness.services, #"{"metadata":{"name":"web"},"spec":\#(Self.spec(from))}"#)
        #expect(made.status == 201, "\(made.message)")
        var wanted = Self.spec(to)
        if to == "ExternalName" {
            wanted = #"{"type":"ExternalName","externalName":"example.com","ports":null}"#
        }
        let changed = try await api.patch(
            Harness.services + "/web", #"{"spec":\#(wanted)}"#, type: "strategic")
        let (old, new) = (made.json["spec"], changed.json["spec"])
        let isHeadless = (from == "Headless", to == "Headless")
        // An address cannot become none, nor none an address, except by way of ExternalName.
        if isHeadless.0 != isHeadless.1, from != "ExternalName", to != "ExternalName" {
            guard !(isHeadless.0 && to == "ClusterIP") else {
                // The patch does not name clusterIP, so that nothing changes.
                #expect(changed.status == 200, "\(changed.message)")
                return
            }
            #expect(changed.status == 422, "\(from) to \(to)")
            return
        }
        #expect(changed.status == 200, "\(changed.message)")
        #expect(new?["type"]?.stringValue == (to == "Headless" ? "ClusterIP" : to))
        let address = new?["clusterIP"]?.stringValue
        switch to {
        case "ExternalName":
            #expect(address == nil && new?["ipFamilies"] == nil && new?["ipFamilyPolicy"] == nil)
            #expect(new?["internalTrafficPolicy"] == nil && new?["externalTrafficPolicy"] == nil)
        case "Headless": #expect(address == "None")
        default:
            #expect(address?.hasPrefix("10.96.") == true)
            if from != "ExternalName" { #expect(address == old?["clusterIP"]?.stringValue) }
        }
        let nodePort = new?["ports"]?[0]?["nodePort"]?.integerValue
        #expect((nodePort != nil) == ["NodePort", "LoadBalancer"].contains(to))
        if ["NodePort", "LoadBalancer"].contains(from), nodePort != nil {
            #expect(nodePort == old?["ports"]?[0]?["nodePort"]?.integerValue)
        }
        #expect((new?["healthCheckNodePort"] != nil) == (to == "LoadBalancer"))
        #expect((new?["allocateLoadBalancerNodePorts"] != nil) == (to == "LoadBalancer"))
        // What it gave up can be had by others, what it has not.
        let objects = try await api.get("\(AddressTests.networking)/ipaddresses").json["items"]?.arrayValue
        #expect(objects?.count == (["ExternalName", "Headless"].contains(to) ? 1 : 2))
    }
}
