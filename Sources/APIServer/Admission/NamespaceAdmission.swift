import KubernetesAPI

/// The NamespaceLifecycle admission of upstream: nothing new in a namespace that is not there or that is
/// being emptied, and no end to the namespaces the cluster itself lives in.
enum NamespaceAdmission {
    static let immortal: Set<String> = ["default", "kube-system", "kube-public"]

    static func checkCreate(
        of kind: ResourceKind, name: String, in namespace: String, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard kind.isNamespaced, !namespace.isEmpty else { return }
        guard let found = lookup.namespace(namespace) else {
            throw .notFound(Namespace.resource, namespace)
        }
        guard found.metadata.deletionTimestamp != nil || found.status.phase == "Terminating" else { return }
        var error = APIError.forbidden(
            kind, name,
            "unable to create new content in namespace \(namespace) because it is being terminated")
        error.status.details?.causes.append(
            StatusCause(
                reason: "NamespaceTerminating",
                message: "namespace \(namespace) is being terminated", field: "metadata.namespace"))
        throw error
    }

    static func checkDelete(of kind: ResourceKind, name: String) throws(APIError) {
        guard kind == Namespace.resource, immortal.contains(name) else { return }
        throw .forbidden(kind, name, "this namespace may not be deleted")
    }
}
