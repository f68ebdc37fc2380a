import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Testing

@Suite("Discovery: what a server offers")
struct DiscoveryTests {
    @Test("Each resource comes in the version that its group prefers")
    func preferredVersions() throws {
        let document = try APIGroupDiscoveryList(
            json: Array(
                #"""
                {"items":[
                 {"metadata":{"name":""},"versions":[{"version":"v1","resources":[
                  {"resource":"pods","responseKind":{"group":"","version":"v1","kind":"Pod"},"scope":"Namespaced",
                   "singularResource":"pod","verbs":["get","list"]}]}]},
                 {"metadata":{"name":"autoscaling"},"versions":[
                  {"version":"v2","resources":[{"resource":"hpas","responseKind":{"kind":"HPA"},"scope":"Namespaced",
                   "singularResource":"hpa","verbs":["list"]}]},
                  {"version":"v1","resources":[{"resource":"hpas","responseKind":{"kind":"HPA"},"scope":"Namespaced",
                   "singularResource":"hpa","verbs":["list"]},
                   {"resource":"olds","responseKind":{"kind":"Old"},"scope":"Cluster","singularResource":"old",
                    "verbs":["delete"]}]}]}]}
                """#.utf8))
        let resources = ServedResource.preferred(in: document)
        #expect(
            resources.map { "\($0.kind.apiVersion) \($0.kind.plural) \($0.kind.isNamespaced)" } == [
                "v1 pods true", "autoscaling/v2 hpas true", "autoscaling/v1 olds false",
            ])
        #expect(resources.first?.verbs == ["get", "list"])
    }
}
