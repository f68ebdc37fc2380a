private let group = "rbac.authorization.k8s.io"

// MARK: - Roles

extension Role: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.pathSegment)
            + RoleRules.rules(rules, isNamespaced: true)
    }

    public func validateUpdate(from old: Role) -> [FieldError] {
        validate() + metadata.validateUpdate(from: old.metadata)
    }
}

extension ClusterRole: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: NameRules.pathSegment)
        errors += RoleRules.rules(rules, isNamespaced: false)
        guard let aggregation = aggregationRule else { return errors }
        let path: RulePath = "aggregationRule.clusterRoleSelectors"
        if aggregation.clusterRoleSelectors.isEmpty {
            errors.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
        }
        for (index, selector) in aggregation.clusterRoleSelectors.enumerated() {
            errors += LabelRules.selector(path.index(index), selector)
        }
        return errors
    }

    public func validateUpdate(from old: ClusterRole) -> [FieldError] {
        validate() + metadata.validateUpdate(from: old.metadata)
    }
}

// MARK: - Bindings

extension RoleBinding: Defaulting {
    public mutating func applyDefaults() {
        if roleRef.apiGroup.isEmpty { roleRef.apiGroup = group }
        for index in subjects.indices { subjects[index].applyDefaults() }
    }
}

extension RoleBinding: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.pathSegment)
            + RoleRules.reference(roleRef, kinds: ["Role", "ClusterRole"])
            + RoleRules.subjects(subjects)
    }

    public func validateUpdate(from old: RoleBinding) -> [FieldError] {
        validate() + metadata.validateUpdate(from: old.metadata)
            + RoleRules.unchanged(roleRef, old.roleRef)
    }
}

extension ClusterRoleBinding: Defaulting {
    public mutating func applyDefaults() {
        if roleRef.apiGroup.isEmpty { roleRef.apiGroup = group }
        for index in subjects.indices { subjects[index].applyDefaults() }
    }
}

extension ClusterRoleBinding: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: false, name: NameRules.pathSegment)
            + RoleRules.reference(roleRef, kinds: ["ClusterRole"])
            + RoleRules.subjects(subjects)
    }

    public func validateUpdate(from old: ClusterRoleBinding) -> [FieldError] {
        validate() + metadata.validateUpdate(from: old.metadata)
            + RoleRules.unchanged(roleRef, old.roleRef)
    }
}

extension Subject {
    fileprivate mutating func applyDefaults() {
        if apiGroup.isEmpty, kind == "User" || kind == "Group" { apiGroup = group }
    }
}

/// Rules that roles and bindings share.
private enum RoleRules {
    static func rules(_ rules: [PolicyRule], isNamespaced: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, rule) in rules.enumerated() {
            let path = RulePath("rules").index(index)
            if rule.verbs.isEmpty {
                errors.required(path.child("verbs"), "verbs must contain at least one value")
            }
            if !rule.nonResourceURLs.isEmpty {
                let paths = path.child("nonResourceURLs")
                let shown = GoSyntax.list(rule.nonResourceURLs)
                if isNamespaced {
                    errors.invalid(
                        paths, shown: shown, "namespaced rules cannot apply to non-resource URLs")
                }
                if !rule.apiGroups.isEmpty || !rule.resources.isEmpty || !rule.resourceNames.isEmpty {
                    errors.invalid(
                        paths, shown: shown,
                        "rules cannot apply to both regular resources and non-resource URLs")
                }
                continue
            }
            if rule.apiGroups.isEmpty {
                errors.required(path.child("apiGroups"), "resource rules must supply at least one api group")
            }
            if rule.resources.isEmpty {
                errors.required(path.child("resources"), "resource rules must supply at least one resource")
            }
        }
        return errors
    }

    static func reference(_ reference: RoleRef, kinds: [String]) -> [FieldError] {
        var errors: [FieldError] = []
        errors.requireOneOf("roleRef.apiGroup", reference.apiGroup, [group])
        errors.requireOneOf("roleRef.kind", reference.kind, kinds)
        if reference.name.isEmpty {
            errors.required("roleRef.name")
        } else {
            errors.require(NameRules.pathSegment, "roleRef.name", reference.name)
        }
        return errors
    }

    static func unchanged(_ new: RoleRef, _ old: RoleRef) -> [FieldError] {
        if new == old { return [] }
        let shown =
            "rbac.RoleRef{APIGroup:\(GoText.quoted(new.apiGroup)), Kind:\(GoText.quoted(new.kind)), "
            + "Name:\(GoText.quoted(new.name))}"
        return [
            FieldError(type: .invalid, field: "roleRef", shownValue: shown, detail: "cannot change roleRef")
        ]
    }

    static func subjects(_ subjects: [Subject]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, subject) in subjects.enumerated() {
            let path = RulePath("subjects").index(index)
            if subject.name.isEmpty { errors.required(path.child("name")) }
            switch subject.kind {
            case "ServiceAccount":
                if !subject.name.isEmpty {
                    errors.require(NameRules.subdomain, path.child("name"), subject.name)
                }
                if !subject.apiGroup.isEmpty {
                    errors.requireOneOf(path.child("apiGroup"), subject.apiGroup, [""])
                }
                if subject.namespace.isEmpty { errors.required(path.child("namespace")) }
            case "User", "Group": errors.requireOneOf(path.child("apiGroup"), subject.apiGroup, [group])
            default:
                errors.requireOneOf(path.child("kind"), subject.kind, ["ServiceAccount", "User", "Group"])
            }
        }
        return errors
    }
}

// MARK: - PodDisruptionBudget

extension PodDisruptionBudget: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec()
    }

    public func validateUpdate(from old: PodDisruptionBudget) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validateSpec()
    }

    public func validateStatusUpdate(from old: PodDisruptionBudget) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        for (field, count) in [
            ("disruptionsAllowed", status.disruptionsAllowed), ("currentHealthy", status.currentHealthy),
            ("desiredHealthy", status.desiredHealthy), ("expectedPods", status.expectedPods),
        ] {
            errors.requireNonnegative(RulePath("status").child(field), count)
        }
        return errors
    }

    private func validateSpec() -> [FieldError] {
        var errors: [FieldError] = []
        if spec.minAvailable != nil, spec.maxUnavailable != nil {
            errors.append(
                FieldError(
                    type: .invalid, field: "spec", badValue: spec.jsonValue,
                    detail: "minAvailable and maxUnavailable cannot be both set"))
        }
        for (field, value) in [("minAvailable", spec.minAvailable), ("maxUnavailable", spec.maxUnavailable)] {
            guard let value else { continue }
            let path = RulePath("spec").child(field)
            errors += WorkloadRules.share(path, value) + WorkloadRules.atMostAll(path, value)
        }
        errors += LabelRules.selector("spec.selector", spec.selector)
        if let policy = spec.unhealthyPodEvictionPolicy {
            errors.requireOneOf(
                "spec.unhealthyPodEvictionPolicy", policy, ["AlwaysAllow", "IfHealthyBudget"])
        }
        return errors
    }
}

// MARK: - Tokens and reviews

extension TokenRequest: Defaulting {
    public mutating func applyDefaults() {
        if spec.expirationSeconds == nil { spec.expirationSeconds = 3600 }
    }
}

extension TokenRequest: Validating {
    public func validate() -> [FieldError] {
        var errors: [FieldError] = []
        let seconds = spec.expirationSeconds ?? 3600
        if seconds < 600 {
            errors.invalid(
                "spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        }
        if seconds > 1 << 32 {
            errors.invalid(
                "spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        }
        return errors
    }

    public func validateUpdate(from old: TokenRequest) -> [FieldError] { validate() }
}

extension SubjectAccessReview: Validating {
    public func validate() -> [FieldError] {
        ReviewRules.spec(spec) + ReviewRules.metadata(metadata, namespace: "")
    }

    public func validateUpdate(from old: SubjectAccessReview) -> [FieldError] { validate() }
}

extension LocalSubjectAccessReview: Validating {
    public func validate() -> [FieldError] {
        var errors = ReviewRules.spec(spec)
        errors += ReviewRules.metadata(metadata, namespace: metadata.namespace)
        if let attributes = spec.resourceAttributes, attributes.namespace != metadata.namespace {
            errors.invalid(
                "spec.resourceAttributes.namespace", attributes.namespace, "must match metadata.namespace")
        }
        if spec.nonResourceAttributes != nil {
            errors.append(
                FieldError(
                    type: .invalid, field: "spec.nonResourceAttributes",
                    badValue: spec.nonResourceAttributes?.jsonValue,
                    detail: "disallowed on this kind of request"))
        }
        return errors
    }

    public func validateUpdate(from old: LocalSubjectAccessReview) -> [FieldError] { validate() }
}

extension SelfSubjectAccessReview: Validating {
    public func validate() -> [FieldError] {
        ReviewRules.attributes(spec.resourceAttributes, spec.nonResourceAttributes)
            + ReviewRules.metadata(metadata, namespace: "")
    }

    public func validateUpdate(from old: SelfSubjectAccessReview) -> [FieldError] { validate() }
}

private enum ReviewRules {
    static func attributes(_ resource: ResourceAttributes?, _ other: NonResourceAttributes?) -> [FieldError] {
        var errors: [FieldError] = []
        if resource != nil, other != nil {
            errors.invalid(
                "spec.nonResourceAttributes", "nonResourceAttributes",
                "cannot be specified in combination with resourceAttributes")
        }
        if resource == nil, other == nil {
            errors.invalid(
                "spec.resourceAttributes", shown: "null",
                "exactly one of nonResourceAttributes or resourceAttributes must be specified")
        }
        return errors + selectors("spec.resourceAttributes", resource ?? ResourceAttributes())
    }

    /// Selectors come as text or as requirements. Operators that are not known are let pass: whoever decides has
    /// to do without such a requirement.
    private static func selectors(_ path: RulePath, _ attributes: ResourceAttributes) -> [FieldError] {
        var errors: [FieldError] = []
        if let selector = attributes.fieldSelector {
            let path = path.child("fieldSelector")
            errors += form(path, selector.rawSelector, count: selector.requirements.count)
            for (index, requirement) in selector.requirements.enumerated() {
                let path = path.child("requirements").index(index)
                if requirement.key.isEmpty { errors.required(path.child("key"), "must be specified") }
                errors += values(path, requirement.operator, requirement.values)
            }
        }
        if let selector = attributes.labelSelector {
            let path = path.child("labelSelector")
            errors += form(path, selector.rawSelector, count: selector.requirements.count)
            for (index, requirement) in selector.requirements.enumerated() {
                let path = path.child("requirements").index(index)
                errors += values(path, requirement.operator, requirement.values)
                errors.require(NameRules.qualified, path.child("key"), requirement.key)
                for (number, value) in requirement.values.enumerated() {
                    errors.invalid(
                        path.child("values").index(number), value,
                        messages: LabelSyntax.errors(inValue: value))
                }
            }
        }
        return errors
    }

    private static func form(_ path: RulePath, _ raw: String, count: Int) -> [FieldError] {
        var errors: [FieldError] = []
        if !raw.isEmpty, count > 0 {
            errors.invalid(
                path.child("rawSelector"), raw, "may not specified at the same time as requirements")
        }
        if raw.isEmpty, count == 0 {
            errors.required(
                path.child("requirements"),
                "when \(path.text) is specified, requirements or rawSelector is required")
        }
        return errors
    }

    private static func values(_ path: RulePath, _ name: String, _ values: [String]) -> [FieldError] {
        var errors: [FieldError] = []
        switch name {
        case "In", "NotIn":
            if values.isEmpty {
                errors.required(
                    path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'")
            }
        case "Exists", "DoesNotExist":
            if !values.isEmpty {
                errors.forbidden(
                    path.child("values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
            }
        default: break
        }
        return errors
    }

    static func spec(_ spec: SubjectAccessReviewSpec) -> [FieldError] {
        var errors = attributes(spec.resourceAttributes, spec.nonResourceAttributes)
        if spec.user.isEmpty, spec.groups.isEmpty {
            errors.invalid("spec.user", spec.user, "at least one of user or group must be specified")
        }
        return errors
    }

    /// A review is a question: it carries no metadata but, for the local kind, its namespace.
    static func metadata(_ metadata: ObjectMeta, namespace: String) -> [FieldError] {
        var bare = metadata
        bare.managedFields = []
        bare.creationTimestamp = nil
        if bare == ObjectMeta(namespace: namespace) { return [] }
        let exception = namespace.isEmpty ? "" : " except for namespace"
        return [
            FieldError(
                type: .invalid, field: "metadata", badValue: bare.jsonValue,
                detail: "must be empty\(exception)")
        ]
    }
}
