import KubernetesAPI

/// The DefaultStorageClass and PersistentVolumeClaimResize admissions of upstream.
package struct StorageAdmission: AdmissionPlugin {
    package init() {}

    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard request.operation == .create, request.subresource.isEmpty else { return }
        try change(&object, as: PersistentVolumeClaim.self) { claim throws(APIError) in
            guard Self.asksForNoClass(claim) else { return }
            claim.spec.storageClassName = Self.defaultClass(
                among: lookup.objects(StorageClass.self, namespace: nil))
        }
    }

    private static func asksForNoClass(_ claim: PersistentVolumeClaim) -> Bool {
        claim.spec.storageClassName == nil
            && claim.metadata.annotations["volume.beta.kubernetes.io/storage-class"] == nil
    }

    /// Of several classes that are marked as default, the youngest; of those made at once, the first by name.
    package static func defaultClass(among classes: [StorageClass]) -> String? {
        let marks = ["storageclass.kubernetes.io/", "storageclass.beta.kubernetes.io/"]
        let marked = classes.filter { storage in
            marks.contains { storage.metadata.annotations["\($0)is-default-class"] == "true" }
        }
        return marked.map(\.metadata).youngest?.name
    }

    package func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        guard request.operation == .update, request.subresource.isEmpty,
            let claim = object as? PersistentVolumeClaim, let old = old as? PersistentVolumeClaim,
            let size = claim.spec.resources.requests["storage"],
            size > old.spec.resources.requests["storage"] ?? Quantity()
        else { return [] }
        if old.status.phase != "Bound" {
            throw .forbidden(
                request.kind, request.name, "Only bound persistent volume claims can be expanded")
        }
        let name =
            claim.metadata.annotations["volume.beta.kubernetes.io/storage-class"]
            ?? claim.spec.storageClassName ?? ""
        guard
            lookup.object(StorageClass.self, name, namespace: "")?.allowVolumeExpansion == true
        else {
            throw .forbidden(
                request.kind, request.name,
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
            )
        }
        return []
    }
}
