import KubernetesAPI
import KubernetesClient
import KubernetesJSON

extension KubernetesClient {
    /// Whether an owner may still adopt, as the server has it: a cache may not know yet that it is on its way
    /// out, or that another one has its name now.
    func mayAdopt<Owner: KubernetesObject>(_ owner: Owner) async throws -> Bool {
        do {
            let fresh = try await get(
                Owner.self, name: owner.metadata.name, namespace: owner.metadata.namespace)
            return fresh.metadata.uid == owner.metadata.uid && fresh.metadata.deletionTimestamp == nil
        } catch let error as APIError where error.isNotFound {
            return false
        }
    }

    /// Makes `owner` the controller of an orphan.
    ///
    /// - Throws: `APIError`; a conflict if the object changed in between, which a later look settles.
    func adopt<Item: KubernetesObject>(_ item: Item, for owner: some KubernetesObject) async throws -> Item {
        try await setOwners(of: item, item.metadata.ownerReferences + [owner.asController])
    }

    /// Lets go of an object that no longer matches.
    ///
    /// - Throws: `APIError`; that it is gone already is none.
    func release(_ item: some KubernetesObject, from owner: some KubernetesObject) async throws {
        do {
            _ = try await setOwners(
                of: item, item.metadata.ownerReferences.filter { $0.uid != owner.metadata.uid })
        } catch let error as APIError where error.isNotFound {
            return
        }
    }

    /// Over the state at hand, and of this very object. (A patch: the roles of controllers let them do no more.)
    private func setOwners<Item: KubernetesObject>(
        of item: Item, _ owners: [OwnerReference]
    ) async throws -> Item {
        let body: JSONValue = [
            "metadata": [
                "uid": .string(item.metadata.uid),
                "resourceVersion": .string(item.metadata.resourceVersion),
                "ownerReferences": .array(owners.map(\.jsonValue)),
            ]
        ]
        return try await patch(
            Item.self, name: item.metadata.name, namespace: item.metadata.namespace, body: body)
    }
}
