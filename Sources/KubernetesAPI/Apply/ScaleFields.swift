import KubernetesJSON

/// Who set the number of replicas, seen from the `scale` subresource.
///
/// A Scale has the managers of its parent's `spec.replicas`, named as fields of autoscaling/v1. What a write to
/// the Scale makes of them goes back into the entries of the parent.
public enum ScaleFields {
    private static let scaleVersion = "autoscaling/v1"
    private static let replicas = FieldPath("spec", "replicas")

    /// The `metadata.managedFields` that a Scale shows.
    /// - Parameter parent: The `metadata.managedFields` of the object that is scaled.
    public static func ofScale(parent: JSONValue?) -> JSONValue? {
        guard var entries = try? ManagerEntries(parent) else { return nil }
        entries.entries = entries.entries.compactMap { entry in
            guard entry.fields.contains(replicas) else { return nil }
            var entry = entry
            entry.apiVersion = scaleVersion
            entry.fields = FieldSet([replicas])
            return entry
        }
        return entries.json
    }

    /// The `metadata.managedFields` of the object after a write to its Scale.
    /// - Parameters:
    ///   - scale: The `metadata.managedFields` of the Scale after the write.
    ///   - parent: Those of the object before the write.
    ///   - apiVersion: The API version of the object.
    public static func ofParent(scale: JSONValue?, parent: JSONValue?, apiVersion: String) -> JSONValue? {
        guard let scale = try? ManagerEntries(scale), var entries = try? ManagerEntries(parent) else {
            return parent
        }
        var owners = scale.entries.filter { $0.fields.contains(replicas) }
        entries.entries = entries.entries.compactMap { entry in
            guard entry.fields.contains(replicas) else { return entry }
            let owner = owners.firstIndex {
                $0.manager == entry.manager && $0.operation == entry.operation
                    && $0.subresource == entry.subresource
            }
            var entry = entry
            if let owner {
                entry.time = owners.remove(at: owner).time
                return entry
            }
            entry.fields = entry.fields.subtracting(FieldSet([replicas]))
            return entry.fields.isEmpty ? nil : entry
        }
        for owner in owners {
            var owner = owner
            owner.apiVersion = apiVersion
            owner.fields = FieldSet([replicas])
            if let position = entries.position(of: owner) {
                entries.entries[position].fields = entries.entries[position].fields.union(owner.fields)
                entries.entries[position].time = owner.time
            } else {
                entries.entries.append(owner)
            }
        }
        return entries.json
    }
}
