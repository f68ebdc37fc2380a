import Controllers
import KubernetesAPI
import Testing

@Suite("EndpointSlices and Endpoints of a Service")
struct EndpointReconcilerTests {
    private let reconciler = EndpointSliceReconciler()

    private func slices(_ service: Service, _ pods: [Pod], existing: [EndpointSlice] = [])
        -> EndpointSliceChanges
    {
        reconciler.reconcile(
            service, pods: pods, nodes: Self.nodes, existing: existing,
            trigger: MicroTime(microseconds: 1_800_000_000_000_001))
    }

    private static let nodes = EndpointNodes([Node(metadata: ObjectMeta(name: "node1"))])

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

    @Test("A pod that comes writes one slice, nothing that stays is touched")
    func addsOne() throws {
        let pods = [Make.pod("a", ip: "10.244.0.2")]
        let slice = stored(try #require(slices(Make.service(), pods).create.first), "web-1")
        #expect(slices(Make.service(), pods, existing: [slice]).isEmpty)
        let changes = slices(Make.service(), pods + [Make.pod("b", ip: "10.244.0.3")], existing: [slice])
        #expect(changes.create.isEmpty && changes.delete.isEmpty)
        #expect(changes.update.first?.endpoints.count == 2)
    }

    @Test("The time of the cause is noted to the microsecond, and only on what is written for it")
    func trigger() throws {
        let pods = [Make.pod("a", ip: "10.244.0.2")]
        let first = stored(try #require(slices(Make.service(), pods).create.first), "web-1")
        let annotation = "endpoints.kubernetes.io/last-change-trigger-time"
        #expect(first.metadata.annotations[annotation] == "2027-01-15T08:00:00.000001Z")
        let more = pods + [Make.pod("b", ip: "10.244.0.3")]
        let later = reconciler.reconcile(
            Make.service(), pods: more, nodes: Self.nodes, existing: [first], trigger: nil)
        #expect(later.update.first?.metadata.annotations[annotation] == nil)
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
}
