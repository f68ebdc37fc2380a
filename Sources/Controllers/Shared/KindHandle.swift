import KubernetesAPI
import KubernetesClient
import KubernetesJSON

/// A kind of object known by name only: for controllers that treat all kinds alike, those included that no
/// Swift type describes.
struct KindHandle: Sendable {
    let kind: ResourceKind

    /// The metadata of its objects, followed.
    func informer(_ informers: InformerSet) -> Informer<PartialObjectMetadata> {
        informers.informer(PartialObjectMetadata.self, of: kind)
    }

    /// Tells the handler of every object of this kind that comes, changes or goes (`isGone`).
    func observe(
        _ informers: InformerSet, _ handler: @escaping @Sendable (OwnedObject, _ isGone: Bool) -> Void
    ) {
        informer(informers).subscribe { [kind] event in
            switch event {
            case .added(let object), .updated(_, let object):
                handler(OwnedObject(kind, object.metadata), false)
            case .deleted(let object): handler(OwnedObject(kind, object.metadata), true)
            case .synced: break
            }
        }
    }

    /// The metadata of the objects in a namespace, as the server has them.
    func metadata(_ client: KubernetesClient, namespace: String) async throws -> [ObjectMeta] {
        try await client.list(PartialObjectMetadata.self, of: kind, namespace: namespace).items.map(
            \.metadata)
    }

    /// The object's metadata as the server has it; throws NotFound.
    func metadata(_ client: KubernetesClient, namespace: String, name: String) async throws -> ObjectMeta {
        try await client.get(PartialObjectMetadata.self, of: kind, name: name, namespace: namespace).metadata
    }

    func delete(
        _ client: KubernetesClient, namespace: String, name: String, _ options: DeleteOptions
    ) async throws {
        try await client.delete(
            PartialObjectMetadata.self, of: kind, name: name, namespace: namespace, options: options)
    }

    /// Deletes all objects of a namespace.
    func deleteAll(_ client: KubernetesClient, namespace: String) async throws {
        try await client.deleteCollection(PartialObjectMetadata.self, of: kind, namespace: namespace)
    }

    /// Writes the owners and finalizers of an object over the state they were made from; throws a conflict if
    /// the object changed meanwhile.
    func write(_ client: KubernetesClient, _ metadata: ObjectMeta) async throws {
        let body: JSONValue = [
            "metadata": [
                "uid": .string(metadata.uid), "resourceVersion": .string(metadata.resourceVersion),
                "ownerReferences": .array(metadata.ownerReferences.map(\.jsonValue)),
                "finalizers": .array(metadata.finalizers.map { .string($0) }),
            ]
        ]
        _ = try await client.patch(
            PartialObjectMetadata.self, of: kind, name: metadata.name, namespace: metadata.namespace,
            body: body)
    }
}

extension [ServedResource] {
    /// The kinds whose objects own and are owned. Events own nothing and are many; they go by their age.
    var collectable: [KindHandle] {
        filter {
            $0.verbs.isSuperset(of: ["delete", "list", "watch"]) && $0.kind.kind != Event.resource.kind
        }
        .map { KindHandle(kind: $0.kind) }
    }

    /// The kinds of which a namespace can be emptied.
    var namespaced: [KindHandle] {
        filter { $0.kind.isNamespaced && $0.verbs.isSuperset(of: ["delete", "list"]) }
            .map { KindHandle(kind: $0.kind) }
    }
}
