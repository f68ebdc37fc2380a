/// What a request asks for, read from its method, path and query alone: the attributes that
/// authorization and routing work on.
///
/// The path grammar is the one of the Kubernetes API: `/api/v1/…` for the core group,
/// `/apis/GROUP/VERSION/…` for the others, `namespaces/NAME/` before a namespaced resource,
/// and an optional subresource behind the object's name.
package struct RequestInfo: Sendable, Hashable {
    /// False for paths outside `/api/VERSION` and `/apis/GROUP/VERSION` (discovery, health, OpenAPI).
    package var isResourceRequest = false
    /// The API verb of a resource request (`get`, `list`, `watch`, `create`, `update`, `patch`,
    /// `delete`, `deletecollection`), the lower case HTTP method otherwise.
    package var verb = ""
    /// The path as sent, percent-decoded.
    package var path = ""
    /// The API group, empty for core.
    package var group = ""
    /// The API version, such as `v1`.
    package var version = ""
    /// The namespace named in the path, or empty.
    package var namespace = ""
    /// The plural resource name, or empty.
    package var resource = ""
    /// The object's name, or empty for requests on the collection.
    package var name = ""
    /// The subresource, or empty.
    package var subresource = ""
    /// Path segments behind the subresource (used by proxies only).
    package var remainder: [String] = []
    /// The field selector of the query, as text.
    package var fieldSelector = ""
    /// Whether the deprecated `/watch/` path prefix was used.
    package var isLegacyWatch = false

    package init() {}

    /// Reads the attributes of a request.
    ///
    /// - Parameters:
    ///   - method: the HTTP method, upper case.
    ///   - segments: the percent-decoded path segments, without empty ones.
    ///   - isWatch: whether the query asks for a watch.
    ///   - fieldName: the value of a `metadata.name=` field selector: list and watch on one name are
    ///     authorised by that name.
    package init(method: String, path: String, segments: [String], isWatch: Bool, fieldName: String? = nil) {
        self.path = path
        verb = method.asciiLowercased()
        var rest = segments[...]
        guard let prefix = rest.popFirst() else { return }
        switch prefix {
        case "api":
            guard let version = rest.popFirst() else { return }
            self.version = version
        case "apis":
            guard let group = rest.popFirst() else { return }
            guard let version = rest.popFirst() else { return }
            self.group = group
            self.version = version
        default:
            return
        }
        guard !rest.isEmpty else { return }
        isResourceRequest = true
        switch method {
        case "POST": verb = "create"
        case "GET", "HEAD": verb = "get"
        case "PUT": verb = "update"
        case "PATCH": verb = "patch"
        case "DELETE": verb = "delete"
        default: verb = ""
        }
        if rest.first == "watch", rest.count > 1, group.isEmpty || method == "GET" {
            isLegacyWatch = true
            rest.removeFirst()
        }
        var segments = Array(rest)
        if segments.count > 1, segments[0] == "namespaces" {
            namespace = segments[1]
            let isNamespaceSubresource =
                segments.count > 2 && ["status", "finalize"].contains(segments[2])
            if segments.count > 2, !isNamespaceSubresource {
                segments.removeFirst(2)
            }
        }
        resource = segments[0]
        if segments.count > 1 { name = segments[1] }
        if segments.count > 2 { subresource = segments[2] }
        if segments.count > 3 { remainder = Array(segments[3...]) }
        if resource == "namespaces", group.isEmpty, !name.isEmpty { namespace = name }
        if name.isEmpty {
            if verb == "get" { verb = isWatch || isLegacyWatch ? "watch" : "list" }
            if verb == "delete" { verb = "deletecollection" }
            if let fieldName, ["list", "watch", "deletecollection"].contains(verb) { name = fieldName }
        } else if verb == "get", isLegacyWatch, subresource.isEmpty {
            verb = "watch"
        }
    }
}

extension String {
    /// Lower case of ASCII letters; other characters stay.
    func asciiLowercased() -> String {
        String(decoding: utf8.map { $0 >= 0x41 && $0 <= 0x5A ? $0 + 32 : $0 }, as: UTF8.self)
    }
}
