import Cluster
import KubernetesAPI
import NodeAgent
import Testing

@Suite("Pods among the endpoints of Services")
struct EndpointViewTests {
    private func slice(
        _ name: String, of service: String = "web", headless: Bool = false,
        _ endpoints: [(uid: String, ready: Bool, serving: Bool, terminating: Bool)], port: Int = 3000
    ) -> EndpointSlice {
        var slice = EndpointSlice()
        slice.metadata.name = name
        slice.metadata.namespace = "default"
        slice.metadata.labels = ["kubernetes.io/service-name": service]
        if headless { slice.metadata.labels["service.kubernetes.io/headless"] = "" }
        slice.ports = [EndpointSlicePort(port: port)]
        slice.endpoints = endpoints.map { pod in
            var endpoint = Endpoint()
            endpoint.targetRef = ObjectReference(kind: "Pod", name: "pod-\(pod.uid)", uid: pod.uid)
            endpoint.conditions = EndpointConditions(
                ready: pod.ready, serving: pod.serving, terminating: pod.terminating)
            return endpoint
        }
        return slice
    }

    @Test("Reached while ready, left while others are, the last resort while none is")
    func standings() {
        var view = EndpointView()
        #expect(view.standing(of: "a") == .apart)
        #expect(
            view.set(slice("s", [("a", true, true, false), ("b", true, true, false)])) == ["pod-a", "pod-b"])
        #expect(view.standing(of: "a") == .reached)
        #expect(view.set(slice("s", [("a", false, true, true), ("b", true, true, false)])) == [])
        #expect(view.standing(of: "a") == .left)
        view.set(slice("s", [("a", false, true, true), ("b", false, false, false)]))
        #expect(view.standing(of: "a") == .lastResort)
        #expect(view.standing(of: "b") == .left)
        // A ready endpoint in another slice of the Service is enough.
        view.set(slice("s2", [("c", true, true, false)]))
        #expect(view.standing(of: "a") == .left)
        view.remove(slice("s", []))
        #expect(view.standing(of: "a") == .apart)
    }

    @Test("What serves no more is no last resort; neither is what a headless Service named")
    func noLastResort() {
        var view = EndpointView()
        view.set(slice("s", [("a", false, false, true)]))
        #expect(view.standing(of: "a") == .left)
        view.set(slice("s", headless: true, [("b", false, true, true)]))
        #expect(view.standing(of: "b") == .left)
    }

    @Test("A Service that publishes whatever there is holds nobody up")
    func publishesAll() {
        var view = EndpointView()
        view.set(slice("s", [("a", true, true, true)]))
        #expect(view.standing(of: "a") == .left)
    }

    @Test("Of several Services the one that still reaches the pod counts")
    func severalServices() {
        var view = EndpointView()
        view.set(slice("s", [("a", false, true, true), ("b", true, true, false)]))
        view.set(slice("t", of: "admin", [("a", true, true, false)], port: 9000))
        #expect(view.standing(of: "a") == .reached)
        #expect(view.ports(of: "a") == [3000, 9000])
        #expect(view.isReady("a", of: .init(namespace: "default", name: "admin")))
        #expect(!view.isReady("a", of: .init(namespace: "default", name: "web")))
    }
}
