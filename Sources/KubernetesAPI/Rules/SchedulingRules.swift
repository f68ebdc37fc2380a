import KubernetesJSON

// MARK: - PriorityClass

extension PriorityClass {
    /// Priorities above this are the system's.
    private static let highestOfUsers = 1_000_000_000
    private static let systemPrefix = "system-"

    /// The classes that every cluster has, for the pods it cannot do without.
    public static let system = [
        PriorityClass(
            metadata: ObjectMeta(name: "system-node-critical"), value: 2_000_001_000,
            description:
                "Used for system critical pods that must not be moved from their current node."),
        PriorityClass(
            metadata: ObjectMeta(name: "system-cluster-critical"), value: 2_000_000_000,
            description:
                "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
        ),
    ]

    /// Why this is none of the system's classes; nil when it is one.
    fileprivate var systemMistake: String? {
        guard let known = Self.system.first(where: { $0.metadata.name == metadata.name }) else {
            return "\(metadata.name) is not a known system priority class"
        }
        if known.value != value { return "value of \(metadata.name) PriorityClass must be \(known.value)" }
        if globalDefault { return "globalDefault of \(metadata.name) PriorityClass must be false" }
        return nil
    }
}

extension PriorityClass: Defaulting {
    public mutating func applyDefaults() {
        if preemptionPolicy == nil { preemptionPolicy = "PreemptLowerPriority" }
    }
}

extension PriorityClass: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: NameRules.subdomain)
        if metadata.name.hasPrefix(Self.systemPrefix) {
            if let systemMistake {
                errors.forbidden(
                    "metadata.name",
                    "priority class names with '\(Self.systemPrefix)' prefix are reserved for system use only. "
                        + "error: \(systemMistake)")
            }
        } else if value > Self.highestOfUsers {
            errors.forbidden(
                "value", "maximum allowed value of a user defined priority is \(Self.highestOfUsers)")
        }
        if let policy = preemptionPolicy {
            errors.requireNamed("preemptionPolicy", policy, ["PreemptLowerPriority", "Never"])
        }
        return errors
    }

    public func validateUpdate(from old: PriorityClass) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        if value != old.value { errors.forbidden("value", "may not be changed in an update.") }
        if preemptionPolicy != old.preemptionPolicy {
            errors.invalid("preemptionPolicy", preemptionPolicy ?? "", RuleText.immutable)
        }
        return errors
    }
}

// MARK: - RuntimeClass

extension RuntimeClass: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: NameRules.subdomain)
        errors.require(NameRules.label, "handler", handler)
        if let overhead {
            errors += ResourceRules.requirements(
                "overhead", ResourceRequirements(limits: overhead.podFixed))
        }
        if let scheduling {
            errors += LabelRules.labels("scheduling.nodeSelector", scheduling.nodeSelector)
            errors += PlacementRules.tolerations("scheduling.tolerations", scheduling.tolerations)
            for (index, toleration) in scheduling.tolerations.enumerated()
            where scheduling.tolerations[..<index].contains(toleration) {
                errors.append(
                    .duplicate(
                        RulePath("scheduling.tolerations").index(index).text, toleration.jsonValue))
            }
        }
        return errors
    }

    public func validateUpdate(from old: RuntimeClass) -> [FieldError] {
        var errors = validate() + metadata.validateUpdate(from: old.metadata)
        errors.requireUnchanged("handler", handler, old.handler)
        return errors
    }
}
