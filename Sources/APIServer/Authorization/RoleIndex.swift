import KubernetesAPI
import ObjectStore

/// All roles, and who has them, found by subject: what a request costs does not grow with the number of
/// bindings.
package struct RoleIndex: StoreProjection {
    package static let resources = [
        ClusterRole.resource.groupResource, ClusterRoleBinding.resource.groupResource,
        Role.resource.groupResource, RoleBinding.resource.groupResource,
    ]

    /// A binding as one of its subjects finds it.
    package struct Grant: Sendable, Hashable {
        package var binding: String
        /// Where it holds; empty: everywhere.
        package var namespace: String
        package var role: RoleRef
        package var subject: Subject

        /// `ClusterRoleBinding "x" of ClusterRole "y" to Group "z"`, upstream's words.
        var description: String {
            let name = namespace.isEmpty ? binding : "\(binding)/\(namespace)"
            var who = subject.name
            if subject.kind == "ServiceAccount" {
                who += "/" + (subject.namespace.isEmpty ? namespace : subject.namespace)
            }
            return (namespace.isEmpty ? "ClusterRoleBinding" : "RoleBinding")
                + " \(GoText.quoted(name)) of \(role.kind) \(GoText.quoted(role.name)) "
                + "to \(subject.kind) \(GoText.quoted(who))"
        }
    }

    private struct RoleKey: Sendable, Hashable {
        /// Empty for cluster roles.
        var namespace: String
        var name: String
    }

    /// Whom bindings name: users (service accounts are users of a certain name) and groups.
    private enum Key: Sendable, Hashable {
        case user(String)
        case group(String)
    }

    private var roles: [RoleKey: [PolicyRule]] = [:]
    /// By namespace (empty: cluster-wide) and subject, in the order of the bindings' names.
    private var grants: [String: [Key: [Grant]]] = [:]
    /// Under which subjects a binding is found.
    private var subjects: [ObjectKey: Set<Key>] = [:]

    package init() {}

    // MARK: Keeping it

    /// An object that cannot be read grants nothing.
    package mutating func put(_ object: StoredObject) {
        switch object.key.resource {
        case ClusterRole.resource.groupResource:
            put(rules: (try? ClusterRole(json: object.bytes))?.rules ?? [], object.key)
        case Role.resource.groupResource:
            put(rules: (try? Role(json: object.bytes))?.rules ?? [], object.key)
        case ClusterRoleBinding.resource.groupResource:
            remove(object.key)
            guard let binding = try? ClusterRoleBinding(json: object.bytes) else { return }
            put(binding.subjects, binding.roleRef, object.key)
        default:
            remove(object.key)
            guard let binding = try? RoleBinding(json: object.bytes) else { return }
            put(binding.subjects, binding.roleRef, object.key)
        }
    }

    private mutating func put(rules: [PolicyRule], _ key: ObjectKey) {
        roles[RoleKey(namespace: key.namespace, name: key.name)] = rules
    }

    private mutating func put(_ list: [Subject], _ role: RoleRef, _ key: ObjectKey) {
        var seen: Set<Key> = []
        for subject in list {
            guard let found = Self.key(of: subject, in: key.namespace), seen.insert(found).inserted else {
                continue
            }
            var present = grants[key.namespace]?[found] ?? []
            let grant = Grant(binding: key.name, namespace: key.namespace, role: role, subject: subject)
            let index = present.firstIndex { $0.binding > key.name } ?? present.count
            present.insert(grant, at: index)
            grants[key.namespace, default: [:]][found] = present
        }
        subjects[key] = seen
    }

    package mutating func remove(_ key: ObjectKey) {
        if key.resource == ClusterRole.resource.groupResource || key.resource == Role.resource.groupResource {
            roles[RoleKey(namespace: key.namespace, name: key.name)] = nil
            return
        }
        for subject in subjects.removeValue(forKey: key) ?? [] {
            grants[key.namespace]?[subject]?.removeAll { $0.binding == key.name }
            if grants[key.namespace]?[subject]?.isEmpty == true { grants[key.namespace]?[subject] = nil }
        }
        if grants[key.namespace]?.isEmpty == true { grants[key.namespace] = nil }
    }

    private static func key(of subject: Subject, in namespace: String) -> Key? {
        switch subject.kind {
        case "User": return .user(subject.name)
        case "Group": return .group(subject.name)
        case "ServiceAccount":
            let place = subject.namespace.isEmpty ? namespace : subject.namespace
            return place.isEmpty ? nil : .user("system:serviceaccount:\(place):\(subject.name)")
        default: return nil
        }
    }

    // MARK: Asking it

    /// The rules of a role, as a binding in a namespace (empty: a cluster role binding) refers to it; nil when
    /// there is no such role.
    package func rules(of role: RoleRef, in namespace: String) -> [PolicyRule]? {
        switch role.kind {
        case "ClusterRole": roles[RoleKey(namespace: "", name: role.name)]
        case "Role" where !namespace.isEmpty: roles[RoleKey(namespace: namespace, name: role.name)]
        default: nil
        }
    }

    /// The bindings that hold for a user in a namespace, cluster-wide ones first.
    package func grants(for user: User, in namespace: String) -> [Grant] {
        var found: [Grant] = []
        for place in namespace.isEmpty ? [""] : ["", namespace] {
            guard let here = grants[place] else { continue }
            let first = found.count
            func add(_ grants: [Grant]) {
                for grant in grants where !found[first...].contains(where: { $0.binding == grant.binding }) {
                    found.append(grant)
                }
            }
            if let own = here[.user(user.name)] { add(own) }
            for group in user.groups { if let shared = here[.group(group)] { add(shared) } }
        }
        return found
    }

    /// What a user may do in a namespace, and which roles their bindings name that are not there.
    package func rules(for user: User, in namespace: String) -> ResolvedRules {
        var resolved = ResolvedRules()
        for grant in grants(for: user, in: namespace) {
            if let rules = rules(of: grant.role, in: grant.namespace) {
                resolved.rules += rules
            } else {
                resolved.errors.append(Self.absent(grant.role))
            }
        }
        return resolved
    }

    /// The verdict on a request.
    package func decide(_ user: User, _ attributes: AccessAttributes) -> AccessDecision {
        var errors: [String] = []
        for grant in grants(for: user, in: attributes.isResourceRequest ? attributes.namespace : "") {
            guard let rules = rules(of: grant.role, in: grant.namespace) else {
                errors.append(Self.absent(grant.role))
                continue
            }
            if rules.contains(where: { $0.allows(attributes) }) {
                return AccessDecision(isAllowed: true, reason: "RBAC: allowed by \(grant.description)")
            }
        }
        return AccessDecision(isAllowed: false, reason: errors.isEmpty ? "" : "RBAC: \(Self.joined(errors))")
    }

    private static func absent(_ role: RoleRef) -> String {
        "\(role.kind.asciiLowercased()).rbac.authorization.k8s.io \(GoText.quoted(role.name)) not found"
    }

    /// Several failures as Go's aggregate shows them.
    static func joined(_ errors: [String]) -> String {
        var unique: [String] = []
        for error in errors where !unique.contains(error) { unique.append(error) }
        return unique.count == 1 ? unique[0] : "[\(unique.joined(separator: ", "))]"
    }
}

/// What somebody may do, as rules.
package struct ResolvedRules: Sendable, Hashable {
    package var rules: [PolicyRule] = []
    /// Why rules may be lacking.
    package var errors: [String] = []
}
