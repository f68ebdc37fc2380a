/// Rules on where pods may run: affinity, spreading, taints and tolerations.
enum PlacementRules {
    private static let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"]

    // MARK: - Affinity

    static func affinity(_ path: RulePath, _ affinity: Affinity?) -> [FieldError] {
        guard let affinity else { return [] }
        let required = "requiredDuringSchedulingIgnoredDuringExecution"
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution"
        var errors: [FieldError] = []
        if let node = affinity.nodeAffinity {
            let path = path.child("nodeAffinity")
            if let selector = node.requiredDuringSchedulingIgnoredDuringExecution {
                errors += nodeSelector(path.child(required), selector)
            }
            for (index, term) in node.preferredDuringSchedulingIgnoredDuringExecution.enumerated() {
                let path = path.child(preferred).index(index)
                if !(1...100).contains(term.weight) {
                    errors.invalid(path.child("weight"), term.weight, "must be in the range 1-100")
                }
                errors += nodeTerm(path.child("preference"), term.preference, checksValues: false)
            }
        }
        let pods: [(String, [PodAffinityTerm], [WeightedPodAffinityTerm])] = [
            (
                "podAffinity", affinity.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
                affinity.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
            ),
            (
                "podAntiAffinity",
                affinity.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
                affinity.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
            ),
        ]
        for (field, terms, weighted) in pods {
            for (index, term) in terms.enumerated() {
                errors += podTerm(path.child(field).child(required).index(index), term)
            }
            for (index, term) in weighted.enumerated() {
                let path = path.child(field).child(preferred).index(index)
                if !(1...100).contains(term.weight) {
                    errors.invalid(path.child("weight"), term.weight, "must be in the range 1-100")
                }
                errors += podTerm(path.child("podAffinityTerm"), term.podAffinityTerm)
            }
        }
        return errors
    }

    static func nodeSelector(_ path: RulePath, _ selector: NodeSelector) -> [FieldError] {
        let path = path.child("nodeSelectorTerms")
        if selector.nodeSelectorTerms.isEmpty {
            return [.required(path.text, "must have at least one node selector term")]
        }
        return selector.nodeSelectorTerms.enumerated().flatMap {
            nodeTerm(path.index($0.offset), $0.element, checksValues: true)
        }
    }

    private static func nodeTerm(
        _ path: RulePath, _ term: NodeSelectorTerm, checksValues: Bool
    ) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, requirement) in term.matchExpressions.enumerated() {
            let path = path.child("matchExpressions").index(index)
            let values = path.child("values")
            switch requirement.operator {
            case "In", "NotIn":
                if requirement.values.isEmpty {
                    errors.required(values, "must be specified when `operator` is 'In' or 'NotIn'")
                }
            case "Exists", "DoesNotExist":
                if !requirement.values.isEmpty {
                    errors.forbidden(
                        values, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
                }
            case "Gt", "Lt":
                if requirement.values.count != 1 {
                    errors.required(values, "must be specified single value when `operator` is 'Lt' or 'Gt'")
                }
            default:
                errors.invalid(path.child("operator"), requirement.operator, "not a valid selector operator")
            }
            errors.require(NameRules.qualified, path.child("key"), requirement.key)
            guard checksValues else { continue }
            for (index, value) in requirement.values.enumerated() {
                errors.invalid(values.index(index), value, messages: LabelSyntax.errors(inValue: value))
            }
        }
        for (index, requirement) in term.matchFields.enumerated() {
            let path = path.child("matchFields").index(index)
            if !["In", "NotIn"].contains(requirement.operator) {
                errors.invalid(path.child("operator"), requirement.operator, "not a valid selector operator")
            } else if requirement.values.count != 1 {
                errors.required(
                    path.child("values"),
                    "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
            }
            if requirement.key != "metadata.name" {
                errors.invalid(path.child("key"), requirement.key, "not a valid field selector key")
                continue
            }
            for (index, value) in requirement.values.enumerated() {
                errors.require(NameRules.subdomain, path.child("values").index(index), value)
            }
        }
        return errors
    }

    private static func podTerm(_ path: RulePath, _ term: PodAffinityTerm) -> [FieldError] {
        var errors = LabelRules.selector(path.child("labelSelector"), term.labelSelector)
        errors += LabelRules.selector(path.child("namespaceSelector"), term.namespaceSelector)
        for name in term.namespaces { errors.require(NameRules.label, path.child("namespace"), name) }
        for (field, keys) in [
            ("matchLabelKeys", term.matchLabelKeys), ("mismatchLabelKeys", term.mismatchLabelKeys),
        ] where !keys.isEmpty {
            if term.labelSelector == nil {
                errors.forbidden(path.child(field), "must not be specified when labelSelector is not set")
                continue
            }
            for (index, key) in keys.enumerated() {
                errors.require(NameRules.qualified, path.child(field).index(index), key)
            }
        }
        for (index, key) in term.matchLabelKeys.enumerated() where term.mismatchLabelKeys.contains(key) {
            errors.invalid(
                path.child("matchLabelKeys").index(index), key,
                "exists in both matchLabelKeys and mismatchLabelKeys")
        }
        if term.topologyKey.isEmpty { errors.required(path.child("topologyKey"), "can not be empty") }
        errors.require(NameRules.qualified, path.child("topologyKey"), term.topologyKey)
        return errors
    }

    // MARK: - Spreading

    static func spread(_ path: RulePath, _ constraints: [TopologySpreadConstraint]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, constraint) in constraints.enumerated() {
            let path = path.index(index)
            let action = constraint.whenUnsatisfiable
            if constraint.maxSkew <= 0 {
                errors.invalid(path.child("maxSkew"), constraint.maxSkew, "must be greater than zero")
            }
            if constraint.topologyKey.isEmpty {
                errors.required(path.child("topologyKey"), "can not be empty")
            }
            errors.requireOneOf(path.child("whenUnsatisfiable"), action, ["DoNotSchedule", "ScheduleAnyway"])
            let isRepeated = constraints[(index + 1)...].contains {
                $0.topologyKey == constraint.topologyKey && $0.whenUnsatisfiable == action
            }
            if isRepeated {
                errors.duplicate(
                    path.child("{topologyKey, whenUnsatisfiable}"), "{\(constraint.topologyKey), \(action)}")
            }
            if let domains = constraint.minDomains {
                if domains <= 0 {
                    errors.invalid(path.child("minDomains"), domains, "must be greater than zero")
                }
                if action != "DoNotSchedule" {
                    errors.invalid(
                        path.child("minDomains"), domains,
                        "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not \(action)")
                }
            }
            for (field, policy) in [
                ("nodeAffinityPolicy", constraint.nodeAffinityPolicy),
                ("nodeTaintsPolicy", constraint.nodeTaintsPolicy),
            ] {
                if let policy { errors.requireOneOf(path.child(field), policy, ["Honor", "Ignore"]) }
            }
            errors += labelKeys(path.child("matchLabelKeys"), constraint)
            errors += LabelRules.selector(path.child("labelSelector"), constraint.labelSelector)
        }
        return errors
    }

    private static func labelKeys(_ path: RulePath, _ constraint: TopologySpreadConstraint) -> [FieldError] {
        if constraint.matchLabelKeys.isEmpty { return [] }
        var errors: [FieldError] = []
        if constraint.labelSelector == nil {
            errors.forbidden(path, "must not be specified when labelSelector is not set")
        }
        let selected = Set(constraint.labelSelector?.matchLabels.keys.map { $0 } ?? [])
            .union(constraint.labelSelector?.matchExpressions.map(\.key) ?? [])
        for (index, key) in constraint.matchLabelKeys.enumerated() {
            errors.require(NameRules.qualified, path.index(index), key)
            if selected.contains(key) {
                errors.invalid(path.index(index), key, "exists in both matchLabelKeys and labelSelector")
            }
        }
        return errors
    }

    // MARK: - Taints and tolerations

    static func tolerations(_ path: RulePath, _ tolerations: [Toleration]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, toleration) in tolerations.enumerated() {
            let path = path.index(index)
            if !toleration.key.isEmpty {
                errors.require(NameRules.qualified, path.child("key"), toleration.key)
            } else if toleration.operator != "Exists" {
                errors.invalid(
                    path.child("operator"), toleration.operator,
                    "operator must be Exists when `key` is empty, which means \"match all values and all keys\""
                )
            }
            if toleration.tolerationSeconds != nil, toleration.effect != "NoExecute" {
                errors.invalid(
                    path.child("effect"), toleration.effect,
                    "effect must be 'NoExecute' when `tolerationSeconds` is set")
            }
            switch toleration.operator {
            case "Equal", "":
                let messages = LabelSyntax.errors(inValue: toleration.value)
                if !messages.isEmpty {
                    errors.invalid(
                        path.child("operator"), toleration.value, messages.joined(separator: ";"))
                }
            case "Exists":
                if !toleration.value.isEmpty {
                    errors.invalid(
                        path.child("operator"), toleration.value,
                        "value must be empty when `operator` is 'Exists'")
                }
            default: errors.requireOneOf(path.child("operator"), toleration.operator, ["Equal", "Exists"])
            }
            if !toleration.effect.isEmpty {
                errors.requireOneOf(path.child("effect"), toleration.effect, effects)
            }
        }
        return errors
    }

    static func taints(_ path: RulePath, _ taints: [Taint]) -> [FieldError] {
        var errors: [FieldError] = []
        var seen: Set<[String]> = []
        for (index, taint) in taints.enumerated() {
            let path = path.index(index)
            errors.require(NameRules.qualified, path.child("key"), taint.key)
            let messages = LabelSyntax.errors(inValue: taint.value)
            if !messages.isEmpty {
                errors.invalid(path.child("value"), taint.value, messages.joined(separator: ";"))
            }
            errors.requireNamed(path.child("effect"), taint.effect, effects)
            if !seen.insert([taint.effect, taint.key]).inserted {
                let shown =
                    "core.Taint{Key:\(GoText.quoted(taint.key)), Value:\(GoText.quoted(taint.value)), "
                    + "Effect:\(GoText.quoted(taint.effect)), TimeAdded:<nil>}"
                errors.append(
                    FieldError(
                        type: .duplicate, field: path.text, shownValue: shown,
                        detail: "taints must be unique by key and effect pair"))
            }
        }
        return errors
    }
}
