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
    /// The field selector of a list or watch, as text.
    package var fieldSelector = ""

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
        fieldSelector = info.fieldSelector
    }

    package init(_ attributes: ResourceAttributes) {
        verb = attributes.verb
        group = attributes.group
        version = attributes.version
        resource = attributes.resource
        subresource = attributes.subresource
        name = attributes.name
        namespace = attributes.namespace
        if let selector = attributes.fieldSelector {
            let requirements = selector.requirements.filter { $0.operator == "In" && $0.values.count == 1 }
                .map { FieldSelector.Requirement(field: $0.key, value: $0.values[0]) }
            fieldSelector =
                selector.rawSelector.isEmpty
                ? FieldSelector(requirements).description : selector.rawSelector
        }
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
    /// What a user may do in a namespace (empty: in the cluster as a whole), as far as it can be told as rules.
    func rules(for user: User, in namespace: String) -> ResolvedRules
    /// What a user may do by roles alone: what they may give on.
    func roleRules(for user: User, in namespace: String) -> ResolvedRules
    /// The rules of a role that a binding in a namespace refers to; nil when there is none.
    func rules(of role: RoleRef, in namespace: String) -> [PolicyRule]?
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
