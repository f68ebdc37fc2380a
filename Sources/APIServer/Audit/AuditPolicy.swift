import KubernetesAPI
import KubernetesJSON

/// How much of a request the audit log keeps, least first.
package enum AuditLevel: String, Sendable, Hashable, CaseIterable, Comparable {
    case none = "None"
    case metadata = "Metadata"
    case request = "Request"
    case requestResponse = "RequestResponse"

    package static func < (left: AuditLevel, right: AuditLevel) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .none: 0
        case .metadata: 1
        case .request: 2
        case .requestResponse: 3
        }
    }
}

/// When in a request's life an event is made.
package enum AuditStage: String, Sendable, Hashable, CaseIterable {
    case requestReceived = "RequestReceived"
    /// The head of an answer that goes on is sent: watches, logs, exec.
    case responseStarted = "ResponseStarted"
    case responseComplete = "ResponseComplete"
    case panic = "Panic"
}

/// Which requests the audit log keeps and how much of them (`audit.k8s.io/v1` Policy). A value: the first rule
/// that matches a request decides.
package struct AuditPolicy: Sendable, Hashable {
    package struct Resources: Sendable, Hashable {
        package var group = ""
        package var resources: [String] = []
        package var resourceNames: [String] = []
    }

    package struct Rule: Sendable, Hashable {
        package var level = AuditLevel.none
        package var users: [String] = []
        package var userGroups: [String] = []
        package var verbs: [String] = []
        package var resources: [Resources] = []
        package var namespaces: [String] = []
        package var nonResourceURLs: [String] = []
        package var omitStages: Set<AuditStage> = []
        package var omitManagedFields: Bool?
    }

    package var rules: [Rule] = []
    package var omitStages: Set<AuditStage> = []
    package var omitManagedFields = false

    /// What the policy says of a request.
    package struct Decision: Sendable, Hashable {
        package var level: AuditLevel
        package var omitStages: Set<AuditStage>
        package var omitManagedFields: Bool
    }

    /// - Parameter user: nil when nobody knows who asks.
    package func decision(_ user: User?, _ attributes: AccessAttributes) -> Decision {
        guard let rule = rules.first(where: { $0.matches(user, attributes) }) else {
            return Decision(level: .none, omitStages: omitStages, omitManagedFields: omitManagedFields)
        }
        return Decision(
            level: rule.level, omitStages: omitStages.union(rule.omitStages),
            omitManagedFields: rule.omitManagedFields ?? omitManagedFields)
    }
}

extension AuditPolicy.Rule {
    package func matches(_ user: User?, _ attributes: AccessAttributes) -> Bool {
        if !users.isEmpty {
            guard let user, users.contains(user.name) else { return false }
        }
        if !userGroups.isEmpty {
            guard let user, user.groups.contains(where: userGroups.contains) else { return false }
        }
        if !verbs.isEmpty, !verbs.contains(attributes.verb) { return false }
        if !namespaces.isEmpty || !resources.isEmpty {
            guard attributes.isResourceRequest else { return false }
            if !namespaces.isEmpty, !namespaces.contains(attributes.namespace) { return false }
            return resources.isEmpty || resources.contains { $0.matches(attributes) }
        }
        if !nonResourceURLs.isEmpty {
            guard !attributes.isResourceRequest else { return false }
            return nonResourceURLs.contains { pattern in
                pattern == "*" || pattern == attributes.path
                    || (pattern.hasSuffix("*") && attributes.path.hasPrefix(pattern.dropLast()))
            }
        }
        return true
    }
}

extension AuditPolicy.Resources {
    fileprivate func matches(_ attributes: AccessAttributes) -> Bool {
        guard group == attributes.group else { return false }
        if resources.isEmpty { return true }
        guard resourceNames.isEmpty || resourceNames.contains(attributes.name) else { return false }
        let sub = attributes.subresource
        let combined = sub.isEmpty ? attributes.resource : "\(attributes.resource)/\(sub)"
        return resources.contains { pattern in
            pattern == combined || pattern == "*" || pattern == "\(attributes.resource)/*"
                || (!sub.isEmpty && pattern == "*/\(sub)")
        }
    }
}
