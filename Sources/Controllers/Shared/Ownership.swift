public import KubernetesAPI
public import KubernetesClient

/// Who owns whom: the controller reference of `metadata.ownerReferences`.
extension KubernetesObject {
    /// The one owner with `controller: true`, if any.
    public var controllerReference: OwnerReference? {
        metadata.ownerReferences.first { $0.controller == true }
    }

    /// Whether the object with this uid is this object's controller.
    public func isControlled(by uid: String) -> Bool {
        controllerReference?.uid == uid
    }

    /// The reference that this object writes into what it controls. Its dependants hold up a
    /// foreground deletion (`blockOwnerDeletion`).
    public var asController: OwnerReference {
        var reference = OwnerReference()
        reference.apiVersion = Self.resource.apiVersion
        reference.kind = Self.resource.kind
        reference.name = metadata.name
        reference.uid = metadata.uid
        reference.controller = true
        reference.blockOwnerDeletion = true
        return reference
    }

    /// Namespace and name: what a work queue carries.
    public var key: NamespacedName {
        NamespacedName(self)
    }
}
