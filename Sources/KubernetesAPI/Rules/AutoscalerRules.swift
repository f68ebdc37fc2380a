extension HorizontalPodAutoscaler: Defaulting {
    public mutating func applyDefaults() {
        if spec.minReplicas == nil { spec.minReplicas = 1 }
        if spec.metrics.isEmpty {
            let target = MetricTarget(type: "Utilization", averageUtilization: 80)
            spec.metrics = [
                MetricSpec(type: "Resource", resource: ResourceMetricSource(name: "cpu", target: target))
            ]
        }
        guard var behavior = spec.behavior else { return }
        behavior.scaleUp = HPAScalingRules.rising.overridden(by: behavior.scaleUp)
        behavior.scaleDown = HPAScalingRules.falling.overridden(by: behavior.scaleDown)
        spec.behavior = behavior
    }
}

extension HPAScalingRules {
    /// How fast the number may rise unless told otherwise.
    fileprivate static let rising = HPAScalingRules(
        stabilizationWindowSeconds: 0, selectPolicy: "Max",
        policies: [
            HPAScalingPolicy(type: "Pods", value: 4, periodSeconds: 15),
            HPAScalingPolicy(type: "Percent", value: 100, periodSeconds: 15),
        ])

    /// How fast it may fall; the window is left to the controller's settings.
    fileprivate static let falling = HPAScalingRules(
        selectPolicy: "Max", policies: [HPAScalingPolicy(type: "Percent", value: 100, periodSeconds: 15)])

    /// These rules with what a client has set in their place.
    fileprivate func overridden(by wanted: HPAScalingRules?) -> HPAScalingRules {
        guard let wanted else { return self }
        var rules = self
        rules.selectPolicy = wanted.selectPolicy ?? rules.selectPolicy
        rules.stabilizationWindowSeconds =
            wanted.stabilizationWindowSeconds ?? rules.stabilizationWindowSeconds
        // A list that was given and is empty stays that way, and is refused.
        rules.policies = wanted.policies ?? rules.policies
        rules.tolerance = wanted.tolerance ?? rules.tolerance
        return rules
    }
}

extension HorizontalPodAutoscaler: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec(fewest: 1)
    }

    public func validateUpdate(from old: HorizontalPodAutoscaler) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata)
            + validateSpec(fewest: old.spec.minReplicas == 0 ? 0 : 1)
    }

    public func validateStatusUpdate(from old: HorizontalPodAutoscaler) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        errors.requireNonnegative("status.currentReplicas", status.currentReplicas)
        errors.requireNonnegative("status.desiredReplicas", status.desiredReplicas)
        return errors
    }

    private func validateSpec(fewest: Int) -> [FieldError] {
        var errors: [FieldError] = []
        if let minimum = spec.minReplicas, minimum < fewest {
            errors.invalid("spec.minReplicas", minimum, "must be greater than or equal to \(fewest)")
        }
        if spec.maxReplicas < 1 {
            errors.invalid("spec.maxReplicas", spec.maxReplicas, "must be greater than 0")
        }
        if let minimum = spec.minReplicas, spec.maxReplicas < minimum {
            errors.invalid(
                "spec.maxReplicas", spec.maxReplicas, "must be greater than or equal to `minReplicas`")
        }
        errors += MetricRules.reference("spec.scaleTargetRef", spec.scaleTargetRef)
        for (index, metric) in spec.metrics.enumerated() {
            errors += MetricRules.metric(RulePath("spec.metrics").index(index), metric)
        }
        if spec.minReplicas == 0, !spec.metrics.contains(where: { ["Object", "External"].contains($0.type) })
        {
            errors.forbidden(
                "spec.metrics",
                "must specify at least one Object or External metric to support scaling to zero replicas")
        }
        if let behavior = spec.behavior {
            errors += Self.scaling("spec.behavior.scaleUp", behavior.scaleUp)
            errors += Self.scaling("spec.behavior.scaleDown", behavior.scaleDown)
        }
        return errors
    }

    private static func scaling(_ path: RulePath, _ rules: HPAScalingRules?) -> [FieldError] {
        guard let rules else { return [] }
        var errors: [FieldError] = []
        if let seconds = rules.stabilizationWindowSeconds {
            let path = path.child("stabilizationWindowSeconds")
            if seconds < 0 { errors.invalid(path, seconds, "must be greater than or equal to zero") }
            if seconds > 3600 { errors.invalid(path, seconds, "must be less than or equal to 3600") }
        }
        if let policy = rules.selectPolicy {
            errors.requireOneOf(path.child("selectPolicy"), policy, ["Disabled", "Max", "Min"])
        }
        let policies = rules.policies ?? []
        if policies.isEmpty {
            errors.required(path.child("policies"), "must specify at least one Policy")
        }
        for (index, policy) in policies.enumerated() {
            let path = path.child("policies").index(index)
            errors.requireOneOf(path.child("type"), policy.type, ["Percent", "Pods"])
            if policy.value <= 0 {
                errors.invalid(path.child("value"), policy.value, "must be greater than zero")
            }
            if policy.periodSeconds <= 0 {
                errors.invalid(path.child("periodSeconds"), policy.periodSeconds, "must be greater than zero")
            }
            if policy.periodSeconds > 1800 {
                errors.invalid(
                    path.child("periodSeconds"), policy.periodSeconds, "must be less than or equal to 1800")
            }
        }
        if let tolerance = rules.tolerance, tolerance.isNegative {
            errors.append(
                .invalid(
                    path.child("tolerance").text, .string("\(tolerance)"),
                    "must be greater or equal to zero"))
        }
        return errors
    }
}

/// Rules on what an autoscaler measures.
private enum MetricRules {
    static func reference(_ path: RulePath, _ reference: CrossVersionObjectReference) -> [FieldError] {
        var errors: [FieldError] = []
        for (field, value) in [("kind", reference.kind), ("name", reference.name)] {
            if value.isEmpty { errors.required(path.child(field)) }
            errors.require(NameRules.pathSegment, path.child(field), value)
        }
        return errors
    }

    static func metric(_ path: RulePath, _ metric: MetricSpec) -> [FieldError] {
        var errors: [FieldError] = []
        let types = ["ContainerResource", "External", "Object", "Pods", "Resource"]
        if metric.type.isEmpty { errors.required(path.child("type"), "must specify a metric source type") }
        errors.requireOneOf(path.child("type"), metric.type, types)
        var present: [String] = []
        // Only the first source is looked at: with a second one the metric is wrong anyway.
        func look(_ field: String, _ findings: [FieldError]?) {
            guard let findings else { return }
            present.append(field)
            if present.count == 1 { errors += findings }
        }
        look("object", metric.object.map { object(path.child("object"), $0) })
        look("external", metric.external.map { external(path.child("external"), $0) })
        look("pods", metric.pods.map { pods(path.child("pods"), $0) })
        look("resource", metric.resource.map { resource(path.child("resource"), $0.name, $0.target) })
        look(
            "containerResource",
            metric.containerResource.map { source in
                let path = path.child("containerResource")
                return container(path, source.container) + resource(path, source.name, source.target)
            })
        let expected = metric.type.prefix(1).lowercased() + metric.type.dropFirst()
        if types.contains(metric.type) {
            if !present.contains(expected) {
                errors.required(
                    path.child(expected), "must populate information for the given metric source")
            }
        } else {
            errors.requireOneOf(path.child("type"), metric.type, types)
        }
        if present.count != 1 {
            for field in present where field != expected {
                errors.forbidden(path.child(field), "must populate the given metric source only")
            }
        }
        return errors
    }

    private static func object(_ path: RulePath, _ source: ObjectMetricSource) -> [FieldError] {
        var errors = reference(path.child("describedObject"), source.describedObject)
        errors += identifier(path.child("metric"), source.metric)
        errors += target(path.child("target"), source.target)
        if source.target.value == nil, source.target.averageValue == nil {
            errors.required(
                path.child("target.averageValue"), "must set either a target value or averageValue")
        }
        return errors
    }

    private static func external(_ path: RulePath, _ source: ExternalMetricSource) -> [FieldError] {
        var errors = identifier(path.child("metric"), source.metric)
        errors += target(path.child("target"), source.target)
        switch (source.target.value, source.target.averageValue) {
        case (nil, nil):
            errors.required(
                path.child("target.averageValue"),
                "must set either a target value for metric or a per-pod target")
        case (.some, .some):
            errors.forbidden(
                path.child("target.value"),
                "may not set both a target value for metric and a per-pod target")
        default: break
        }
        return errors
    }

    private static func pods(_ path: RulePath, _ source: PodsMetricSource) -> [FieldError] {
        var errors = identifier(path.child("metric"), source.metric)
        errors += target(path.child("target"), source.target)
        if source.target.averageValue == nil {
            errors.required(
                path.child("target.averageValue"), "must specify a positive target averageValue")
        }
        return errors
    }

    private static func container(_ path: RulePath, _ name: String) -> [FieldError] {
        var errors: [FieldError] = []
        if name.isEmpty {
            errors.required(path.child("container"), "must specify a container")
        } else {
            errors.require(NameRules.label, path.child("container"), name)
        }
        return errors
    }

    private static func resource(_ path: RulePath, _ name: String, _ aim: MetricTarget) -> [FieldError] {
        var errors: [FieldError] = []
        if name.isEmpty { errors.required(path.child("name"), "must specify a resource name") }
        errors += target(path.child("target"), aim)
        switch (aim.averageUtilization, aim.averageValue) {
        case (nil, nil):
            errors.required(
                path.child("target.averageUtilization"),
                "must set either a target raw value or a target utilization")
        case (.some, .some):
            errors.forbidden(
                path.child("target.averageValue"),
                "may not set both a target raw value and a target utilization")
        default: break
        }
        return errors
    }

    private static func target(_ path: RulePath, _ target: MetricTarget) -> [FieldError] {
        var errors: [FieldError] = []
        if target.type.isEmpty { errors.required(path.child("type"), "must specify a metric target type") }
        if !["Utilization", "Value", "AverageValue"].contains(target.type) {
            errors.invalid(
                path.child("type"), target.type, "must be either Utilization, Value, or AverageValue")
        }
        for (field, value) in [("value", target.value), ("averageValue", target.averageValue)] {
            guard let value, value.isNegative || value.isZero else { continue }
            errors.invalid(path.child(field), "\(value)", "must be positive")
        }
        if let percent = target.averageUtilization, percent < 1 {
            errors.invalid(path.child("averageUtilization"), percent, "must be greater than 0")
        }
        return errors
    }

    private static func identifier(_ path: RulePath, _ metric: MetricIdentifier) -> [FieldError] {
        var errors: [FieldError] = []
        if metric.name.isEmpty { errors.required(path.child("name"), "must specify a metric name") }
        errors.require(NameRules.pathSegment, path.child("name"), metric.name)
        return errors
    }
}
