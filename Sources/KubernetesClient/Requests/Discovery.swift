public import KubernetesAPI
import KubernetesJSON

/// A resource that a server offers.
public struct ServedResource: Sendable, Hashable {
    /// The kind of its objects and where they are.
    public var kind: ResourceKind
    /// What can be done with them.
    public var verbs: Set<String>

    /// A resource and its verbs.
    public init(kind: ResourceKind, verbs: Set<String>) {
        self.kind = kind
        self.verbs = verbs
    }

    /// The resources of a discovery document, each in the version that its group prefers.
    public static func preferred(in document: APIGroupDiscoveryList) -> [ServedResource] {
        document.items.flatMap { group in
            var seen: Set<String> = []
            return group.versions.flatMap { version in
                version.resources.filter { seen.insert($0.resource).inserted }.map { resource in
                    let response = resource.responseKind ?? GroupVersionKind()
                    return ServedResource(
                        kind: ResourceKind(
                            group: group.metadata.name, version: version.version, kind: response.kind,
                            plural: resource.resource, singular: resource.singularResource,
                            shortNames: resource.shortNames, categories: resource.categories,
                            isNamespaced: resource.scope == "Namespaced"),
                        verbs: Set(resource.verbs))
                }
            }
        }
    }
}

extension KubernetesClient {
    /// What the server offers now, each resource in the version that its group prefers (KEP-3352).
    public func discover() async throws -> [ServedResource] {
        var resources: [ServedResource] = []
        for path in ["/api", "/apis"] {
            let bytes = try await raw(
                path, accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
            resources += ServedResource.preferred(in: try APIGroupDiscoveryList(json: bytes))
        }
        return resources
    }
}
