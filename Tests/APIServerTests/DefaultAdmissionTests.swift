import APIServer
import KubernetesAPI
import KubernetesJSON
import Synchronization
import Testing

/// What new objects of some kinds get, and what their writers are told.
@Suite struct DefaultAdmissionTests {
    @Test func ingressesGetTheYoungestDefaultClass() async throws {
        let time = AdjustableTime()
        let api = try await Harness { $0.now = { time.now } }
        let group = "/apis/networking.k8s.io/v1"
        func ingress(_ name: String, _ metadata: String = "", _ spec: String = "") async throws -> JSONValue?
        {
            let made = try await api.post(
                "\(group)/namespaces/default/ingresses",
                #"{"metadata":{"name":"\#(name)"\#(metadata)},"#
                    + #""spec":{"defaultBackend":{"service":{"name":"s","port":{"number":80}}}\#(spec)}}"#)
            #expect(made.status == 201)
            return made.json["spec"]?["ingressClassName"]
        }
        func make(_ name: String, isDefault: Bool) async throws {
            let made = try await api.post(
                "\(group)/ingressclasses",
                #"{"metadata":{"name":"\#(name)","annotations":{"ingressclass.kubernetes.io/is-default-class":"#
                    + #""\#(isDefault)"}},"spec":{"controller":"example.com/\#(name)"}}"#)
            #expect(made.status == 201)
        }
        try await make("plain", isDefault: false)
        #expect(try await ingress("none") == nil)
        try await make("old", isDefault: true)
        #expect(try await ingress("one") == "old")
        time.advance()
        try await make("young-b", isDefault: true)
        try await make("young-a", isDefault: true)
        #expect(try await ingress("several") == "young-a")
        #expect(try await ingress("named", "", #","ingressClassName":"plain""#) == "plain")
        #expect(
            try await ingress("annotated", #","annotations":{"kubernetes.io/ingress.class":"other"}"#) == nil)
    }

    private final class AdjustableTime: Sendable {
        private let seconds = Mutex(1_800_000_000)

        var now: Time { Time(seconds: seconds.withLock { $0 }) }

        func advance() { seconds.withLock { $0 += 1 } }
    }

    @Test func newNodesAreNotReady() async throws {
        let api = try await Harness()
        let plain = try await api.post("/api/v1/nodes", #"{"metadata":{"name":"a"}}"#)
        #expect(
            plain.json["spec"]?["taints"]
                == [["key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"]])
        let tainted = try await api.post(
            "/api/v1/nodes",
            #"{"metadata":{"name":"b"},"spec":{"taints":[{"key":"mine","effect":"NoExecute"},"#
                + #"{"key":"node.kubernetes.io/not-ready","value":"v","effect":"NoSchedule"}]}}"#)
        #expect(tainted.json["spec"]?["taints"]?.arrayValue?.map { $0["value"] } == [nil, "v"])
        // Once it is taken away it stays away.
        let ready = try await api.patch("/api/v1/nodes/a", #"{"spec":{"taints":null}}"#)
        #expect(ready.json["spec"]?["taints"] == nil)
    }

    private static let zone = #""failure-domain.beta.kubernetes.io/zone""#
    private static let successor = #"deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"#

    /// A path, an object to be made there, and what its writer is told.
    static let questionable: [(path: String, body: String, warning: String)] = [
        (
            Harness.pods, #"{"metadata":{"name":"a.b"},"spec":{"containers":[{"name":"c","image":"i"}]}}"#,
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
                + "a DNS label is recommended: [must not contain dots]"
        ),
        (
            "/apis/apps/v1/namespaces/default/replicasets",
            #"{"metadata":{"name":"a.b"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":"#
                + #"{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}"#,
            "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
                + "behavior; a DNS label is recommended: [must not contain dots]"
        ),
        (
            "/api/v1/nodes", #"{"metadata":{"name":"n"},"spec":{"externalID":"i"}}"#,
            "spec.externalID: this field is deprecated, and is unused by Kubernetes"
        ),
        (
            "/apis/node.k8s.io/v1/runtimeclasses",
            #"{"metadata":{"name":"r"},"handler":"h","scheduling":{"nodeSelector":{\#(zone):"a"}}}"#,
            "scheduling.nodeSelector: \(successor)"
        ),
        (
            "/apis/storage.k8s.io/v1/storageclasses",
            #"{"metadata":{"name":"s"},"provisioner":"p","allowedTopologies":[{"matchLabelExpressions":"#
                + #"[{"key":\#(zone),"values":["a"]}]}]}"#,
            "allowedTopologies[0].matchLabelExpressions[0].key: \(successor)"
        ),
        (
            "/apis/storage.k8s.io/v1/namespaces/default/csistoragecapacities",
            #"{"metadata":{"name":"c"},"storageClassName":"s","nodeTopology":{"matchLabels":{\#(zone):"a"}}}"#,
            "nodeTopology.matchLabels.failure-domain.beta.kubernetes.io/zone: \(successor)"
        ),
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            #"{"metadata":{"name":"e"},"addressType":"FQDN","endpoints":[{"addresses":["a.example.com"]}]}"#,
            "spec.addressType: FQDN endpoints are deprecated"
        ),
    ]

    @Test func writersAreWarned() async throws {
        let api = try await Harness()
        for (path, body, warning) in Self.questionable {
            let made = try await api.post(path, body)
            #expect(made.status == 201, "\(made.text)")
            #expect(made.warnings == ["299 - \"\(warning)\""], "\(path)")
        }
    }
}
