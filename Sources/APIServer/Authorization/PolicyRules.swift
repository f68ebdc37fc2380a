import KubernetesAPI

// What a rule of a role allows. Pure; the semantics are upstream's, see the API's PolicyRule.
extension PolicyRule {
    /// Whether the rule allows a request.
    package func allows(_ attributes: AccessAttributes) -> Bool {
        guard verbs.contains(where: { $0 == "*" || $0 == attributes.verb }) else { return false }
        guard attributes.isResourceRequest else {
            return nonResourceURLs.contains { PolicyRule.path($0, covers: attributes.path) }
        }
        return apiGroups.contains { $0 == "*" || $0 == attributes.group }
            && resources.contains { PolicyRule.resource($0, attributes.resource, attributes.subresource) }
            && (resourceNames.isEmpty || resourceNames.contains(attributes.name))
    }

    /// Whether the resource of a rule (`pods`, `pods/log`, `*/scale`, `*`) is a request's.
    private static func resource(_ pattern: String, _ resource: String, _ subresource: String) -> Bool {
        if pattern == "*" { return true }
        if subresource.isEmpty { return pattern == resource }
        guard pattern.utf8.count > subresource.utf8.count, pattern.hasSuffix(subresource) else {
            return false
        }
        let rest = pattern.dropLast(subresource.count)
        return rest == "*/" || (rest.last == "/" && rest.dropLast() == resource)
    }

    /// Whether a path of a rule (`/healthz`, `/healthz/*`, `*`) covers a path, or another rule's.
    private static func path(_ pattern: String, covers path: String) -> Bool {
        if pattern == "*" || pattern == path { return true }
        guard pattern.hasSuffix("*") else { return false }
        var prefix = pattern[...]
        while prefix.last == "*" { prefix.removeLast() }
        return path.hasPrefix(prefix)
    }
}

// MARK: - Whether rules contain others

extension PolicyRule {
    /// The rule as rules with one verb, one group, one resource and one name (or one path) each.
    package var parts: [PolicyRule] {
        var parts: [PolicyRule] = []
        for group in apiGroups {
            for resource in resources {
                for verb in verbs {
                    let part = PolicyRule(verbs: [verb], apiGroups: [group], resources: [resource])
                    guard !resourceNames.isEmpty else {
                        parts.append(part)
                        continue
                    }
                    for name in resourceNames {
                        var named = part
                        named.resourceNames = [name]
                        parts.append(named)
                    }
                }
            }
        }
        for path in nonResourceURLs {
            for verb in verbs { parts.append(PolicyRule(verbs: [verb], nonResourceURLs: [path])) }
        }
        return parts
    }

    /// Whether whatever a part (one verb, one group …) allows, this allows as well.
    func covers(_ part: PolicyRule) -> Bool {
        func all(_ own: [String], _ asked: [String]) -> Bool {
            own.contains("*") || asked.allSatisfy { own.contains($0) }
        }
        guard all(verbs, part.verbs), all(apiGroups, part.apiGroups) else { return false }
        for resource in part.resources where !covers(resource: resource) { return false }
        for path in part.nonResourceURLs
        where !nonResourceURLs.contains(where: { PolicyRule.path($0, covers: path) }) {
            return false
        }
        if resourceNames.isEmpty { return true }
        return !part.resourceNames.isEmpty && part.resourceNames.allSatisfy { resourceNames.contains($0) }
    }

    private func covers(resource: String) -> Bool {
        if resources.contains("*") || resources.contains(resource) { return true }
        guard let slash = resource.firstIndex(of: "/") else { return false }
        return resources.contains("*" + resource[slash...])
    }

    /// The parts of `wanted` that none of `held` covers.
    package static func missing(from held: [PolicyRule], of wanted: [PolicyRule]) -> [PolicyRule] {
        wanted.flatMap(\.parts).filter { part in !held.contains { $0.covers(part) } }
    }

    /// Everything there is: what `cluster-admin` may do.
    package static let everything = [
        PolicyRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"]),
        PolicyRule(verbs: ["*"], nonResourceURLs: ["*"]),
    ]
}

// MARK: - Telling of rules

extension PolicyRule {
    /// Joins rules that differ in their verbs only, as far as each is about one resource of one group.
    package static func compacted(_ rules: [PolicyRule]) -> [PolicyRule] {
        var simple: [PolicyRule: Int] = [:]
        var result: [PolicyRule] = []
        for rule in rules {
            guard
                rule.nonResourceURLs.isEmpty, rule.resourceNames.count <= 1, rule.resources.count == 1,
                rule.apiGroups.count == 1
            else {
                result.append(rule)
                continue
            }
            var key = rule
            key.verbs = []
            if let index = simple[key] {
                result[index].verbs += rule.verbs
            } else {
                simple[key] = result.count
                result.append(rule)
            }
        }
        return result
    }

    /// `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`, as upstream words refusals.
    package var summary: String {
        let parts = [
            ("APIGroups", apiGroups), ("Resources", resources), ("NonResourceURLs", nonResourceURLs),
            ("ResourceNames", resourceNames), ("Verbs", verbs),
        ]
        let texts = parts.filter { !$0.1.isEmpty }.map { "\($0.0):\(QuotedList.text($0.1))" }
        return "{\(texts.joined(separator: ", "))}"
    }
}

/// A list of texts as Go's `%q` shows it: `["get" "list"]`.
enum QuotedList {
    static func text(_ list: [String]) -> String {
        "[\(list.map { GoText.quoted($0) }.joined(separator: " "))]"
    }
}
