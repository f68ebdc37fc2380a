import HTTPService
import KubernetesAPI

/// Where a resource is on an API server.
enum ResourcePath {
    /// The path of a collection, of an object in it, or of a subresource of that.
    static func path(
        _ resource: ResourceKind, namespace: String, name: String = "", subresource: String? = nil
    ) -> String {
        var path = resource.group.isEmpty ? "/api/" : "/apis/\(resource.group)/"
        path += resource.version
        if resource.isNamespaced, !namespace.isEmpty {
            path += "/namespaces/" + PercentEncoding.encode(namespace)
        }
        path += "/" + resource.plural
        if !name.isEmpty { path += "/" + PercentEncoding.encode(name, keeping: ":") }
        if let subresource { path += "/" + subresource }
        return path
    }
}

extension QueryItems {
    /// Adds an item unless it has no value.
    mutating func add(_ name: String, _ value: String?) {
        if let value, !value.isEmpty { append(name, value) }
    }
}
