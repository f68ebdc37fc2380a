import KubernetesJSON

extension ResourceQuota: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + spec.validate("spec")
            + amounts("status.hard", status.hard) + amounts("status.used", status.used)
    }

    public func validateUpdate(from old: ResourceQuota) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + spec.validate("spec")
        if Set(spec.scopes) != Set(old.spec.scopes) {
            errors.invalid("spec.scopes", shown: spec.shownScopes, RuleText.immutable)
        }
        return errors
    }

    public func validateStatusUpdate(from old: ResourceQuota) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + amounts("status.hard", status.hard)
            + amounts("status.used", status.used)
    }
}

/// Amounts of resources that a quota may bound.
private func amounts(_ path: RulePath, _ amounts: [String: Quantity]) -> [FieldError] {
    amounts.sorted { $0.key < $1.key }.flatMap { name, amount in
        ResourceRules.quotaName(path.key(name), name) + ResourceRules.amount(path.key(name), name, amount)
    }
}

extension ResourceQuotaSpec {
    private static let podScopes: Set<String> = [
        "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass",
        "CrossNamespacePodAffinity",
    ]
    private static let computeResources: Set<String> = [
        "pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory",
    ]

    /// The scopes as Go prints them.
    fileprivate var shownScopes: String {
        let list = scopes.map(GoText.quoted).joined(separator: ", ")
        return "[]core.ResourceQuotaScope{\(list)}"
    }

    fileprivate func validate(_ path: RulePath) -> [FieldError] {
        amounts(path.child("hard"), hard) + validateScopes(path.child("scopes"))
            + validateSelector(path.child("scopeSelector.matchExpressions"))
    }

    private func validateScopes(_ path: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        for scope in scopes {
            if !Self.isKnown(scope) { errors.invalid(path, shown: shownScopes, "unsupported scope") }
            for _ in unsuited(to: scope) {
                errors.invalid(path, shown: shownScopes, "unsupported scope applied to resource")
            }
        }
        return errors + conflicts(path, Set(scopes))
    }

    private func validateSelector(_ path: RulePath) -> [FieldError] {
        guard let scopeSelector else { return [] }
        var errors: [FieldError] = []
        for term in scopeSelector.matchExpressions {
            if !Self.isKnown(term.scopeName) {
                errors.invalid(path.child("scopeName"), term.scopeName, "unsupported scope")
            }
            for _ in unsuited(to: term.scopeName) {
                errors.append(
                    .invalid(
                        path.text, scopeSelector.jsonValue, "unsupported scope applied to resource"))
            }
            if Self.podScopes.contains(term.scopeName), term.scopeName != "PriorityClass",
                term.operator != "Exists"
            {
                errors.invalid(
                    path.child("operator"), term.operator,
                    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
                        + "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                        + "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity")
            }
            switch term.operator {
            case "In", "NotIn":
                if term.values.isEmpty {
                    errors.required(
                        path.child("values"),
                        "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")
                }
            case "Exists", "DoesNotExist":
                if !term.values.isEmpty {
                    let list = term.values.map(GoText.quoted).joined(separator: ", ")
                    errors.invalid(
                        path.child("values"), shown: "[]string{\(list)}",
                        "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")
                }
            default: errors.invalid(path.child("operator"), term.operator, "not a valid selector operator")
            }
        }
        return errors + conflicts(path, Set(scopeSelector.matchExpressions.map(\.scopeName)))
    }

    private static func isKnown(_ scope: String) -> Bool {
        podScopes.contains(scope) || scope == "VolumeAttributesClass"
    }

    /// The bounded resources that a scope says nothing about.
    private func unsuited(to scope: String) -> [String] {
        hard.keys.sorted().filter { name in
            guard ResourceRules.isStandardQuota(name) else { return false }
            switch scope {
            case "BestEffort": return name != "pods"
            case "VolumeAttributesClass":
                return name != "persistentvolumeclaims" && name != "requests.storage"
            default: return Self.podScopes.contains(scope) && !Self.computeResources.contains(name)
            }
        }
    }

    private func conflicts(_ path: RulePath, _ names: Set<String>) -> [FieldError] {
        var errors: [FieldError] = []
        for pair in [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]]
        where names.isSuperset(of: pair) {
            errors.invalid(path, shown: shownScopes, "conflicting scopes")
        }
        return errors
    }
}
