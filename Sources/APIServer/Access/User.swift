import KubernetesAPI

/// Who makes a request.
package struct User: Sendable, Hashable {
    package var name: String
    package var uid = ""
    package var groups: [String]
    /// Further facts from the authenticator, such as the pod a token is bound to.
    package var extra: [String: [String]] = [:]

    package init(name: String, uid: String = "", groups: [String], extra: [String: [String]] = [:]) {
        self.name = name
        self.uid = uid
        self.groups = groups
        self.extra = extra
    }

    package static let anonymous = User(name: "system:anonymous", groups: ["system:unauthenticated"])

    /// The user with the group that everybody has who proved to be somebody.
    func authenticated() -> User {
        var user = self
        if !user.groups.contains("system:authenticated") { user.groups.append("system:authenticated") }
        return user
    }

    /// Namespace and name when this is a service account.
    var serviceAccount: (namespace: String, name: String)? {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount" else { return nil }
        return (String(parts[2]), String(parts[3]))
    }
}

/// What a request wants to do, as authorizers see it.
package struct AccessAttributes: Sendable, Hashable {
    package var verb: String
    package var group = ""
    package var version = ""
    package var resource = ""
    package var subresource = ""
    package var name = ""
    package var namespace = ""
    /// The path of a request that is not for a resource.
    package var path = ""
    package var isResourceRequest = true

    package init(_ info: RequestInfo) {
        verb = info.verb
        group = info.group
        version = info.version
        resource = info.resource
        subresource = info.subresource
        name = info.name
        namespace = info.namespace
        path = info.path
        isResourceRequest = info.isResourceRequest
    }

    package init(_ attributes: ResourceAttributes) {
        verb = attributes.verb
        group = attributes.group
        version = attributes.version
        resource = attributes.resource
        subresource = attributes.subresource
        name = attributes.name
        namespace = attributes.namespace
    }

    package init(_ attributes: NonResourceAttributes) {
        verb = attributes.verb
        path = attributes.path
        isResourceRequest = false
    }
}

/// The verdict of an authorizer.
package struct AccessDecision: Sendable, Hashable {
    package var isAllowed: Bool
    package var reason: String

    package init(isAllowed: Bool, reason: String = "") {
        self.isAllowed = isAllowed
        self.reason = reason
    }
}

/// Decides who may do what.
package protocol Authorizer: Sendable {
    func decide(_ user: User, _ attributes: AccessAttributes) -> AccessDecision
}

/// The rules before role based access control: administrators and the cluster's own components may do
/// everything, everybody may look at discovery, documents and themselves, nobody else anything.
package struct BuiltInAuthorizer: Authorizer {
    package init() {}

    package func decide(_ user: User, _ attributes: AccessAttributes) -> AccessDecision {
        if user.groups.contains("system:masters") {
            return AccessDecision(isAllowed: true, reason: "member of system:masters")
        }
        if BuiltInAuthorizer.isComponent(user) {
            return AccessDecision(isAllowed: true, reason: "component of the cluster")
        }
        if attributes.isResourceRequest {
            return AccessDecision(isAllowed: isAboutOneself(user, attributes))
        }
        guard attributes.verb == "get" || attributes.verb == "head" else {
            return AccessDecision(isAllowed: false)
        }
        let isAuthenticated = user.groups.contains("system:authenticated")
        let open = ["/healthz", "/livez", "/readyz", "/version"]
        let documents = ["/api", "/apis", "/openapi", "/discovery"]
        func isUnder(_ roots: [String]) -> Bool {
            roots.contains { attributes.path == $0 || attributes.path.hasPrefix($0 + "/") }
        }
        return AccessDecision(isAllowed: isUnder(open) || (isAuthenticated && isUnder(documents)))
    }

    /// Whether a user is a part of the cluster: `system:…`, but no service account and nobody unknown.
    static func isComponent(_ user: User) -> Bool {
        user.name.hasPrefix("system:") && user.groups.contains("system:authenticated")
            && user.serviceAccount == nil && user.name != User.anonymous.name
    }

    private func isAboutOneself(_ user: User, _ attributes: AccessAttributes) -> Bool {
        guard user.groups.contains("system:authenticated"), attributes.verb == "create" else { return false }
        switch attributes.group {
        case "authorization.k8s.io":
            return ["selfsubjectaccessreviews", "selfsubjectrulesreviews"].contains(attributes.resource)
        case "authentication.k8s.io":
            return attributes.resource == "selfsubjectreviews"
        default:
            return false
        }
    }
}

/// How a refusal is worded.
package enum AccessMessage {
    package static func refusal(_ user: User, _ attributes: AccessAttributes) -> String {
        guard attributes.isResourceRequest else {
            return "User \"\(user.name)\" cannot \(attributes.verb) path \"\(attributes.path)\""
        }
        var resource = attributes.resource
        if !attributes.subresource.isEmpty { resource += "/" + attributes.subresource }
        let place =
            attributes.namespace.isEmpty
            ? "at the cluster scope" : "in the namespace \"\(attributes.namespace)\""
        return "User \"\(user.name)\" cannot \(attributes.verb) resource \"\(resource)\" "
            + "in API group \"\(attributes.group)\" \(place)"
    }
}
