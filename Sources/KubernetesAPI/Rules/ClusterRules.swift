// MARK: - Namespace

extension Namespace: Defaulting {
    public mutating func applyDefaults() {
        if !metadata.name.isEmpty { metadata.labels["kubernetes.io/metadata.name"] = metadata.name }
        if status.phase.isEmpty { status.phase = "Active" }
    }
}

extension Namespace: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: NameRules.label)
        for finalizer in spec.finalizers {
            errors.require(NameRules.qualified, "spec.finalizers", finalizer)
            errors += FinalizerRules.kind("spec.finalizers", finalizer)
        }
        return errors
    }

    public func validateUpdate(from old: Namespace) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata)
    }

    public func validateStatusUpdate(from old: Namespace) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        let isEnding = metadata.deletionTimestamp != nil
        let phase = isEnding ? "Terminating" : "Active"
        if status.phase != phase {
            errors.invalid(
                "status.Phase", status.phase,
                "may only be '\(phase)' if `deletionTimestamp` is \(isEnding ? "not empty" : "empty")")
        }
        return errors
    }
}

// MARK: - Node

extension Node: Defaulting {
    public mutating func applyDefaults() {
        if status.allocatable.isEmpty { status.allocatable = status.capacity }
        if spec.podCIDRs.isEmpty, !spec.podCIDR.isEmpty {
            spec.podCIDRs = [spec.podCIDR]
        } else if let first = spec.podCIDRs.first {
            spec.podCIDR = first
        }
    }
}

extension Node: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: NameRules.subdomain)
        // Upstream reports taints below metadata.
        errors += PlacementRules.taints("metadata.taints", spec.taints) + validateResources()
        let path: RulePath = "spec.podCIDRs"
        for (index, range) in spec.podCIDRs.enumerated() {
            errors += AddressRules.range(path.index(index), range)
        }
        guard spec.podCIDRs.count > 1 else { return errors }
        let families = Set(spec.podCIDRs.map { $0.contains(":") })
        if families.count < 2 || spec.podCIDRs.count > 2 {
            errors.invalid(
                path, shown: GoSyntax.list(spec.podCIDRs),
                "may specify no more than one CIDR for each IP family")
        }
        var seen: Set<String> = []
        for (index, range) in spec.podCIDRs.enumerated() where !seen.insert(range).inserted {
            errors.duplicate(path.index(index), range)
        }
        return errors
    }

    public func validateUpdate(from old: Node) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validateResources()
        var addresses: Set<NodeAddress> = []
        for (index, address) in status.addresses.enumerated() where !addresses.insert(address).inserted {
            let shown =
                "core.NodeAddress{Type:\(GoText.quoted(address.type)), Address:\(GoText.quoted(address.address))}"
            errors.append(
                FieldError(
                    type: .duplicate, field: RulePath("status.addresses").index(index).text,
                    shownValue: shown))
        }
        if !old.spec.podCIDRs.isEmpty, spec.podCIDRs != old.spec.podCIDRs {
            errors.forbidden(
                "spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid")
        }
        if !old.spec.providerID.isEmpty, spec.providerID != old.spec.providerID {
            errors.forbidden(
                "spec.providerID", "node updates may not change providerID except from \"\" to valid")
        }
        errors += PlacementRules.taints("metadata.taints", spec.taints)
        if spec.externalID != old.spec.externalID {
            errors.forbidden("spec.externalID", "may not be updated")
        }
        return errors
    }

    public func validateStatusUpdate(from old: Node) -> [FieldError] { validateUpdate(from: old) }

    private func validateResources() -> [FieldError] {
        var errors: [FieldError] = []
        for (field, amounts) in [("capacity", status.capacity), ("allocatable", status.allocatable)] {
            for (name, amount) in amounts.sorted(by: { $0.key < $1.key }) {
                errors += ResourceRules.amount(RulePath("status").child(field).child(name), name, amount)
            }
        }
        return errors
    }
}

// MARK: - Lease

extension Lease: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec()
    }

    public func validateUpdate(from old: Lease) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validateSpec()
    }

    private func validateSpec() -> [FieldError] {
        var errors: [FieldError] = []
        if let seconds = spec.leaseDurationSeconds, seconds <= 0 {
            errors.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")
        }
        if let count = spec.leaseTransitions { errors.requireNonnegative("spec.leaseTransitions", count) }
        if let strategy = spec.strategy {
            if strategy.contains("/") {
                errors.require(NameRules.qualified, "spec.strategy.strategy", strategy)
            } else {
                errors.requireOneOf("spec.strategy.strategy", strategy, ["OldestEmulationVersion"])
            }
        }
        if spec.preferredHolder?.isEmpty == false, spec.strategy?.isEmpty != false {
            errors.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")
        }
        return errors
    }
}

// MARK: - Event

extension Event: Validating {
    public func validate() -> [FieldError] { findings(reporter: "reportingComponent") }

    /// What holds in every version; `reporter` is what the version calls the controller that reports.
    func findings(reporter: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        let place = involvedObject.namespace
        let isElsewhere: Bool
        if eventTime == nil {
            // An object without a namespace has its events in `default`.
            isElsewhere =
                place.isEmpty ? !["", "default"].contains(metadata.namespace) : metadata.namespace != place
        } else {
            isElsewhere = place.isEmpty && !["default", "kube-system"].contains(metadata.namespace)
        }
        if isElsewhere {
            errors.invalid("involvedObject.namespace", place, "does not match event.namespace")
        }
        if eventTime != nil {
            if reportingComponent.isEmpty { errors.required(reporter) }
            errors.require(NameRules.qualified, reporter, reportingComponent)
            for (field, value) in [
                ("reportingInstance", reportingInstance), ("action", action), ("reason", reason),
            ] {
                if value.isEmpty { errors.required(RulePath(field)) }
                if value.utf8.count > 128 {
                    errors.invalid(RulePath(field), "", "can have at most 128 characters")
                }
            }
            if message.utf8.count > 1024 { errors.invalid("message", "", "can have at most 1024 characters") }
        }
        errors.require(NameRules.subdomain, "namespace", metadata.namespace)
        return errors
    }

    public func validateUpdate(from old: Event) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validate()
    }
}

// MARK: - Binding

extension Binding: Validating {
    public func validate() -> [FieldError] {
        var errors: [FieldError] = []
        if !target.kind.isEmpty { errors.requireOneOf("target.kind", target.kind, ["Node", "<empty>"]) }
        if target.name.isEmpty { errors.required("target.name") }
        return errors
    }

    public func validateUpdate(from old: Binding) -> [FieldError] { validate() }
}
