// MARK: - Deployment

extension Deployment: Defaulting {
    public mutating func applyDefaults() {
        if spec.replicas == nil { spec.replicas = 1 }
        if spec.strategy.type.isEmpty { spec.strategy.type = "RollingUpdate" }
        if spec.strategy.type == "RollingUpdate" {
            var rolling = spec.strategy.rollingUpdate ?? RollingUpdateDeployment()
            rolling.maxUnavailable = rolling.maxUnavailable ?? "25%"
            rolling.maxSurge = rolling.maxSurge ?? "25%"
            spec.strategy.rollingUpdate = rolling
        }
        if spec.revisionHistoryLimit == nil { spec.revisionHistoryLimit = 10 }
        if spec.progressDeadlineSeconds == nil { spec.progressDeadlineSeconds = 600 }
        spec.template.spec.applyDefaults()
    }
}

extension Deployment: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec(old: nil)
    }

    public func validateUpdate(from old: Deployment) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validateSpec(old: old.spec)
        errors.requireUnchangedSelector(spec.selector, old.spec.selector)
        return errors
    }

    public func validateStatusUpdate(from old: Deployment) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        let counts = [
            ("replicas", status.replicas), ("updatedReplicas", status.updatedReplicas),
            ("readyReplicas", status.readyReplicas), ("availableReplicas", status.availableReplicas),
            ("unavailableReplicas", status.unavailableReplicas),
        ]
        errors.requireNonnegative("status.observedGeneration", status.observedGeneration)
        for (name, count) in counts { errors.requireNonnegative(RulePath("status").child(name), count) }
        for (name, count) in counts[1...3] where count > status.replicas {
            errors.invalid(RulePath("status").child(name), count, "cannot be greater than status.replicas")
        }
        if status.availableReplicas > status.readyReplicas {
            errors.invalid(
                "status.availableReplicas", status.availableReplicas, "cannot be greater than readyReplicas")
        }
        if let count = status.collisionCount { errors.requireNonnegative("status.collisionCount", count) }
        return errors + WorkloadRules.collisions(status.collisionCount, since: old.status.collisionCount)
    }

    private func validateSpec(old: DeploymentSpec?) -> [FieldError] {
        var errors: [FieldError] = []
        errors.requireNonnegative("spec.replicas", spec.replicas ?? 0)
        errors += WorkloadRules.selector(spec.selector, kind: "deployment")
        errors += WorkloadRules.template(spec.template, selector: spec.selector, kind: "Deployment")
        errors += validateStrategy()
        errors.requireNonnegative("spec.minReadySeconds", spec.minReadySeconds)
        if let limit = spec.revisionHistoryLimit {
            errors.requireNonnegative("spec.revisionHistoryLimit", limit)
        }
        if let deadline = spec.progressDeadlineSeconds {
            errors.requireNonnegative("spec.progressDeadlineSeconds", deadline)
            if deadline <= spec.minReadySeconds {
                errors.invalid(
                    "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
            }
        }
        return errors
    }

    private func validateStrategy() -> [FieldError] {
        var errors: [FieldError] = []
        let rolling = spec.strategy.rollingUpdate
        switch spec.strategy.type {
        case "Recreate":
            if rolling != nil {
                errors.forbidden(
                    "spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
            }
        case "RollingUpdate":
            guard let rolling else {
                errors.required("spec.strategy.rollingUpdate", "this should be defaulted and never be nil")
                return errors
            }
            let path: RulePath = "spec.strategy.rollingUpdate"
            let unavailable = rolling.maxUnavailable ?? 0
            errors += WorkloadRules.share(path.child("maxUnavailable"), unavailable)
            errors += WorkloadRules.share(path.child("maxSurge"), rolling.maxSurge ?? 0)
            if WorkloadRules.isZero(unavailable), WorkloadRules.isZero(rolling.maxSurge ?? 0) {
                errors.invalid(
                    path.child("maxUnavailable"), shown: GoSyntax.intOrString(unavailable),
                    "may not be 0 when `maxSurge` is 0")
            }
            errors += WorkloadRules.atMostAll(path.child("maxUnavailable"), unavailable)
        default:
            errors.requireOneOf("spec.strategy", spec.strategy.type, ["Recreate", "RollingUpdate"])
        }
        return errors
    }
}

// MARK: - ReplicaSet

extension ReplicaSet: Defaulting {
    public mutating func applyDefaults() {
        if spec.replicas == nil { spec.replicas = 1 }
        spec.template.spec.applyDefaults()
    }
}

extension ReplicaSet: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec()
    }

    public func validateUpdate(from old: ReplicaSet) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validateSpec()
        errors.requireUnchangedSelector(spec.selector, old.spec.selector)
        return errors
    }

    public func validateStatusUpdate(from old: ReplicaSet) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata)
            + WorkloadRules.replicaCounts(
                total: status.replicas, labelled: status.fullyLabeledReplicas, ready: status.readyReplicas,
                available: status.availableReplicas, observedGeneration: status.observedGeneration)
    }

    private func validateSpec() -> [FieldError] {
        var errors: [FieldError] = []
        errors.requireNonnegative("spec.replicas", spec.replicas ?? 0)
        errors.requireNonnegative("spec.minReadySeconds", spec.minReadySeconds)
        errors += WorkloadRules.selector(spec.selector, kind: "deployment")
        return errors + WorkloadRules.template(spec.template, selector: spec.selector, kind: "ReplicaSet")
    }
}

// MARK: - ReplicationController

extension ReplicationController: Defaulting {
    public mutating func applyDefaults() {
        if let labels = spec.template?.metadata.labels, !labels.isEmpty {
            if spec.selector.isEmpty { spec.selector = labels }
            if metadata.labels.isEmpty { metadata.labels = labels }
        }
        if spec.replicas == nil { spec.replicas = 1 }
        spec.template?.spec.applyDefaults()
    }
}

extension ReplicationController: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec()
    }

    public func validateUpdate(from old: ReplicationController) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validateSpec()
    }

    public func validateStatusUpdate(from old: ReplicationController) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata)
            + WorkloadRules.replicaCounts(
                total: status.replicas, labelled: status.fullyLabeledReplicas, ready: status.readyReplicas,
                available: status.availableReplicas, observedGeneration: status.observedGeneration)
    }

    private func validateSpec() -> [FieldError] {
        var errors: [FieldError] = []
        errors.requireNonnegative("spec.minReadySeconds", spec.minReadySeconds)
        if spec.selector.isEmpty { errors.required("spec.selector") }
        errors.requireNonnegative("spec.replicas", spec.replicas ?? 0)
        guard let template = spec.template else {
            errors.required("spec.template")
            return errors
        }
        return errors
            + WorkloadRules.template(
                template, selector: LabelSelector(matchLabels: spec.selector), kind: "ReplicationController")
    }
}

extension PodTemplate: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain)
            + PodRules.template("template", template)
    }

    public func validateUpdate(from old: PodTemplate) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + PodRules.template("template", template)
    }
}

// MARK: - Shared

/// Rules that kinds with a pod template share.
enum WorkloadRules {
    static func selector(_ selector: LabelSelector?, kind: String) -> [FieldError] {
        guard let selector else { return [.required("spec.selector")] }
        var errors = LabelRules.selector("spec.selector", selector)
        if selector.matchLabels.isEmpty, selector.matchExpressions.isEmpty {
            errors.invalid(
                "spec.selector", shown: GoSyntax.selector(selector), "empty selector is invalid for \(kind)")
        }
        return errors
    }

    static func template(
        _ template: PodTemplateSpec, selector: LabelSelector?, kind: String
    ) -> [FieldError] {
        var errors: [FieldError] = []
        do {
            let parsed = try Selector(selector)
            if !parsed.selectsEverything, !parsed.matches(template.metadata.labels) {
                errors.invalid(
                    "spec.template.metadata.labels", shown: GoSyntax.map(template.metadata.labels),
                    "`selector` does not match template `labels`")
            }
        } catch {
            errors.invalid("spec.selector", shown: GoSyntax.selector(selector), "invalid label selector")
        }
        errors += PodRules.template("spec.template", template)
        let policy = template.spec.restartPolicy
        if ["OnFailure", "Never"].contains(policy) {
            errors.requireOneOf("spec.template.spec.restartPolicy", policy, ["Always"])
        }
        if template.spec.activeDeadlineSeconds != nil {
            errors.forbidden(
                "spec.template.spec.activeDeadlineSeconds",
                "activeDeadlineSeconds in \(kind) is not Supported")
        }
        return errors
    }

    /// What is wrong with the end that a template foresees for pods that are to run for ever.
    static func runsForEver(_ template: PodTemplateSpec, kind: String) -> [FieldError] {
        var errors: [FieldError] = []
        errors.requireOneOf("spec.template.spec.restartPolicy", template.spec.restartPolicy, ["Always"])
        if template.spec.activeDeadlineSeconds != nil {
            errors.forbidden(
                "spec.template.spec.activeDeadlineSeconds",
                "activeDeadlineSeconds in \(kind) is not Supported")
        }
        return errors
    }

    /// A number of name collisions never falls.
    static func collisions(_ count: Int?, since before: Int?) -> [FieldError] {
        guard let before, (count ?? -1) < before else { return [] }
        return [
            .invalid("status.collisionCount", .integer(Int64(count ?? 0)), "cannot be decremented")
        ]
    }

    /// A number of pods, or a percentage of them.
    static func share(_ path: RulePath, _ value: IntOrString) -> [FieldError] {
        var errors: [FieldError] = []
        switch value {
        case .int(let count): errors.requireNonnegative(path, count)
        case .string(let text):
            for message in NameRules.percentage(text) {
                errors.invalid(path, shown: GoSyntax.intOrString(value), message)
            }
        }
        return errors
    }

    private static func percentage(_ value: IntOrString) -> Int? {
        guard case .string(let text) = value, NameRules.percentage(text).isEmpty else { return nil }
        return Int(text.dropLast())
    }

    static func isZero(_ value: IntOrString) -> Bool {
        if case .int(let count) = value { return count == 0 }
        return percentage(value) == 0
    }

    static func atMostAll(_ path: RulePath, _ value: IntOrString) -> [FieldError] {
        guard let percentage = percentage(value), percentage > 100 else { return [] }
        return [
            FieldError(
                type: .invalid, field: path.text, shownValue: GoSyntax.intOrString(value),
                detail: "must not be greater than 100%")
        ]
    }

    static func replicaCounts(
        total: Int, labelled: Int, ready: Int, available: Int, observedGeneration: Int
    ) -> [FieldError] {
        var errors: [FieldError] = []
        let path: RulePath = "status"
        let parts = [
            ("fullyLabeledReplicas", labelled), ("readyReplicas", ready), ("availableReplicas", available),
        ]
        for (name, count) in [("replicas", total)] + parts + [("observedGeneration", observedGeneration)] {
            errors.requireNonnegative(path.child(name), count)
        }
        for (name, count) in parts where count > total {
            errors.invalid(path.child(name), count, "cannot be greater than status.replicas")
        }
        if available > ready {
            errors.invalid(path.child("availableReplicas"), available, "cannot be greater than readyReplicas")
        }
        return errors
    }
}

extension [FieldError] {
    mutating func requireUnchangedSelector(_ new: LabelSelector?, _ old: LabelSelector?) {
        if new != old { invalid("spec.selector", shown: GoSyntax.selector(new), RuleText.immutable) }
    }
}
