import Controllers
import KubernetesAPI
import Testing

@Suite("EndpointSlices and Endpoints of a Service")
struct EndpointReconcilerTests {
    private let reconciler = EndpointSliceReconciler()

    private func slices(_ service: Service, _ pods: [Pod], existing: [EndpointSlice] = [])
        -> EndpointSliceChanges
    {
        reconciler.reconcile(service, pods: pods, existing: existing, trigger: Make.now)
    }

    /// The slice as it would come back from the server.
    private func stored(_ slice: EndpointSlice, _ name: String) -> EndpointSlice {
        var slice = slice
        slice.metadata.name = name
        return slice
    }

    @Test("One slice, owned and labelled, an endpoint a pod, the target port")
    func first() throws {
        let changes = slices(
            Make.service(), [Make.pod("a", ip: "10.244.0.2"), Make.pod("b", ip: "10.244.0.3")])
        let slice = try #require(changes.create.first)
        #expect(changes.create.count == 1)
        #expect(slice.metadata.generateName == "web-")
        #expect(slice.metadata.labels["kubernetes.io/service-name"] == "web")
        #expect(
            slice.metadata.labels["endpointslice.kubernetes.io/managed-by"]
                == "endpointslice-controller.k8s.io")
        #expect(slice.controllerReference?.uid == "service-uid")
        #expect(slice.addressType == "IPv4")
        #expect(slice.ports.map(\.port) == [3000])
        #expect(slice.endpoints.flatMap(\.addresses) == ["10.244.0.2", "10.244.0.3"])
        #expect(slice.endpoints.first?.targetRef?.name == "a")
        #expect(slice.endpoints.first?.nodeName == "node1")
    }

    @Test(
        "Conditions: ready, serving, terminating",
        arguments: [
            (true, false, true, true, false), (false, false, false, false, false),
            (true, true, false, true, true),
            (false, true, false, false, true),
        ])
    func conditions(ready: Bool, terminating: Bool, isReady: Bool, serving: Bool, isTerminating: Bool) throws
    {
        var pod = Make.pod("a", ready: ready)
        if terminating { pod.metadata.deletionTimestamp = Make.now }
        let conditions = try #require(slices(Make.service(), [pod]).create.first?.endpoints.first?.conditions)
        #expect(conditions.ready == isReady)
        #expect(conditions.serving == serving)
        #expect(conditions.terminating == isTerminating)
    }

    @Test("publishNotReadyAddresses makes everything ready")
    func publishNotReady() throws {
        var service = Make.service()
        service.spec.publishNotReadyAddresses = true
        let conditions = try #require(
            slices(service, [Make.pod("a", ready: false)]).create.first?.endpoints.first?.conditions)
        #expect(conditions.ready == true)
    }

    @Test("Pods without an address, without a node, or that ended are no endpoints")
    func ineligible() {
        var finished = Make.pod("finished")
        finished.status.phase = "Succeeded"
        let changes = slices(
            Make.service(), [finished, Make.pod("unplaced", node: ""), Make.pod("addressless", ip: "")])
        #expect(changes.create.map(\.endpoints.count) == [0])
    }

    @Test("A pod that comes writes one slice, nothing that stays is touched")
    func addsOne() throws {
        let pods = [Make.pod("a", ip: "10.244.0.2")]
        let slice = stored(try #require(slices(Make.service(), pods).create.first), "web-1")
        #expect(slices(Make.service(), pods, existing: [slice]).isEmpty)
        let changes = slices(Make.service(), pods + [Make.pod("b", ip: "10.244.0.3")], existing: [slice])
        #expect(changes.create.isEmpty && changes.delete.isEmpty)
        #expect(changes.update.first?.endpoints.count == 2)
    }

    @Test("Full slices overflow into new ones, and empty ones go")
    func packs() throws {
        let reconciler = EndpointSliceReconciler(maxEndpointsPerSlice: 2)
        let pods = (1...5).map { Make.pod("p\($0)", ip: "10.244.0.\($0)") }
        let created = reconciler.reconcile(Make.service(), pods: pods, existing: [], trigger: nil).create
        #expect(created.map(\.endpoints.count) == [2, 2, 1])
        let existing = created.enumerated().map { stored($1, "web-\($0)") }
        let fewer = reconciler.reconcile(
            Make.service(), pods: Array(pods.prefix(2)), existing: existing, trigger: nil)
        #expect(fewer.delete.map(\.metadata.name) == ["web-1", "web-2"])
        #expect(fewer.create.isEmpty && fewer.update.isEmpty)
    }

    @Test("A named target port may mean another number on each pod")
    func namedPorts() {
        var a = Make.pod("a", ip: "10.244.0.2")
        a.spec.containers[0].ports = [ContainerPort(name: "http", containerPort: 3000)]
        var b = Make.pod("b", ip: "10.244.0.3")
        b.spec.containers[0].ports = [ContainerPort(name: "http", containerPort: 4000)]
        let created = slices(Make.service(target: "http"), [a, b]).create
        #expect(created.map { $0.ports.first?.port } == [3000, 4000])
    }

    @Test("A Service without pods still has a slice, empty")
    func empty() {
        let created = slices(Make.service(), []).create
        #expect(created.count == 1)
        #expect(created.first?.endpoints.isEmpty == true)
    }

    @Test("Endpoints: ready and not ready apart, sorted, labelled; unchanged means no write")
    func endpoints() throws {
        let pods = [
            Make.pod("b", ip: "10.244.0.9"), Make.pod("a", ip: "10.244.0.2"),
            Make.pod("c", ip: "10.244.0.3", ready: false),
        ]
        let object = try #require(
            EndpointsReconciler.reconcile(Make.service(), pods: pods, existing: nil, trigger: Make.now))
        #expect(object.metadata.labels["endpoints.kubernetes.io/managed-by"] == "endpoint-controller")
        #expect(object.subsets.first?.addresses.map(\.ip) == ["10.244.0.2", "10.244.0.9"])
        #expect(object.subsets.first?.notReadyAddresses.map(\.ip) == ["10.244.0.3"])
        #expect(object.subsets.first?.ports.map(\.port) == [3000])
        #expect(
            EndpointsReconciler.reconcile(Make.service(), pods: pods, existing: object, trigger: nil) == nil)
    }

    @Test("Endpoints hold a thousand addresses and say that there are more")
    func overCapacity() throws {
        let pods = (0..<1001).map { Make.pod("p\($0)", ip: "10.244.\($0 / 250).\($0 % 250 + 1)") }
        let object = try #require(
            EndpointsReconciler.reconcile(Make.service(), pods: pods, existing: nil, trigger: nil))
        #expect(object.subsets.first?.addresses.count == 1000)
        #expect(object.metadata.annotations["endpoints.kubernetes.io/over-capacity"] == "truncated")
    }
}
