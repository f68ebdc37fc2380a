import APIServer
import KubernetesAPI
import KubernetesJSON
import ObjectStore
import Testing

/// What is found between Services and IPAddress objects that do not agree.
@Suite struct AddressRepairTests {
    private func service(_ name: String, _ addresses: [String], created: Int = 0) -> Service {
        Service(
            metadata: ObjectMeta(
                name: name, namespace: "default", creationTimestamp: Time(seconds: created)),
            spec: ServiceSpec(clusterIPs: addresses, type: "ClusterIP"))
    }

    private func address(_ name: String, of service: String, created: Int = 0) -> IPAddress {
        var object = IPAddress(
            metadata: ObjectMeta(
                name: name,
                labels: [
                    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
                    "ipaddress.kubernetes.io/ip-family": name.contains(":") ? "IPv6" : "IPv4",
                ]),
            spec: IPAddressSpec(
                parentRef: ParentReference(resource: "services", namespace: "default", name: service)))
        object.metadata.creationTimestamp = Time(seconds: created)
        return object
    }

    private func look(_ services: [Service], _ addresses: [IPAddress], now: Int = 1000) -> AddressRepair {
        var repair = AddressRepair(
            .init(
                address: { name in addresses.first { $0.metadata.name == name } },
                service: { parent in services.first { $0.metadata.name == parent.name } },
                ranges: ["10.96.0.0/16", "fd00:96::/112"].compactMap { NetworkRange($0) },
                now: Time(seconds: now)))
        for service in services { repair.check(service) }
        for address in addresses { repair.check(address) }
        return repair
    }

    @Test func whatAgreesIsLeftAlone() {
        let repair = look(
            [service("a", ["10.96.0.7", "fd00:96::7"]), service("headless", ["None"])],
            [address("10.96.0.7", of: "a"), address("fd00:96::7", of: "a")])
        #expect(repair.findings.isEmpty && repair.lookAgainAfter == nil)
    }

    @Test func aMissingObjectIsMade() {
        let findings = look([service("a", ["10.96.0.7"])], []).findings
        #expect(findings.map(\.reason) == ["ClusterIPNotAllocated"])
        #expect(findings.first?.message == "Cluster IP [IPv4]: 10.96.0.7 is not allocated; repairing")
        #expect(findings.first?.create?.spec.parentRef?.name == "a")
        #expect(findings.first?.subject.kind == "Service")
    }

    @Test func aWrongReferenceIsSetRight() {
        let findings = look([service("a", ["10.96.0.7"])], [address("10.96.0.7", of: "gone")]).findings
        #expect(findings.map(\.reason) == ["ClusterIPNotAllocated"])
        #expect(findings.first?.delete?.spec.parentRef?.name == "gone")
        #expect(findings.first?.create?.spec.parentRef?.name == "a")
        // By hand, under the Service's name but not as the allocator writes it.
        var unmarked = address("10.96.0.8", of: "b")
        unmarked.metadata.labels = [:]
        let marked = look([service("b", ["10.96.0.8"])], [unmarked]).findings
        #expect(marked.first?.create?.metadata.labels["ipaddress.kubernetes.io/ip-family"] == "IPv4")
    }

    @Test func anAddressOfTwoServicesStaysWithOne() {
        let two = [service("a", ["10.96.0.7"]), service("b", ["10.96.0.7"])]
        let known = look(two, [address("10.96.0.7", of: "b")]).findings
        #expect(known.map(\.reason) == ["ClusterIPAlreadyAllocated"])
        #expect(known.first?.subject.name == "a" && known.first?.create == nil)
        #expect(
            known.first?.message
                == "Cluster IP [IPv4]:10.96.0.7 was assigned to multiple services; please recreate service")
        let unknown = look(two, []).findings
        #expect(unknown.map(\.reason) == ["ClusterIPNotAllocated", "ClusterIPAlreadyAllocated"])
        #expect(unknown.map(\.subject.name) == ["a", "b"])
    }

    @Test func anAddressOutsideAllRangesIsToldOf() {
        let findings = look([service("a", ["10.97.0.7"])], []).findings
        #expect(findings.map(\.reason) == ["ClusterIPOutOfRange"])
        #expect(findings.first?.create == nil)
    }

    @Test func anOrphanGoesAfterAMinute() {
        let young = look([], [address("10.96.0.7", of: "gone", created: 960)])
        #expect(young.findings.isEmpty && young.lookAgainAfter == 20)
        let old = look([], [address("10.96.0.7", of: "gone", created: 940)])
        #expect(old.findings.map(\.reason) == ["IPAddressNotAllocated"])
        #expect(old.findings.first?.delete?.metadata.name == "10.96.0.7")
        #expect(
            old.findings.first?.message
                == "IPAddress: 10.96.0.7 for Service default/gone appears to have leaked; cleaning up")
        let moved = look(
            [service("a", ["10.96.0.8"])],
            [
                address("10.96.0.7", of: "a"), address("10.96.0.8", of: "a"),
            ]
        ).findings
        #expect(moved.map(\.reason) == ["IPAddressWrongReference"])
        // What others keep is theirs.
        var manual = address("10.96.0.9", of: "gone")
        manual.metadata.labels = [:]
        #expect(look([], [manual]).findings.isEmpty)
    }

    @Test func aServerRepairsWhatItFindsAtStartAndTellsOfIt() async throws {
        let api = try await Harness()
        let made = try await api.post(
            Harness.services, AddressTests.service("web"))
        let address = try #require(made.json["spec"]?["clusterIP"]?.stringValue)
        let path = "\(AddressTests.networking)/ipaddresses/\(address)"
        #expect(try await api.delete(path).status == 200)
        // The address stays the Service's whatever becomes of the object.
        let stolen = try await api.post(
            Harness.services, AddressTests.service("thief", #""clusterIP":"\#(address)""#))
        #expect(stolen.status == 422)
        try await api.server.prepare()
        #expect(try await api.get(path).json["spec"]?["parentRef"]?["name"] == "web")
        let events = try await api.get("/api/v1/namespaces/default/events").json["items"]?.arrayValue ?? []
        let event = try #require(events.first { $0["reason"] == "ClusterIPNotAllocated" })
        #expect(event["involvedObject"]?["name"] == "web")
        #expect(event["source"]?["component"] == "ipallocator-repair-controller")
        #expect(event["type"] == "Warning")
        // The second time there is nothing to do.
        let before = api.store.revision
        try await api.server.prepare()
        #expect(api.store.revision == before)
    }

    @Test func aRunningServerRepairsAtOnce() async throws {
        let api = try await Harness()
        let made = try await api.post(Harness.services, AddressTests.service("web"))
        let address = try #require(made.json["spec"]?["clusterIP"]?.stringValue)
        let key = ObjectKey(resource: "ipaddresses.networking.k8s.io", namespace: "", name: address)
        let old = try #require(api.store.get(key)).uid
        let running = Task { try await api.server.run() }
        defer { running.cancel() }
        let changes = try api.store.watch(
            resource: "ipaddresses.networking.k8s.io", namespace: nil, after: api.store.revision)
        _ = try await api.delete("\(AddressTests.networking)/ipaddresses/\(address)")
        for try await element in changes {
            guard case .event(let event) = element, event.kind == .added else { continue }
            #expect(event.key == key && event.object.uid != old)
            break
        }
    }
}
