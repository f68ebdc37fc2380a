import KubernetesAPI

/// The NamespaceLifecycle admission of upstream: nothing new in a namespace that is not there or that is
/// being emptied, and no end to the namespaces the cluster itself lives in.
struct NamespaceAdmission: AdmissionPlugin {
    static let immortal: Set<String> = ["default", "kube-system", "kube-public"]

    func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard request.kind.isNamespaced, !request.namespace.isEmpty, request.operation == .create else {
            return
        }
        guard let found = lookup.namespace(request.namespace) else {
            throw .notFound(Namespace.resource, request.namespace)
        }
        guard found.metadata.deletionTimestamp != nil || found.status.phase == "Terminating" else { return }
        var error = APIError.forbidden(
            request.kind, object.metadata.displayName,
            "unable to create new content in namespace \(request.namespace) because it is being terminated")
        error.status.details?.causes.append(
            StatusCause(
                reason: "NamespaceTerminating",
                message: "namespace \(request.namespace) is being terminated", field: "metadata.namespace"))
        throw error
    }

    func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        guard request.operation == .delete, request.kind == Namespace.resource,
            Self.immortal.contains(request.name)
        else { return [] }
        throw .forbidden(request.kind, request.name, "this namespace may not be deleted")
    }
}
