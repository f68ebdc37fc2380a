import Controllers
import KubernetesAPI
import Testing

@Suite("Endpoints written by hand are mirrored into slices")
struct MirroringReconcilerTests {
    private func endpoints(_ subsets: [EndpointSubset]) -> Endpoints {
        Endpoints(
            metadata: ObjectMeta(name: "web", namespace: "default", uid: "u", labels: ["a": "b"]),
            subsets: subsets)
    }

    private let subset = EndpointSubset(
        addresses: [EndpointAddress(ip: "192.0.2.20"), EndpointAddress(ip: "2001:db8::1")],
        notReadyAddresses: [EndpointAddress(ip: "192.0.2.21", hostname: "h", nodeName: "n")],
        ports: [EndpointPort(port: 9090, protocol: "TCP")])

    private func service(selector: [String: String] = [:]) -> Service {
        Service(
            metadata: ObjectMeta(name: "web", namespace: "default"), spec: ServiceSpec(selector: selector))
    }

    @Test("Of a subset a thousand addresses are mirrored, and the others counted")
    func tooMany() {
        var large = subset
        large.addresses = (0..<1200).map { EndpointAddress(ip: "10.0.\($0 / 250).\($0 % 250 + 1)") }
        let object = endpoints([subset, large])
        #expect(MirroringReconciler.leftOut(of: object) == 201)
        let changes = MirroringReconciler.reconcile(object, existing: [])
        #expect(changes.create.reduce(0) { $0 + $1.endpoints.count } == 1003)
        #expect(MirroringReconciler.leftOut(of: endpoints([subset])) == 0)
    }

    @Test("A slice for each family and set of ports, labelled and owned")
    func create() throws {
        var object = endpoints([subset])
        object.metadata.annotations = [
            "note": "mine", "kubectl.kubernetes.io/last-applied-configuration": "{}",
        ]
        let changes = MirroringReconciler.reconcile(object, existing: [])
        try #require(changes.create.count == 2)
        let slice = changes.create[0]
        #expect(slice.metadata.generateName == "web-")
        #expect(
            slice.metadata.labels == [
                "a": "b", "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
            ])
        #expect(slice.metadata.annotations == ["note": "mine"])
        #expect(slice.controllerReference?.kind == "Endpoints")
        #expect(slice.addressType == "IPv4")
        #expect(slice.ports == [EndpointSlicePort(name: "", protocol: "TCP", port: 9090)])
        #expect(
            slice.endpoints == [
                Endpoint(addresses: ["192.0.2.20"], conditions: EndpointConditions(ready: true)),
                Endpoint(
                    addresses: ["192.0.2.21"], conditions: EndpointConditions(ready: false), hostname: "h",
                    nodeName: "n"),
            ])
        #expect(changes.create[1].addressType == "IPv6")
    }

    @Test("What is as it should be stays, what changed is updated, what is left over goes")
    func change() throws {
        let object = endpoints([subset])
        var stored = MirroringReconciler.reconcile(object, existing: []).create
        for index in stored.indices { stored[index].metadata.name = "web-\(index)" }
        #expect(MirroringReconciler.reconcile(object, existing: stored).isEmpty)

        var less = subset
        less.addresses = [EndpointAddress(ip: "192.0.2.22")]
        let changes = MirroringReconciler.reconcile(endpoints([less]), existing: stored)
        #expect(changes.create.isEmpty)
        #expect(changes.update.map(\.metadata.name) == ["web-0"])
        #expect(changes.update[0].endpoints.flatMap(\.addresses) == ["192.0.2.22", "192.0.2.21"])
        #expect(changes.delete.map(\.metadata.name) == ["web-1"])
    }

    @Test("Only for Services without a selector, and not against the author's will")
    func whether() {
        var object = endpoints([subset])
        #expect(MirroringReconciler.mirrors(object, of: service()))
        #expect(!MirroringReconciler.mirrors(object, of: nil))
        #expect(!MirroringReconciler.mirrors(object, of: service(selector: ["app": "web"])))
        object.metadata.labels["endpointslice.kubernetes.io/skip-mirror"] = "true"
        #expect(!MirroringReconciler.mirrors(object, of: service()))
        object.metadata.labels = [:]
        object.metadata.annotations["control-plane.alpha.kubernetes.io/leader"] = "{}"
        #expect(!MirroringReconciler.mirrors(object, of: service()))
    }
}
