// MARK: - StatefulSet

extension StatefulSet: Defaulting {
    public mutating func applyDefaults() {
        if spec.podManagementPolicy.isEmpty { spec.podManagementPolicy = "OrderedReady" }
        if spec.updateStrategy.type.isEmpty {
            spec.updateStrategy.type = "RollingUpdate"
            spec.updateStrategy.rollingUpdate =
                spec.updateStrategy.rollingUpdate ?? RollingUpdateStatefulSetStrategy()
        }
        if spec.updateStrategy.type == "RollingUpdate", var rolling = spec.updateStrategy.rollingUpdate {
            rolling.partition = rolling.partition ?? 0
            spec.updateStrategy.rollingUpdate = rolling
        }
        var retention =
            spec.persistentVolumeClaimRetentionPolicy ?? StatefulSetPersistentVolumeClaimRetentionPolicy()
        if retention.whenDeleted.isEmpty { retention.whenDeleted = "Retain" }
        if retention.whenScaled.isEmpty { retention.whenScaled = "Retain" }
        spec.persistentVolumeClaimRetentionPolicy = retention
        if spec.replicas == nil { spec.replicas = 1 }
        if spec.revisionHistoryLimit == nil { spec.revisionHistoryLimit = 10 }
        spec.template.spec.applyDefaults()
        for index in spec.volumeClaimTemplates.indices {
            if spec.volumeClaimTemplates[index].spec.volumeMode == nil {
                spec.volumeClaimTemplates[index].spec.volumeMode = "Filesystem"
            }
            if spec.volumeClaimTemplates[index].status.phase.isEmpty {
                spec.volumeClaimTemplates[index].status.phase = "Pending"
            }
        }
    }
}

extension StatefulSet: Validating {
    public func validate() -> [FieldError] {
        // Its pods' names are made of its own, which therefore is a label.
        var errors = metadata.validate(isNamespaced: true, name: NameRules.label) + validateSpec()
        // The pods' subdomain.
        if !spec.serviceName.isEmpty { errors.require(NameRules.label, "spec.serviceName", spec.serviceName) }
        return errors
    }

    public func validateUpdate(from old: StatefulSet) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validateSpec()
        var fixed = spec
        fixed.replicas = old.spec.replicas
        fixed.template = old.spec.template
        fixed.updateStrategy = old.spec.updateStrategy
        fixed.minReadySeconds = old.spec.minReadySeconds
        fixed.ordinals = old.spec.ordinals
        fixed.revisionHistoryLimit = old.spec.revisionHistoryLimit
        fixed.persistentVolumeClaimRetentionPolicy = old.spec.persistentVolumeClaimRetentionPolicy
        if fixed != old.spec {
            errors.forbidden(
                "spec",
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                    + "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                    + "'minReadySeconds' are forbidden")
        }
        return errors
    }

    public func validateStatusUpdate(from old: StatefulSet) -> [FieldError] {
        var errors: [FieldError] = []
        let path: RulePath = "status"
        let counts = [
            ("readyReplicas", status.readyReplicas), ("currentReplicas", status.currentReplicas),
            ("updatedReplicas", status.updatedReplicas), ("availableReplicas", status.availableReplicas),
        ]
        for (name, count) in [("replicas", status.replicas)] + counts
            + [("observedGeneration", status.observedGeneration)]
        {
            errors.requireNonnegative(path.child(name), count)
        }
        if let count = status.collisionCount { errors.requireNonnegative("status.collisionCount", count) }
        for (name, count) in counts where count > status.replicas {
            errors.invalid(path.child(name), count, "cannot be greater than status.replicas")
        }
        if status.availableReplicas > status.readyReplicas {
            errors.invalid(
                "status.availableReplicas", status.availableReplicas,
                "cannot be greater than status.readyReplicas")
        }
        errors += metadata.validateUpdate(from: old.metadata)
        return errors + WorkloadRules.collisions(status.collisionCount, since: old.status.collisionCount)
    }

    private func validateSpec() -> [FieldError] {
        var errors: [FieldError] = []
        if spec.podManagementPolicy.isEmpty {
            errors.required("spec.podManagementPolicy")
        } else if !["OrderedReady", "Parallel"].contains(spec.podManagementPolicy) {
            errors.invalid(
                "spec.podManagementPolicy", spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'")
        }
        errors += validateStrategy()
        if let policy = spec.persistentVolumeClaimRetentionPolicy {
            let path: RulePath = "spec.persistentVolumeClaimRetentionPolicy"
            errors.requireOneOf(path.child("whenDeleted"), policy.whenDeleted, ["Retain", "Delete"])
            errors.requireOneOf(path.child("whenScaled"), policy.whenScaled, ["Retain", "Delete"])
        }
        errors.requireNonnegative("spec.replicas", spec.replicas ?? 0)
        errors.requireNonnegative("spec.minReadySeconds", spec.minReadySeconds)
        if let ordinals = spec.ordinals { errors.requireNonnegative("spec.ordinals.start", ordinals.start) }
        errors += WorkloadRules.selector(spec.selector, kind: "statefulset")
        return errors + validateTemplate()
    }

    private func validateStrategy() -> [FieldError] {
        var errors: [FieldError] = []
        let path: RulePath = "spec.updateStrategy"
        let rolling = spec.updateStrategy.rollingUpdate
        switch spec.updateStrategy.type {
        case "": errors.required(path)
        case "OnDelete":
            if let rolling {
                errors.invalid(
                    path.child("rollingUpdate"),
                    shown: "apps.RollingUpdateStatefulSetStrategy{Partition:\(rolling.partition ?? 0), "
                        + "MaxUnavailable:(*intstr.IntOrString)(nil)}",
                    "only allowed for updateStrategy 'RollingUpdate'")
            }
        case "RollingUpdate":
            guard let rolling else { break }
            let path = path.child("rollingUpdate")
            errors.requireNonnegative(path.child("partition"), rolling.partition ?? 0)
            guard let unavailable = rolling.maxUnavailable else { break }
            errors += WorkloadRules.share(path.child("maxUnavailable"), unavailable)
            if WorkloadRules.isZero(unavailable) {
                errors.invalid(
                    path.child("maxUnavailable"), shown: GoSyntax.intOrString(unavailable), "cannot be 0")
            }
            errors += WorkloadRules.atMostAll(path.child("maxUnavailable"), unavailable)
        default:
            errors.invalid(
                path,
                shown: "apps.StatefulSetUpdateStrategy{Type:\(GoText.quoted(spec.updateStrategy.type)), "
                    + "RollingUpdate:(*apps.RollingUpdateStatefulSetStrategy)(nil)}",
                "must be 'RollingUpdate' or 'OnDelete'")
        }
        return errors
    }

    /// The pods' volumes are not all in the template, so that it is looked at less closely than others.
    private func validateTemplate() -> [FieldError] {
        var errors: [FieldError] = []
        let path: RulePath = "spec.template"
        do {
            let parsed = try Selector(spec.selector)
            if !parsed.selectsEverything, !parsed.matches(spec.template.metadata.labels) {
                errors.invalid(
                    path.child("metadata.labels"), shown: GoSyntax.map(spec.template.metadata.labels),
                    "`selector` does not match template `labels`")
            }
            errors += LabelRules.labels(path.child("labels"), spec.template.metadata.labels)
            errors += LabelRules.annotations(path.child("annotations"), spec.template.metadata.annotations)
            errors += PodAnnotationRules.rules(
                path.child("annotations"), spec.template.metadata.annotations, spec.template.spec)
        } catch {
            errors.invalid("spec.selector", shown: GoSyntax.selector(spec.selector), "")
        }
        return errors + WorkloadRules.runsForEver(spec.template, kind: "StatefulSet")
    }
}

// MARK: - ControllerRevision

extension ControllerRevision: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        if data.isNull { errors.required("data", "data is mandatory") }
        errors.requireNonnegative("revision", revision)
        return errors
    }

    public func validateUpdate(from old: ControllerRevision) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        if data.isNull { errors.required("data", "data is mandatory") }
        errors.requireNonnegative("revision", revision)
        if data != old.data { errors.append(.invalid("data", data, RuleText.immutable)) }
        return errors
    }
}
