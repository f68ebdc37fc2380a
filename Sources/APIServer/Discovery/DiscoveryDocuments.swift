import Crypto
import KubernetesAPI
import KubernetesJSON

/// What the server serves, told to clients: the legacy documents per group and version, and the
/// aggregated ones (KEP-3352). Pure functions of the registry.
package struct DiscoveryDocuments: Sendable {
    let registry: Registry

    package init(_ registry: Registry) { self.registry = registry }

    /// `/api`.
    package func coreVersions(serverAddress: String) -> APIVersions {
        APIVersions(
            versions: ["v1"],
            serverAddressByClientCIDRs: [
                ServerAddressByClientCIDR(clientCIDR: "0.0.0.0/0", serverAddress: serverAddress)
            ])
    }

    /// `/apis`.
    package var groups: APIGroupList {
        APIGroupList(groups: registry.groups.filter { !$0.name.isEmpty }.map(group))
    }

    /// `/apis/GROUP`.
    package func group(named name: String) -> APIGroup? {
        registry.groups.first { !name.isEmpty && $0.name == name }.map(group)
    }

    private func group(_ group: Registry.Group) -> APIGroup {
        let versions = group.versions.map {
            GroupVersionForDiscovery(groupVersion: "\(group.name)/\($0.name)", version: $0.name)
        }
        return APIGroup(
            name: group.name, versions: versions,
            preferredVersion: versions.first ?? GroupVersionForDiscovery())
    }

    /// `/api/v1` and `/apis/GROUP/VERSION`.
    package func resources(group: String, version: String) -> APIResourceList? {
        guard let found = registry.version(group: group, version: version) else { return nil }
        var entries: [APIResource] = found.reviews.map { review in
            APIResource(
                name: review.kind.plural, singularName: review.kind.singular,
                namespaced: review.kind.isNamespaced, kind: review.kind.kind, verbs: ["create"])
        }
        for resource in found.resources { entries += DiscoveryDocuments.entries(resource) }
        entries.sort { $0.name < $1.name }
        return APIResourceList(
            groupVersion: group.isEmpty ? version : "\(group)/\(version)", resources: entries)
    }

    private static func entries(_ resource: some AnyResource) -> [APIResource] {
        let kind = resource.kind
        let definition = resource.definition
        let main = APIResource(
            name: kind.plural, singularName: kind.singular, namespaced: kind.isNamespaced,
            kind: kind.kind, verbs: definition.verbs, shortNames: kind.shortNames,
            categories: kind.categories, storageVersionHash: storageVersionHash(resource.storedKind))
        return [main]
            + definition.subresources.map { subresource in
                APIResource(
                    name: "\(kind.plural)/\(subresource.name)", singularName: "",
                    namespaced: kind.isNamespaced, group: subresource.group ?? "",
                    version: subresource.version ?? "", kind: subresource.kind, verbs: subresource.verbs)
            }
    }

    /// Tells clients whether a resource is stored in another version than before (KEP-2339): the first
    /// eight bytes of the SHA-256 of `GROUP/VERSION/KIND`.
    package static func storageVersionHash(_ kind: ResourceKind) -> String {
        let digest = SHA256.hash(data: Array("\(kind.group)/\(kind.version)/\(kind.kind)".utf8))
        return String(decoding: Base64.encode(Array(digest.prefix(8))), as: UTF8.self)
    }

    // MARK: Aggregated

    /// `/api` and `/apis` for clients that want everything at once.
    package func aggregated(core: Bool) -> APIGroupDiscoveryList {
        APIGroupDiscoveryList(
            items: registry.groups.filter { $0.name.isEmpty == core }.map { group in
                APIGroupDiscovery(
                    metadata: ObjectMeta(name: group.name),
                    versions: group.versions.map { version in
                        APIVersionDiscovery(
                            version: version.name,
                            resources: DiscoveryDocuments.aggregatedResources(group.name, version),
                            freshness: "Current")
                    })
            })
    }

    private static func aggregatedResources(
        _ group: String, _ version: Registry.Version
    ) -> [APIResourceDiscovery] {
        var entries = version.reviews.map { review in
            APIResourceDiscovery(
                resource: review.kind.plural,
                responseKind: GroupVersionKind(
                    group: review.kind.group, version: review.kind.version, kind: review.kind.kind),
                scope: review.kind.isNamespaced ? "Namespaced" : "Cluster",
                singularResource: review.kind.singular, verbs: ["create"])
        }
        for resource in version.resources { entries.append(aggregated(resource)) }
        return entries.sorted { $0.resource < $1.resource }
    }

    private static func aggregated(_ resource: some AnyResource) -> APIResourceDiscovery {
        let kind = resource.kind
        let definition = resource.definition
        return APIResourceDiscovery(
            resource: kind.plural,
            responseKind: GroupVersionKind(group: kind.group, version: kind.version, kind: kind.kind),
            scope: kind.isNamespaced ? "Namespaced" : "Cluster", singularResource: kind.singular,
            verbs: definition.verbs, shortNames: kind.shortNames, categories: kind.categories,
            subresources: definition.subresources.map { subresource in
                APISubresourceDiscovery(
                    subresource: subresource.name,
                    responseKind: GroupVersionKind(
                        group: subresource.group ?? kind.group,
                        version: subresource.version ?? kind.version, kind: subresource.kind),
                    verbs: subresource.verbs)
            })
    }

    /// The paths of these documents.
    package var paths: [String] {
        var paths = ["/api", "/api/v1", "/apis", "/apis/"]
        for group in registry.groups where !group.name.isEmpty {
            paths.append("/apis/\(group.name)")
            for version in group.versions { paths.append("/apis/\(group.name)/\(version.name)") }
        }
        return paths
    }
}
