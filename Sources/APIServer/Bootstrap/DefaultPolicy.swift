import KubernetesAPI

/// Roles and bindings read from the form of `DefaultRoles`.
package struct DefaultPolicy: Sendable {
    package private(set) var clusterRoles: [ClusterRole] = []
    package private(set) var clusterRoleBindings: [ClusterRoleBinding] = []
    package private(set) var roles: [Role] = []
    package private(set) var roleBindings: [RoleBinding] = []
    /// Lines that say nothing: there are none in what is built in.
    package private(set) var unread: [String] = []

    package static let group = "rbac.authorization.k8s.io"

    package static let standard = DefaultPolicy(
        DefaultRoles.clusterRoles, DefaultRoles.clusterRoleBindings, DefaultRoles.namespaced,
        DefaultRoles.own, DefaultRoles.controllers)

    package init(_ texts: String...) {
        for text in texts {
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                let isRead = line.hasPrefix(" ") ? addRule(words) : begin(words)
                if !isRead { unread.append(String(line)) }
            }
        }
    }

    /// The cluster roles as a new cluster gets them: `admin`, `edit` and `view` with the rules that their
    /// controller would give them.
    var initialClusterRoles: [ClusterRole] {
        var roles = clusterRoles
        // `admin` takes from `edit`, which takes from `view`.
        for _ in roles where roles.contains(where: { $0.aggregationRule != nil }) {
            let next = roles.map { role in
                var next = role
                next.rules = role.aggregatedRules(from: roles) ?? role.rules
                return next
            }
            if next == roles { break }
            roles = next
        }
        return roles
    }

    // MARK: Objects

    private enum Last { case none, clusterRole, role }
    private var last = Last.none

    private mutating func begin(_ words: [String]) -> Bool {
        guard words.count >= 2 else { return false }
        switch words[0] {
        case "role": return addRole(words[1], Array(words.dropFirst(2)))
        case "bind": return addBinding(words[1], Array(words.dropFirst(2)))
        case "controller":
            let name = "system:controller:" + words[1]
            return addRole(name, []) && addBinding(name, ["ServiceAccount:" + words[1]])
        default: return false
        }
    }

    private static func metadata(_ name: String, _ namespace: String = "") -> ObjectMeta {
        ObjectMeta(
            name: name, namespace: namespace, labels: ["kubernetes.io/bootstrapping": "rbac-defaults"],
            annotations: [RoleReconciliation.annotation: "true"])
    }

    private mutating func addRole(_ name: String, _ words: [String]) -> Bool {
        var role = ClusterRole(metadata: Self.metadata(name))
        var namespace: String?
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "in" {
                namespace = rest.popFirst()
            } else if word == "of", let other = rest.popFirst() {
                role.aggregationRule = AggregationRule(clusterRoleSelectors: [
                    LabelSelector(matchLabels: [Self.label(other): "true"])
                ])
            } else if word.hasPrefix("+") {
                role.metadata.labels[Self.label(String(word.dropFirst()))] = "true"
            } else {
                return false
            }
        }
        if let namespace {
            roles.append(Role(metadata: Self.metadata(name, namespace)))
            last = .role
        } else {
            clusterRoles.append(role)
            last = .clusterRole
        }
        return true
    }

    private static func label(_ role: String) -> String { "\(group)/aggregate-to-\(role)" }

    private mutating func addBinding(_ role: String, _ words: [String]) -> Bool {
        var name = role
        var namespace: String?
        var subjects: [Subject] = []
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "in" {
                namespace = rest.popFirst()
            } else if word == "as", let other = rest.popFirst() {
                name = other
            } else {
                let parts = word.split(separator: ":", maxSplits: 1).map(String.init)
                guard parts.count == 2 else { return false }
                subjects.append(
                    parts[0] == "ServiceAccount"
                        ? Subject(kind: parts[0], name: parts[1], namespace: "kube-system")
                        : Subject(kind: parts[0], apiGroup: Self.group, name: parts[1]))
            }
        }
        if let namespace {
            roleBindings.append(
                RoleBinding(
                    metadata: Self.metadata(name, namespace), subjects: subjects,
                    roleRef: RoleRef(apiGroup: Self.group, kind: "Role", name: role)))
        } else {
            clusterRoleBindings.append(
                ClusterRoleBinding(
                    metadata: Self.metadata(name), subjects: subjects,
                    roleRef: RoleRef(apiGroup: Self.group, kind: "ClusterRole", name: role)))
        }
        return true
    }

    // MARK: Rules

    private mutating func addRule(_ words: [String]) -> Bool {
        guard let rule = Self.rule(words) else { return false }
        switch last {
        case .clusterRole: clusterRoles[clusterRoles.count - 1].rules.append(rule)
        case .role: roles[roles.count - 1].rules.append(rule)
        case .none: return false
        }
        return true
    }

    private static func rule(_ words: [String]) -> PolicyRule? {
        if words == ["events"] {
            return PolicyRule(
                verbs: ["create", "patch", "update"], apiGroups: ["", "events.k8s.io"], resources: ["events"])
        }
        guard words.count == 3 || words.count == 4 else { return nil }
        let verbs = list(words[0]).flatMap { verb in
            switch verb {
            case "read": ["get", "list", "watch"]
            case "write": ["create", "delete", "deletecollection", "patch", "update"]
            default: [verb]
            }
        }.sorted()
        if words[1] == "url" { return PolicyRule(verbs: verbs, nonResourceURLs: list(words[2]).sorted()) }
        var rule = PolicyRule(
            verbs: verbs, apiGroups: list(words[1]).map { $0 == "core" ? "" : $0 }.sorted(),
            resources: list(words[2]).sorted())
        if words.count == 4 {
            guard words[3].hasPrefix("["), words[3].hasSuffix("]") else { return nil }
            rule.resourceNames = list(String(words[3].dropFirst().dropLast())).sorted()
        }
        return rule
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map(String.init)
    }
}
