import KubernetesAPI
import KubernetesJSON

/// Kinds of which there are none and can be none yet, and whose list clients ask for all the same: kubectl
/// looks among CustomResourceDefinitions before it says that a kind is unknown.
enum AbsentKinds {
    /// The empty list, when the request is for one of them.
    static func list(_ info: RequestInfo) -> [UInt8]? {
        guard
            info.group == "apiextensions.k8s.io", info.version == "v1",
            info.resource == "customresourcedefinitions", info.verb == "list"
        else { return nil }
        return ListWriter.list(
            kind: "CustomResourceDefinitionList", apiVersion: "apiextensions.k8s.io/v1",
            ListMeta(resourceVersion: "1"), [])
    }
}
