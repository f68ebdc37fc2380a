// MARK: - Defaults

extension Job: Defaulting {
    public mutating func applyDefaults() {
        spec.applyDefaults()
        if metadata.labels.isEmpty { metadata.labels = spec.template.metadata.labels }
    }
}

extension JobSpec {
    mutating func applyDefaults() {
        if completions == nil, parallelism == nil { completions = 1 }
        if parallelism == nil { parallelism = 1 }
        if backoffLimit == nil { backoffLimit = backoffLimitPerIndex == nil ? 6 : Int(Int32.max) }
        if completionMode == nil { completionMode = "NonIndexed" }
        if suspend == nil { suspend = false }
        if manualSelector == nil { manualSelector = false }
        if var policy = podFailurePolicy {
            for rule in policy.rules.indices {
                for pattern in policy.rules[rule].onPodConditions.indices
                where policy.rules[rule].onPodConditions[pattern].status.isEmpty {
                    policy.rules[rule].onPodConditions[pattern].status = "True"
                }
            }
            podFailurePolicy = policy
        }
        if podReplacementPolicy == nil {
            podReplacementPolicy = podFailurePolicy == nil ? "TerminatingOrFailed" : "Failed"
        }
        template.spec.applyDefaults()
    }

    var isIndexed: Bool { completionMode == "Indexed" }
}

// MARK: - Selector

/// Labels by which a Job's pods are told from all others.
enum JobLabel {
    static let uid = "batch.kubernetes.io/controller-uid"
    static let name = "batch.kubernetes.io/job-name"
    /// The names from before labels of the system had a prefix.
    static let legacyUID = "controller-uid"
    static let legacyName = "job-name"
}

extension Job {
    /// Makes the selector, and labels the template to match, unless the client sees to both. Labels that are
    /// there are left for validation to judge.
    public mutating func makeSelector() {
        guard spec.manualSelector != true else { return }
        let labels = [
            JobLabel.legacyName: metadata.name, JobLabel.legacyUID: metadata.uid,
            JobLabel.name: metadata.name, JobLabel.uid: metadata.uid,
        ]
        spec.template.metadata.labels.merge(labels) { present, _ in present }
        var selector = spec.selector ?? LabelSelector()
        if selector.matchLabels[JobLabel.uid] == nil { selector.matchLabels[JobLabel.uid] = metadata.uid }
        spec.selector = selector
        if metadata.labels.isEmpty { metadata.labels = spec.template.metadata.labels }
    }
}

// MARK: - Validation

extension Job: Validating {
    public func validate() -> [FieldError] { validateAll(requiresPrefix: true) }

    public func validateUpdate(from old: Job) -> [FieldError] {
        let labels = old.spec.template.metadata.labels
        let hasPrefix = labels[JobLabel.name] != nil && labels[JobLabel.uid] != nil
        var errors = metadata.validateUpdate(from: old.metadata)
        errors += validateAll(requiresPrefix: hasPrefix, isUpdate: true)
        errors += validateCompletions(since: old.spec.completions)
        if spec.selector != old.spec.selector {
            errors.invalid("spec.selector", shown: GoSyntax.selector(spec.selector), RuleText.immutable)
        }
        errors += validateTemplate(since: old)
        func fix(_ field: String, _ shown: String, _ isChanged: Bool) {
            if isChanged { errors.invalid(RulePath("spec").child(field), shown: shown, RuleText.immutable) }
        }
        func shown(_ text: String?) -> String { text.map(GoText.quoted) ?? "null" }
        fix("completionMode", shown(spec.completionMode), spec.completionMode != old.spec.completionMode)
        fix(
            "podFailurePolicy", spec.podFailurePolicy?.jsonValue.description ?? "null",
            spec.podFailurePolicy != old.spec.podFailurePolicy)
        fix(
            "backoffLimitPerIndex", spec.backoffLimitPerIndex.map(String.init) ?? "null",
            spec.backoffLimitPerIndex != old.spec.backoffLimitPerIndex)
        fix("managedBy", shown(spec.managedBy), spec.managedBy != old.spec.managedBy)
        fix(
            "successPolicy", spec.successPolicy?.jsonValue.description ?? "null",
            spec.successPolicy != old.spec.successPolicy)
        return errors
    }

    private func validateAll(requiresPrefix: Bool, isUpdate: Bool = false) -> [FieldError] {
        // Its pods' names begin with its own.
        var errors =
            isUpdate ? [] : metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        errors += validateSelector(requiresPrefix: requiresPrefix)
        errors += JobRules.spec("spec", spec)
        if let selector = spec.selector {
            errors += LabelRules.selector("spec.selector", selector)
        } else {
            errors.required("spec.selector")
        }
        if let parsed = try? Selector(spec.selector), !parsed.matches(spec.template.metadata.labels) {
            errors.invalid(
                "spec.template.metadata.labels", shown: GoSyntax.map(spec.template.metadata.labels),
                "`selector` does not match template `labels`")
        }
        if !isUpdate, spec.isIndexed, let count = spec.completions, count > 0 {
            let last = "\(metadata.name)-\(count - 1)"
            if !NameRules.label(last).isEmpty {
                errors.invalid(
                    "metadata.name", metadata.name,
                    "will not able to create pod with invalid DNS label: \(last)")
            }
        }
        return errors
    }

    /// Whether the labels that the system makes are those that it would make.
    private func validateSelector(requiresPrefix: Bool) -> [FieldError] {
        guard spec.manualSelector != true, let selector = spec.selector else { return [] }
        var errors: [FieldError] = []
        if metadata.uid.isEmpty { errors.required("metadata.uid") }
        var expected: [(String, String)] = [
            (JobLabel.legacyUID, metadata.uid), (JobLabel.legacyName, metadata.name),
        ]
        if requiresPrefix { expected += [(JobLabel.uid, metadata.uid), (JobLabel.name, metadata.name)] }
        let path: RulePath = "spec.template.metadata.labels"
        for (key, value) in expected {
            guard let found = spec.template.metadata.labels[key] else {
                errors.required(path.key(key), "must be '\(value)'")
                continue
            }
            if found != value {
                errors.invalid(
                    path.key(key), shown: GoSyntax.map(spec.template.metadata.labels), "must be '\(value)'")
            }
        }
        let labels = Dictionary(expected) { first, _ in first }
        if let parsed = try? Selector(selector), !parsed.matches(labels) {
            errors.invalid(
                "spec.selector", shown: GoSyntax.selector(selector), "`selector` not auto-generated")
        }
        return errors
    }

    /// An Indexed Job may change its size as a whole.
    private func validateCompletions(since before: Int?) -> [FieldError] {
        guard spec.completions != before else { return [] }
        var errors: [FieldError] = []
        if !spec.isIndexed {
            errors.invalid(
                "spec.completions", shown: spec.completions.map(String.init) ?? "null", RuleText.immutable)
        } else if let completions = spec.completions, completions != spec.parallelism {
            errors.invalid(
                "spec.completions", completions, "can only be modified in tandem with spec.parallelism")
        }
        return errors
    }

    /// The template is fixed, but for where pods may run while none has.
    private func validateTemplate(since old: Job) -> [FieldError] {
        var allowed = old.spec.template
        if old.spec.suspend == true, old.status.startTime == nil {
            let wanted = spec.template
            if wanted.spec.affinity != nil || allowed.spec.affinity != nil {
                var affinity = allowed.spec.affinity ?? Affinity()
                affinity.nodeAffinity = wanted.spec.affinity?.nodeAffinity
                let isGone = wanted.spec.affinity == nil && affinity == Affinity()
                allowed.spec.affinity = isGone ? nil : affinity
            }
            allowed.spec.nodeSelector = wanted.spec.nodeSelector
            allowed.spec.tolerations = wanted.spec.tolerations
            allowed.spec.schedulingGates = wanted.spec.schedulingGates
            allowed.metadata.annotations = wanted.metadata.annotations
            allowed.metadata.labels = wanted.metadata.labels
        }
        if spec.template == allowed { return [] }
        return [.invalid("spec.template", spec.template.jsonValue, RuleText.immutable)]
    }
}
