import KubernetesAPI
import KubernetesClient
import KubernetesJSON

extension KubernetesClient {
    /// Makes `owner` the controller of an orphan.
    ///
    /// - Throws: `APIError`; a conflict if the object changed in between, which a later look settles.
    func adopt<Item: KubernetesObject>(_ item: Item, for owner: some KubernetesObject) async throws -> Item {
        var adopted = item
        adopted.metadata.ownerReferences.append(owner.asController)
        return try await update(adopted)
    }

    /// Lets go of an object that no longer matches.
    ///
    /// - Throws: `APIError`; that it is gone already is none.
    func release(_ item: some KubernetesObject, from owner: some KubernetesObject) async throws {
        var released = item
        released.metadata.ownerReferences.removeAll { $0.uid == owner.metadata.uid }
        do {
            _ = try await update(released)
        } catch let error as APIError where error.isNotFound {
            return
        }
    }
}
