import KubernetesAPI

/// The DefaultIngressClass admission of upstream.
package struct IngressClassAdmission: AdmissionPlugin {
    package init() {}

    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard request.operation == .create, request.subresource.isEmpty else { return }
        try change(&object, as: Ingress.self) { ingress throws(APIError) in
            guard ingress.spec.ingressClassName == nil,
                ingress.metadata.annotations["kubernetes.io/ingress.class"] == nil
            else { return }
            let marked = lookup.objects(IngressClass.self, namespace: nil).filter {
                $0.metadata.annotations["ingressclass.kubernetes.io/is-default-class"] == "true"
            }
            ingress.spec.ingressClassName = marked.map(\.metadata).youngest?.name
        }
    }
}

extension [ObjectMeta] {
    /// Of several objects that are marked as default, the one that counts: the youngest, and of those made at
    /// once the first by name.
    var youngest: ObjectMeta? {
        self.min { left, right in
            let (a, b) = (left.creationTimestamp?.seconds ?? 0, right.creationTimestamp?.seconds ?? 0)
            return a == b ? left.name < right.name : a > b
        }
    }
}
