import HTTPService

/// How limits and metrics see a request.
package struct RequestClass: Sendable, Hashable {
    /// Whether it goes on for as long as its client likes: it has no deadline and takes no one's turn.
    package let isLongRunning: Bool
    /// Whether it counts as a write. As upstream's, this is everything but get, list and watch.
    package let isMutating: Bool

    private static let longSubresources = ["attach", "exec", "proxy", "log", "portforward"]

    package init(_ info: RequestInfo) {
        isLongRunning =
            info.isResourceRequest
            && (info.verb == "watch" || Self.longSubresources.contains(info.subresource))
        isMutating = !["get", "list", "watch"].contains(info.verb)
    }
}

/// What requests are told apart by in metrics.
package struct RequestLabels: Sendable, Hashable {
    package var verb: String
    package var group = ""
    package var version = ""
    package var resource = ""
    package var subresource = ""
    /// How far the request reaches: `resource` (one object), `namespace`, `cluster`, or empty.
    package var scope = ""
    package var dryRun = ""

    /// - Parameter isKnown: whether the resource is served. Others are not named, so that strangers cannot make
    ///   up series without end.
    package init(_ request: HTTPRequest, _ info: RequestInfo, isKnown: Bool) {
        verb = Self.verb(request, info)
        guard info.isResourceRequest else {
            // Not the path as it was sent: there are many ways to write one.
            if isKnown { subresource = "/" + request.pathSegments.joined(separator: "/") }
            return
        }
        guard isKnown else { return }
        group = info.group
        version = info.version
        resource = info.resource
        subresource = info.subresource
        if !info.name.isEmpty || info.verb == "create" {
            scope = "resource"
        } else {
            scope = info.namespace.isEmpty ? "cluster" : "namespace"
        }
        if request.query.contains("dryRun") { dryRun = "All" }
    }

    private static func verb(_ request: HTTPRequest, _ info: RequestInfo) -> String {
        guard info.isResourceRequest else {
            return ["get": "GET", "head": "HEAD", "post": "POST", "put": "PUT"][info.verb] ?? "other"
        }
        if ["attach", "exec", "proxy", "portforward"].contains(info.subresource) { return "CONNECT" }
        switch info.verb {
        case "get": return "GET"
        case "list": return "LIST"
        case "watch": return "WATCH"
        case "create": return "POST"
        case "update": return "PUT"
        case "patch":
            let type = request.headers.first(name: "content-type") ?? ""
            return type.hasPrefix("application/apply-patch") ? "APPLY" : "PATCH"
        case "delete": return "DELETE"
        case "deletecollection": return "DELETECOLLECTION"
        default: return "other"
        }
    }
}
