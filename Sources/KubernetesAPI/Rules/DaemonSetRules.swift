extension DaemonSet: Defaulting {
    public mutating func applyDefaults() {
        if spec.updateStrategy.type.isEmpty { spec.updateStrategy.type = "RollingUpdate" }
        if spec.updateStrategy.type == "RollingUpdate" {
            var rolling = spec.updateStrategy.rollingUpdate ?? RollingUpdateDaemonSet()
            rolling.maxUnavailable = rolling.maxUnavailable ?? 1
            rolling.maxSurge = rolling.maxSurge ?? 0
            spec.updateStrategy.rollingUpdate = rolling
        }
        if spec.revisionHistoryLimit == nil { spec.revisionHistoryLimit = 10 }
        spec.template.spec.applyDefaults()
    }

    /// Where an older API version kept the number of template changes; it is shown still.
    public static let templateGeneration = "deprecated.daemonset.template.generation"
}

extension DaemonSet: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec()
    }

    public func validateUpdate(from old: DaemonSet) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validateSpec()
        errors.requireUnchangedSelector(spec.selector, old.spec.selector)
        return errors
    }

    public func validateStatusUpdate(from old: DaemonSet) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        for (name, count) in [
            ("currentNumberScheduled", status.currentNumberScheduled),
            ("numberMisscheduled", status.numberMisscheduled),
            ("desiredNumberScheduled", status.desiredNumberScheduled), ("numberReady", status.numberReady),
            ("observedGeneration", status.observedGeneration),
            ("updatedNumberScheduled", status.updatedNumberScheduled),
            ("numberAvailable", status.numberAvailable), ("numberUnavailable", status.numberUnavailable),
            ("collisionCount", status.collisionCount ?? 0),
        ] {
            errors.requireNonnegative(RulePath("status").child(name), count)
        }
        return errors + WorkloadRules.collisions(status.collisionCount, since: old.status.collisionCount)
    }

    private func validateSpec() -> [FieldError] {
        var errors = LabelRules.selector("spec.selector", spec.selector)
        if let parsed = try? Selector(spec.selector), !parsed.matches(spec.template.metadata.labels) {
            errors.invalid(
                "spec.template.metadata.labels", shown: GoSyntax.map(spec.template.metadata.labels),
                "`selector` does not match template `labels`")
        }
        if let selector = spec.selector, selector.matchLabels.isEmpty, selector.matchExpressions.isEmpty {
            errors.invalid(
                "spec.selector", shown: GoSyntax.selector(selector), "empty selector is invalid for daemonset"
            )
        }
        errors += PodRules.template("spec.template", spec.template)
        errors += WorkloadRules.runsForEver(spec.template, kind: "DaemonSet")
        errors.requireNonnegative("spec.minReadySeconds", spec.minReadySeconds)
        errors += validateStrategy()
        if let limit = spec.revisionHistoryLimit {
            errors.requireNonnegative("spec.revisionHistoryLimit", limit)
        }
        return errors
    }

    private func validateStrategy() -> [FieldError] {
        var errors: [FieldError] = []
        let path: RulePath = "spec.updateStrategy"
        switch spec.updateStrategy.type {
        case "OnDelete": break
        case "RollingUpdate":
            let path = path.child("rollingUpdate")
            guard let rolling = spec.updateStrategy.rollingUpdate else {
                errors.required(path)
                break
            }
            let unavailable = rolling.maxUnavailable ?? 0
            let surge = rolling.maxSurge ?? 0
            errors += WorkloadRules.share(path.child("maxUnavailable"), unavailable)
            errors += WorkloadRules.share(path.child("maxSurge"), surge)
            errors += WorkloadRules.atMostAll(path.child("maxUnavailable"), unavailable)
            errors += WorkloadRules.atMostAll(path.child("maxSurge"), surge)
            switch (WorkloadRules.isZero(unavailable), WorkloadRules.isZero(surge)) {
            case (false, false):
                errors.invalid(
                    path.child("maxSurge"), shown: GoSyntax.intOrString(surge),
                    "may not be set when maxUnavailable is non-zero")
            case (true, true):
                errors.required(path.child("maxUnavailable"), "cannot be 0 when maxSurge is 0")
            default: break
            }
        default:
            var error = FieldError.notSupported(path.text, .null, ["RollingUpdate", "OnDelete"])
            error.shownValue =
                "apps.DaemonSetUpdateStrategy{Type:\(GoText.quoted(spec.updateStrategy.type)), "
                + "RollingUpdate:(*apps.RollingUpdateDaemonSet)(nil)}"
            errors.append(error)
        }
        return errors
    }
}
