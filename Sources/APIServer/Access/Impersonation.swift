import HTTPService
import KubernetesAPI

/// Acting as somebody else, by the `Impersonate-…` headers (`kubectl --as`). Each part of the other
/// identity is something the caller must be allowed to impersonate.
package enum Impersonation {
    /// Whom the request is to be carried out as: the caller, or the one its headers name.
    ///
    /// - Throws: `forbidden` when the caller may not, `badRequest` when the headers name groups but no user.
    package static func user(
        _ caller: User, _ headers: HTTPHeaders, _ authorizer: any Authorizer
    ) throws(APIError) -> User {
        let groups = headers["impersonate-group"]
        let uid = headers.first(name: "impersonate-uid") ?? ""
        var extra: [String: [String]] = [:]
        for (name, value) in headers where name.asciiLowercased().hasPrefix("impersonate-extra-") {
            let key = name.asciiLowercased().dropFirst("impersonate-extra-".count)
            extra[PercentEncoded.decode(String(key)), default: []].append(value)
        }
        guard let name = headers.first(name: "impersonate-user"), !name.isEmpty else {
            guard groups.isEmpty, uid.isEmpty, extra.isEmpty else {
                throw .badRequest("requested [\(groups.joined(separator: " "))] without impersonating a user")
            }
            return caller
        }
        var user = User(name: name, uid: uid, groups: groups, extra: extra)
        if let account = user.serviceAccount {
            try check(caller, authorizer, "serviceaccounts", account.name, namespace: account.namespace)
            if groups.isEmpty {
                user.groups = ["system:serviceaccounts", "system:serviceaccounts:\(account.namespace)"]
            }
        } else {
            try check(caller, authorizer, "users", name)
        }
        for group in groups { try check(caller, authorizer, "groups", group) }
        let authentication = "authentication.k8s.io"
        if !uid.isEmpty { try check(caller, authorizer, "uids", uid, group: authentication) }
        for (key, values) in extra {
            for value in values {
                try check(
                    caller, authorizer, "userextras", value, subresource: key, group: authentication)
            }
        }
        if name == User.anonymous.name {
            if !user.groups.contains("system:unauthenticated") {
                user.groups.append("system:unauthenticated")
            }
            return user
        }
        return user.groups.contains("system:unauthenticated") ? user : user.authenticated()
    }

    private static func check(
        _ caller: User, _ authorizer: any Authorizer, _ resource: String, _ name: String,
        subresource: String = "", namespace: String = "", group: String = ""
    ) throws(APIError) {
        let attributes = AccessAttributes(
            ResourceAttributes(
                namespace: namespace, verb: "impersonate", group: group, resource: resource,
                subresource: subresource, name: name))
        let decision = authorizer.decide(caller, attributes)
        guard decision.isAllowed else { throw .forbidden(caller, attributes, reason: decision.reason) }
    }
}

/// Header names carry keys with a slash percent-encoded.
private enum PercentEncoded {
    static func decode(_ text: String) -> String {
        HTTPRequest(path: "/" + text).pathSegments.joined(separator: "/")
    }
}
