/// Rules on what a Job is to do, by itself or in a CronJob's template.
enum JobRules {
    private static let completionsLimit = 100_000
    private static let highCompletionsLimit = 10_000

    static func spec(_ path: RulePath, _ spec: JobSpec) -> [FieldError] {
        var errors: [FieldError] = []
        for (field, value) in [
            ("parallelism", spec.parallelism), ("completions", spec.completions),
            ("activeDeadlineSeconds", spec.activeDeadlineSeconds), ("backoffLimit", spec.backoffLimit),
            ("ttlSecondsAfterFinished", spec.ttlSecondsAfterFinished),
            ("backoffLimitPerIndex", spec.backoffLimitPerIndex), ("maxFailedIndexes", spec.maxFailedIndexes),
        ] {
            if let value { errors.requireNonnegative(path.child(field), value) }
        }
        if spec.maxFailedIndexes != nil, spec.backoffLimitPerIndex == nil {
            errors.required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified")
        }
        if let manager = spec.managedBy {
            errors += NameRules.domainPrefixedPath(path.child("managedBy"), manager)
            if manager.utf8.count > 63 { errors.tooLong(path.child("managedBy"), maximum: 63) }
        }
        errors += mode(path, spec)
        if let policy = spec.podFailurePolicy {
            errors += PodFailurePolicyRules(spec: spec).findings(path.child("podFailurePolicy"), policy)
        }
        if let policy = spec.successPolicy {
            let path = path.child("successPolicy")
            if spec.isIndexed {
                errors += success(path, policy, completions: spec.completions ?? 0)
            } else {
                errors.invalid(path, shown: "\(policy.jsonValue)", "requires indexed completion mode")
            }
        }
        if let policy = spec.podReplacementPolicy {
            errors.requireOneOf(
                path.child("podReplacementPolicy"), policy,
                spec.podFailurePolicy == nil ? ["Failed", "TerminatingOrFailed"] : ["Failed"])
        }
        errors += PodRules.template(path.child("template"), spec.template)
        return errors + restartPolicy(path.child("template.spec.restartPolicy"), spec)
    }

    private static func mode(_ path: RulePath, _ spec: JobSpec) -> [FieldError] {
        var errors: [FieldError] = []
        if let mode = spec.completionMode {
            errors.requireOneOf(path.child("completionMode"), mode, ["NonIndexed", "Indexed"])
        }
        if spec.completionMode == nil || spec.completionMode == "NonIndexed" {
            for (field, value) in [
                ("backoffLimitPerIndex", spec.backoffLimitPerIndex),
                ("maxFailedIndexes", spec.maxFailedIndexes),
            ] {
                if let value {
                    errors.invalid(path.child(field), value, "requires indexed completion mode")
                }
            }
        }
        guard spec.isIndexed else { return errors }
        let failed = path.child("maxFailedIndexes")
        if spec.completions == nil {
            errors.required(path.child("completions"), "when completion mode is Indexed")
        }
        if let parallelism = spec.parallelism, parallelism > completionsLimit {
            errors.invalid(
                path.child("parallelism"), parallelism,
                "must be less than or equal to \(completionsLimit) when completion mode is Indexed")
        }
        if let completions = spec.completions, let maximum = spec.maxFailedIndexes, maximum > completions {
            errors.invalid(failed, maximum, "must be less than or equal to completions")
        }
        if let maximum = spec.maxFailedIndexes, maximum > completionsLimit {
            errors.invalid(failed, maximum, "must be less than or equal to \(completionsLimit)")
        }
        guard let completions = spec.completions, completions > completionsLimit,
            spec.backoffLimitPerIndex != nil
        else { return errors }
        if spec.maxFailedIndexes == nil {
            errors.required(failed, "must be specified when completions is above \(completionsLimit)")
        }
        for (field, value) in [
            ("parallelism", spec.parallelism), ("maxFailedIndexes", spec.maxFailedIndexes),
        ] {
            guard let value, value > highCompletionsLimit else { continue }
            errors.invalid(
                path.child(field), value,
                "must be less than or equal to \(highCompletionsLimit) when completions are above "
                    + "\(completionsLimit) and used with backoff limit per index")
        }
        return errors
    }

    private static func restartPolicy(_ path: RulePath, _ spec: JobSpec) -> [FieldError] {
        var errors: [FieldError] = []
        let policy = spec.template.spec.restartPolicy
        if policy.isEmpty || policy == "Always" {
            errors.required(path, #"valid values: "OnFailure", "Never""#)
        } else if policy != "OnFailure", policy != "Never" {
            errors.requireOneOf(path, policy, ["OnFailure", "Never"])
        } else if spec.podFailurePolicy != nil, policy != "Never" {
            errors.invalid(path, policy, #"only "Never" is supported when podFailurePolicy is specified"#)
        }
        return errors
    }

    // MARK: Success

    private static func success(
        _ path: RulePath, _ policy: SuccessPolicy, completions: Int
    ) -> [FieldError] {
        var errors: [FieldError] = []
        let path = path.child("rules")
        if policy.rules.isEmpty {
            errors.required(path, "at least one rules must be specified when the successPolicy is specified")
        }
        if policy.rules.count > 20 { errors.tooMany(path, policy.rules.count, maximum: 20) }
        for (index, rule) in policy.rules.enumerated() {
            errors += success(path.index(index), rule, completions)
        }
        return errors
    }

    private static func success(
        _ path: RulePath, _ rule: SuccessPolicyRule, _ completions: Int
    ) -> [FieldError] {
        var errors: [FieldError] = []
        if rule.succeededCount == nil, rule.succeededIndexes == nil {
            errors.required(path, "at least one of succeededCount or succeededIndexes must be specified")
        }
        var named = 0
        if let text = rule.succeededIndexes {
            let path = path.child("succeededIndexes")
            if text.utf8.count > 65536 { errors.tooLong(path, maximum: 65536) }
            do {
                named = try JobIndexes(parsing: text, below: completions).count
            } catch {
                errors.invalid(path, text, "error parsing succeededIndexes: \(error.message)")
            }
        }
        guard let count = rule.succeededCount else { return errors }
        let path = path.child("succeededCount")
        errors.requireNonnegative(path, count)
        if count > completions {
            errors.invalid(
                path, count,
                "must be less than or equal to \(completions) (the number of specified completions)")
        }
        if rule.succeededIndexes != nil, count > named {
            errors.invalid(
                path, count,
                "must be less than or equal to \(named) (the number of indexes in the specified "
                    + "succeededIndexes field)")
        }
        return errors
    }
}

/// Rules on what failed pods mean.
struct PodFailurePolicyRules {
    private static let actions = ["Count", "FailIndex", "FailJob", "Ignore"]
    private static let operators = ["In", "NotIn"]
    private static let statuses = ["False", "True", "Unknown"]

    let spec: JobSpec

    /// `valid values: ["a" "b"]`, as Go prints a list.
    private static func valid(_ values: [String]) -> String {
        "valid values: [\(values.map(GoText.quoted).joined(separator: " "))]"
    }

    func findings(_ path: RulePath, _ policy: PodFailurePolicy) -> [FieldError] {
        var errors: [FieldError] = []
        let path = path.child("rules")
        if policy.rules.count > 20 { errors.tooMany(path, policy.rules.count, maximum: 20) }
        for (index, item) in policy.rules.enumerated() { errors += rule(path.index(index), item) }
        return errors
    }

    private func rule(_ path: RulePath, _ rule: PodFailurePolicyRule) -> [FieldError] {
        var errors: [FieldError] = []
        let action = path.child("action")
        if rule.action.isEmpty {
            errors.required(action, Self.valid(Self.actions))
        } else if rule.action == "FailIndex" {
            if spec.backoffLimitPerIndex == nil {
                errors.invalid(action, rule.action, "requires the backoffLimitPerIndex to be set")
            }
        } else {
            errors.requireOneOf(action, rule.action, Self.actions)
        }
        if let codes = rule.onExitCodes { errors += exitCodes(path.child("onExitCodes"), codes) }
        errors += conditions(path.child("onPodConditions"), rule.onPodConditions)
        switch (rule.onExitCodes != nil, !rule.onPodConditions.isEmpty) {
        case (true, true):
            errors.append(
                FieldError(
                    type: .invalid, field: path.text,
                    detail: "specifying both OnExitCodes and OnPodConditions is not supported"))
        case (false, false):
            errors.append(
                FieldError(
                    type: .invalid, field: path.text,
                    detail: "specifying one of OnExitCodes and OnPodConditions is required"))
        default: break
        }
        return errors
    }

    private func conditions(
        _ path: RulePath, _ patterns: [PodFailurePolicyOnPodConditionsPattern]
    ) -> [FieldError] {
        var errors: [FieldError] = []
        if patterns.count > 20 { errors.tooMany(path, patterns.count, maximum: 20) }
        for (index, pattern) in patterns.enumerated() {
            let path = path.index(index)
            errors.require(NameRules.qualified, path.child("type"), pattern.type)
            if pattern.status.isEmpty {
                errors.required(path.child("status"), Self.valid(Self.statuses))
            } else {
                errors.requireOneOf(path.child("status"), pattern.status, Self.statuses)
            }
        }
        return errors
    }

    private func exitCodes(
        _ path: RulePath, _ codes: PodFailurePolicyOnExitCodesRequirement
    ) -> [FieldError] {
        var errors: [FieldError] = []
        if codes.operator.isEmpty {
            errors.required(path.child("operator"), Self.valid(Self.operators))
        } else {
            errors.requireOneOf(path.child("operator"), codes.operator, Self.operators)
        }
        let containers = spec.template.spec.containers + spec.template.spec.initContainers
        if let name = codes.containerName, !containers.contains(where: { $0.name == name }) {
            errors.invalid(
                path.child("containerName"), name,
                "must be one of the container or initContainer names in the pod template")
        }
        let path = path.child("values")
        let shown = codes.values.map(String.init).joined(separator: ", ")
        if codes.values.isEmpty {
            errors.invalid(path, shown: "[]int32(nil)", "at least one value is required")
        } else if codes.values.count > 255 {
            errors.tooMany(path, codes.values.count, maximum: 255)
        }
        var seen: Set<Int> = []
        for (index, code) in codes.values.enumerated() {
            if codes.operator == "In", code == 0 {
                errors.invalid(path.index(index), code, "must not be 0 for the In operator")
            }
            if !seen.insert(code).inserted {
                errors.append(.duplicate(path.index(index).text, .integer(Int64(code))))
            }
        }
        if zip(codes.values, codes.values.dropFirst()).contains(where: >) {
            errors.invalid(path, shown: "[]int32{\(shown)}", "must be ordered")
        }
        return errors
    }
}
