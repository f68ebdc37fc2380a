import APIServer
import KubernetesAPI
import KubernetesJSON
import ObjectStore
import Testing

/// What people and machines are told of addresses and ports that are given out, or are not.
@Suite struct AllocationReportTests {
    private static let events = "/api/v1/namespaces/default/events"

    @Test func whoeverTriesAgainIsToldOnceInAWhile() {
        var told = RecentlyTold<String>(pause: 300, capacity: 2)
        func isNews(_ subject: String, at seconds: Int) -> Bool {
            told.isNews(subject, now: Time(seconds: seconds))
        }
        #expect(isNews("a", at: 0))
        #expect(!isNews("a", at: 299))
        #expect(isNews("a", at: 300))
        #expect(isNews("b", at: 301))
        // A third subject takes the place of the eldest.
        #expect(isNews("c", at: 302))
        #expect(!isNews("b", at: 303))
        #expect(isNews("a", at: 304))
    }

    @Test func messagesSayWhoHasItAndWhatToDo() throws {
        let address = try #require(NetworkAddress("10.96.0.7"))
        let services = [
            Service(
                metadata: ObjectMeta(name: "first", namespace: "shop"),
                spec: ServiceSpec(
                    ports: [ServicePort(port: 80, nodePort: 30080)], clusterIPs: ["10.96.0.7"],
                    type: "NodePort"))
        ]
        let ranges = ["10.96.0.0/28", "10.97.0.0/24"].compactMap { NetworkRange($0) }
        func message(_ cause: AllocationRefusal.Cause) -> String {
            AllocationRefusal(service: ObjectReference(), cause: cause).message(
                services: { services }, ranges: { $0 == "IPv4" ? ranges : [] }, nodePorts: 30000...32767)
        }
        #expect(
            message(.addressesFull(family: "IPv4")).hasPrefix(
                "no IPv4 address is left in 10.96.0.0/28, 10.97.0.0/24. "))
        #expect(message(.addressesFull(family: "IPv6")).hasPrefix("no IPv6 address is left in any range. "))
        #expect(message(.addressTaken(address)).hasPrefix("10.96.0.7 is taken by Service shop/first. "))
        #expect(message(.portTaken(30080)).hasPrefix("node port 30080 is taken by Service shop/first. "))
        // Given out and not committed yet: nobody has it by name.
        #expect(message(.portTaken(30081)).hasPrefix("node port 30081 is taken. "))
        #expect(message(.portOutOfRange(80)).hasPrefix("node port 80 is not in 30000-32767. "))
    }

    /// Runs the server until an event of that reason is there.
    private func event(_ reason: String, _ api: Harness, _ cause: () async throws -> Void) async throws
        -> JSONValue
    {
        let running = Task { try await api.server.run() }
        defer { running.cancel() }
        let changes = try api.store.watch(
            resource: "events", namespace: nil, after: api.store.revision)
        try await cause()
        for try await element in changes {
            guard case .event(let event) = element, let object = try? JSONValue(json: event.object.bytes),
                object["reason"] == .string(reason)
            else { continue }
            return object
        }
        return .null
    }

    @Test func aPortThatIsTakenIsAnEventOnTheServiceThatWantsIt() async throws {
        let api = try await Harness()
        let port = #""type":"NodePort","ports":[{"port":80,"nodePort":30080}]"#
        #expect(try await api.post(Harness.services, AddressTests.service("first", port)).status == 201)
        let second = try await api.post(Harness.services, AddressTests.service("second"))
        #expect(second.status == 201)
        let told = try await event("PortAlreadyAllocated", api) {
            let refused = try await api.patch(Harness.services + "/second", "{\"spec\":{\(port)}}")
            #expect(refused.status == 422, "\(refused.message)")
        }
        #expect(told["involvedObject"]?["name"] == "second")
        #expect(told["involvedObject"]?["uid"] == second.json["metadata"]?["uid"])
        #expect(told["type"] == "Warning")
        #expect(told["message"]?.stringValue?.contains("taken by Service default/first") == true)
    }

    @Test func aFullRangeIsAnEventToo() async throws {
        let api = try await Harness { $0.serviceRanges = ["10.96.0.0/28"] }
        for index in 0..<13 {
            _ = try await api.post(Harness.services, AddressTests.service("s\(index)"))
        }
        let told = try await event("ServiceCIDRFull", api) {
            // A trial leaves nothing behind.
            _ = try await api.post(Harness.services + "?dryRun=All", AddressTests.service("tried"))
            _ = try await api.post(Harness.services, AddressTests.service("late"))
        }
        #expect(told["involvedObject"]?["name"] == "late")
        let metrics = try await api.get("/metrics").text
        for line in [
            #"kube_apiserver_clusterip_allocator_allocated_ips{cidr="10.96.0.0/28"} 14"#,
            #"kube_apiserver_clusterip_allocator_available_ips{cidr="10.96.0.0/28"} 0"#,
            #"kube_apiserver_clusterip_allocator_allocation_errors_total{cidr="10.96.0.0/28",scope="dynamic"} 1"#,
            #"kube_apiserver_clusterip_allocator_allocation_total{cidr="10.96.0.0/28",scope="dynamic"} 13"#,
        ] { #expect(metrics.contains(line), "\(line) in\n\(metrics)") }
    }

    @Test func nodePortsAreCounted() async throws {
        let api = try await Harness()
        let asked = #""type":"NodePort","ports":[{"port":80,"nodePort":30080}]"#
        _ = try await api.post(Harness.services, AddressTests.service("asked", asked))
        _ = try await api.post(Harness.services, AddressTests.service("drawn", #""type":"NodePort""#))
        _ = try await api.post(Harness.services, AddressTests.service("refused", asked))
        let metrics = try await api.get("/metrics").text
        let prefix = "kube_apiserver_nodeport_allocator_"
        for line in [
            "allocated_ports 2", "available_ports 2766", #"allocation_total{scope="static"} 1"#,
            #"allocation_total{scope="dynamic"} 1"#, #"allocation_errors_total{scope="static"} 1"#,
        ] { #expect(metrics.contains("\n" + prefix + line), "\(line) in\n\(metrics)") }
    }

    @Test func portsOfSeveralServicesAndOutsideOfTheRangeAreTold() {
        func service(_ name: String, port: Int) -> Service {
            Service(
                metadata: ObjectMeta(name: name, namespace: "default"),
                spec: ServiceSpec(ports: [ServicePort(port: 80, nodePort: port)], type: "NodePort"))
        }
        let services = [service("a", port: 30001), service("b", port: 30001), service("c", port: 40000)]
        var repair = AddressRepair(
            .init(
                address: { _ in nil }, service: { _ in nil }, ranges: [],
                sharing: { port in port == 30001 ? Array(services.prefix(2)) : [] }, now: Time(seconds: 0)))
        for service in services { repair.check(service) }
        #expect(repair.findings.map(\.subject.name) == ["b", "c"])
        #expect(repair.findings.map(\.reason) == ["PortAlreadyAllocated", "PortOutOfRange"])
        #expect(repair.findings.allSatisfy { $0.component == "portallocator-repair-controller" })
    }
}
