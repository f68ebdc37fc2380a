import APIServer
import KubernetesAPI
import KubernetesJSON
import ObjectStore
import Testing

/// Addresses and ranges as numbers, and how free ones are found.
@Suite struct AddressValueTests {
    @Test func addressesParse() {
        #expect(NetworkAddress("10.96.0.1")?.description == "10.96.0.1")
        #expect(NetworkAddress("FD00:0:0::1")?.description == "fd00::1")
        #expect(NetworkAddress("fd00::1")?.family == "IPv6")
        for bad in [
            "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "a.b.c.d", "1..2.3", "-1.2.3.4", "fd00::1::",
            "fe80::1%eth0", ":",
        ] {
            #expect(NetworkAddress(bad) == nil, "\(bad)")
        }
    }

    @Test func rangesParse() {
        #expect(NetworkRange("10.96.3.7/16")?.description == "10.96.0.0/16")
        #expect(NetworkRange("fd00:96::7/112")?.description == "fd00:96::/112")
        for bad in [
            "10.96.0.0", "10.96.0.0/", "10.96.0.0/7", "10.96.0.0/31", "x/16", "fd00::/63", "fd00::/127",
        ] {
            #expect(NetworkRange(bad) == nil, "\(bad)")
        }
    }

    @Test func networkAndBroadcastAddressesAreNotGivenOut() throws {
        let range = try #require(NetworkRange("10.96.0.0/28"))
        #expect(range.lastOffset == 14)
        for outside in ["10.96.0.0", "10.96.0.15", "10.96.0.16", "10.95.255.255", "::1"] {
            #expect(try !range.contains(#require(NetworkAddress(outside))), "\(outside)")
        }
        // IPv6 has no broadcast address.
        let six = try #require(NetworkRange("fd00::/124"))
        #expect(try six.contains(#require(NetworkAddress("fd00::f"))))
        #expect(try !six.contains(#require(NetworkAddress("fd00::"))))
        #expect(try #require(NetworkRange("fd00::/64")).lastOffset == .max)
    }

    /// The formulas of KEP-3070 and KEP-3668, with the examples that they give.
    @Test(arguments: [
        ("10.0.0.0/28", 0), ("10.0.0.0/24", 16), ("10.0.0.0/22", 63), ("10.0.0.0/20", 255),
        ("10.0.0.0/16", 256), ("fd00::/112", 256), ("fd00::/64", 256),
    ])
    func bandsOfAddresses(_ text: String, _ lower: Int) throws {
        let bands = NumberBands(try #require(NetworkRange(text)))
        #expect(bands.lower.map { Int($0.upperBound) } ?? 0 == lower)
        #expect(Int(bands.upper.lowerBound) == lower + 1)
    }

    @Test(arguments: [
        (30000...30010, 0), (30000...30127, 16), (30000...32767, 86), (20000...40000, 128),
    ])
    func bandsOfNodePorts(_ ports: ClosedRange<Int>, _ lower: Int) {
        let bands = NumberBands(nodePorts: ports)
        #expect(
            bands.lower.map { Int($0.upperBound) - 29999 }.map { ports.lowerBound == 30000 ? $0 : 128 } ?? 0
                == lower)
        #expect(Int(bands.upper.lowerBound) == ports.lowerBound + lower)
    }

    @Test func theUpperBandComesFirstAndTheLastFreeNumberIsFound() {
        let bands = NumberBands(nodePorts: 30000...30127)
        var taken: Set<UInt64> = []
        var generator = SystemRandomNumberGenerator()
        for count in 1...128 {
            let number =
                bands.dart(using: &generator) { taken.contains($0) }
                ?? bands.search(using: &generator) { taken.contains($0) }
            guard let number else {
                Issue.record("no number after \(taken.count)")
                return
            }
            #expect(count > 112 || number >= 30016)
            #expect(taken.insert(number).inserted)
        }
        #expect(bands.search(using: &generator) { taken.contains($0) } == nil)
    }
}

/// Service addresses and node ports as they are given out through the API.
@Suite struct AddressTests {
    static let networking = "/apis/networking.k8s.io/v1"

    static func service(_ name: String, _ spec: String = "") -> String {
        let rest = spec.isEmpty ? "" : ",\(spec)"
        return
            #"{"metadata":{"name":"\#(name)"},"spec":{"ports":[{"port":80}]\#(rest)}}"#
    }

    private func create(_ api: Harness, _ name: String, _ spec: String = "") async throws -> Harness.Reply {
        try await api.post(Harness.services, Self.service(name, spec))
    }

    private func small() async throws -> Harness {
        // Fourteen addresses, one of which is the API server's own.
        try await Harness { $0.serviceRanges = ["10.96.0.0/28"] }
    }

    @Test func anAddressAndItsObjectComeAndGoInOneTransaction() async throws {
        let api = try await Harness()
        let before = api.store.revision
        let made = try await create(api, "web")
        let address = try #require(made.json["spec"]?["clusterIP"]?.stringValue)
        let object = try await api.get("\(Self.networking)/ipaddresses/\(address)").json
        #expect(object["spec"]?["parentRef"]?["name"] == "web")
        #expect(object["metadata"]?["labels"]?["ipaddress.kubernetes.io/managed-by"] == "ipallocator.k8s.io")
        #expect(object["metadata"]?["labels"]?["ipaddress.kubernetes.io/ip-family"] == "IPv4")
        #expect(made.json["metadata"]?["resourceVersion"] == .string("\(before + 1)"))
        #expect(object["metadata"]?["resourceVersion"] == .string("\(before + 2)"))
        let revision = api.store.revision
        _ = try await api.delete(Harness.services + "/web")
        #expect(api.store.revision == revision + 2)
        #expect(try await api.get("\(Self.networking)/ipaddresses/\(address)").status == 404)
    }

    @Test func anAddressThatSomebodyKeepsByHandIsTaken() async throws {
        let api = try await Harness()
        let kept = try await api.post(
            "\(Self.networking)/ipaddresses",
            #"{"metadata":{"name":"10.96.0.50"},"spec":{"parentRef":{"group":"gateway.networking.k8s.io","resource":"gateways","namespace":"default","name":"g"}}}"#
        )
        #expect(kept.status == 201, "\(kept.message)")
        let refused = try await create(api, "web", #""clusterIP":"10.96.0.50""#)
        #expect(refused.status == 422)
        #expect(
            refused.message.hasSuffix("failed to allocate IP 10.96.0.50: provided IP is already allocated"))
    }

    @Test func aFullRangeSaysSoAndGrowsByAnother() async throws {
        let api = try await small()
        var seen: Set<String> = ["10.96.0.1"]
        for index in 0..<13 {
            let reply = try await create(api, "s\(index)")
            let address = try #require(reply.json["spec"]?["clusterIP"]?.stringValue)
            #expect(seen.insert(address).inserted)
        }
        let full = try await create(api, "one-too-many")
        #expect(full.status == 500)
        #expect(full.message == "Internal error occurred: failed to allocate a serviceIP: range is full")
        let added = try await api.post(
            "\(Self.networking)/servicecidrs",
            #"{"metadata":{"name":"more"},"spec":{"cidrs":["10.97.0.0/24"]}}"#)
        #expect(added.status == 201, "\(added.message)")
        let fits = try await create(api, "one-too-many")
        #expect(
            fits.json["spec"]?["clusterIP"]?.stringValue?.hasPrefix("10.97.0.") == true, "\(fits.message)")
        #expect(try await create(api, "wish", #""clusterIP":"10.97.0.7""#).status == 201)
        // From a range that is not ready, or that goes, nothing is taken any more.
        let path = "\(Self.networking)/servicecidrs/more"
        let notReady = try await api.patch(
            path + "/status",
            #"{"status":{"conditions":[{"type":"Ready","status":"False","reason":"Terminating","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}"#
        )
        #expect(notReady.status == 200, "\(notReady.message)")
        #expect(try await create(api, "late").status == 500)
    }

    @Test func whatWasGivenBackCanBeHadAgain() async throws {
        let api = try await small()
        for round in 0..<40 {
            #expect(try await create(api, "s\(round)").status == 201, "round \(round)")
            #expect(try await api.delete(Harness.services + "/s\(round)").status == 200)
        }
        // Also by those that go when their last finalizer does.
        let path = Harness.services + "/held"
        let held = try await api.post(
            Harness.services,
            #"{"metadata":{"name":"held","finalizers":["example.com/f"]},"spec":{"clusterIP":"10.96.0.9","ports":[{"port":80}]}}"#
        )
        #expect(held.status == 201, "\(held.message)")
        _ = try await api.delete(path)
        #expect(try await create(api, "early", #""clusterIP":"10.96.0.9""#).status == 422)
        _ = try await api.patch(path, #"{"metadata":{"finalizers":null}}"#)
        #expect(try await create(api, "later", #""clusterIP":"10.96.0.9""#).status == 201)
    }

    @Test func refusedCreationsKeepNothing() async throws {
        let api = try await small()
        for _ in 0..<40 {
            // The address could be had, the port not.
            let refused = try await create(
                api, "web", #""type":"NodePort","ports":[{"port":80,"nodePort":80}]"#)
            #expect(refused.status == 422)
            let dry = try await api.post(Harness.services + "?dryRun=All", Self.service("dry"))
            #expect(dry.status == 201)
        }
        for index in 0..<13 { #expect(try await create(api, "s\(index)").status == 201) }
    }

    @Test func underLoadNobodySharesAndNothingIsLost() async throws {
        let api = try await Harness { $0.serviceRanges = ["10.96.0.0/25", "fd00:96::/120"] }
        // 125 addresses, of which each round takes and gives back all.
        for _ in 0..<3 {
            let addresses = try await withThrowingTaskGroup(of: [String].self) { group in
                for index in 0..<125 {
                    group.addTask {
                        try await create(api, "s\(index)", #""ipFamilyPolicy":"RequireDualStack""#)
                            .json["spec"]?["clusterIPs"]?.arrayValue?.compactMap(\.stringValue) ?? []
                    }
                }
                return try await group.reduce(into: [String]()) { $0 += $1 }
            }
            #expect(addresses.count == 250)
            #expect(Set(addresses).count == 250)
            #expect(try await create(api, "over").status == 500)
            await withTaskGroup(of: Void.self) { group in
                for index in 0..<125 {
                    group.addTask { _ = try? await api.delete(Harness.services + "/s\(index)") }
                }
            }
        }
        let left = try await api.get("\(Self.networking)/ipaddresses").json["items"]?.arrayValue
        #expect(left?.count == 1)
    }

    // MARK: Node ports

    @Test func nodePortsOfSeveralProtocols() async throws {
        let api = try await Harness()
        let two = #"{"name":"t","port":53,"protocol":"TCP"},{"name":"u","port":53,"protocol":"UDP"}"#
        let shared = try await api.post(
            Harness.services,
            #"{"metadata":{"name":"dns"},"spec":{"type":"NodePort","ports":[\#(two)]}}"#)
        let numbers = shared.json["spec"]?["ports"]?.arrayValue?.compactMap { $0["nodePort"]?.integerValue }
        #expect(numbers?.count == 2 && Set(numbers ?? []).count == 1)
        // Of different ports only one can have a number, as upstream.
        let apart = try await api.post(
            Harness.services,
            #"{"metadata":{"name":"b"},"spec":{"type":"NodePort","ports":[{"name":"t","port":53,"protocol":"TCP","nodePort":30053},{"name":"u","port":54,"protocol":"UDP","nodePort":30053}]}}"#
        )
        #expect(
            apart.message
                == #"Service "b" is invalid: spec.ports[1].nodePort: Invalid value: 30053: provided port is already allocated"#
        )
    }

    @Test func loadBalancersWithoutNodePorts() async throws {
        let api = try await Harness()
        let without = try await create(
            api, "lb", #""type":"LoadBalancer","allocateLoadBalancerNodePorts":false"#)
        #expect(without.status == 201, "\(without.message)")
        #expect(without.json["spec"]?["ports"]?[0]?["nodePort"] == nil)
        // A number that is asked for is respected, and taken.
        let ports = #""ports":[{"port":80,"nodePort":30080}]"#
        let wish = try await create(
            api, "wish", #""type":"LoadBalancer","allocateLoadBalancerNodePorts":false,\#(ports)"#)
        #expect(wish.json["spec"]?["ports"]?[0]?["nodePort"] == 30080)
        #expect(
            try await create(api, "np", #""type":"NodePort",\#(ports)"#).message.hasSuffix(
                "provided port is already allocated"))
    }

    @Test func healthCheckNodePorts() async throws {
        let api = try await Harness()
        let local = #""type":"LoadBalancer","externalTrafficPolicy":"Local""#
        let made = try await create(api, "a", local)
        let port = try #require(made.json["spec"]?["healthCheckNodePort"]?.integerValue)
        #expect((30000...32767).contains(port))
        #expect(made.json["spec"]?["ports"]?[0]?["nodePort"] != .integer(Int64(port)))
        let taken = try await create(api, "b", #"\#(local),"healthCheckNodePort":\#(port)"#)
        #expect(taken.status == 500)
        #expect(
            taken.message
                == "Internal error occurred: failed to allocate requested HealthCheck NodePort \(port): "
                + "provided port is already allocated")
        // Given back with the policy.
        let cluster = try await api.patch(
            Harness.services + "/a", #"{"spec":{"externalTrafficPolicy":"Cluster"}}"#)
        #expect(cluster.json["spec"]?["healthCheckNodePort"] == nil)
        #expect(try await create(api, "b", #"\#(local),"healthCheckNodePort":\#(port)"#).status == 201)
    }

    @Test func aPortThatIsRenamedKeepsNothingOneThatIsRenumberedDoes() async throws {
        let api = try await Harness()
        let made = try await create(
            api, "web", #""type":"NodePort","ports":[{"name":"http","port":80}]"#)
        let port = try #require(made.json["spec"]?["ports"]?[0]?["nodePort"]?.integerValue)
        let moved = try await api.put(
            Harness.services + "/web",
            Self.service("web", #""type":"NodePort","ports":[{"name":"http","port":8080}]"#))
        #expect(moved.json["spec"]?["ports"]?[0]?["nodePort"] == .integer(Int64(port)))
    }
}
