import KubernetesJSON

extension LimitRange: Defaulting {
    public mutating func applyDefaults() {
        for index in spec.limits.indices where spec.limits[index].type == "Container" {
            spec.limits[index].applyDefaults()
        }
    }
}

extension LimitRangeItem {
    /// What a container gets that says nothing: the most, and of that as much as it asks for; or the least.
    fileprivate mutating func applyDefaults() {
        `default`.merge(max) { given, _ in given }
        defaultRequest.merge(`default`) { given, _ in given }
        defaultRequest.merge(min) { given, _ in given }
    }
}

extension LimitRange: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        var types: Set<String> = []
        for (index, item) in spec.limits.enumerated() {
            let path = RulePath("spec.limits").index(index)
            errors += Self.type(path.child("type"), item.type)
            if !types.insert(item.type).inserted { errors.duplicate(path.child("type"), item.type) }
            errors += item.validate(path)
        }
        return errors
    }

    public func validateUpdate(from old: LimitRange) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validate()
    }

    private static func type(_ path: RulePath, _ type: String) -> [FieldError] {
        var errors: [FieldError] = []
        errors.require(NameRules.qualified, path, type)
        if errors.isEmpty, !type.contains("/"), !["Pod", "Container", "PersistentVolumeClaim"].contains(type)
        {
            errors.invalid(path, type, "must be a standard limit type or fully qualified")
        }
        return errors
    }
}

extension LimitRangeItem {
    fileprivate func validate(_ path: RulePath) -> [FieldError] {
        var errors = names(path.child("max"), max) + names(path.child("min"), min)
        if type == "Pod" {
            for (field, amounts) in [("default", `default`), ("defaultRequest", defaultRequest)]
            where !amounts.isEmpty {
                errors.forbidden(path.child(field), "may not be specified when `type` is 'Pod'")
            }
        } else {
            errors += names(path.child("default"), `default`)
            errors += names(path.child("defaultRequest"), defaultRequest)
        }
        if type == "PersistentVolumeClaim", min["storage"] == nil, max["storage"] == nil {
            errors.required(
                path.child("limits"),
                "either minimum or maximum storage value is required, but neither was provided")
        }
        errors += names(path.child("maxLimitRequestRatio"), maxLimitRequestRatio)
        let all = [max, min, `default`, defaultRequest, maxLimitRequestRatio].flatMap(\.keys)
        for name in Set(all).sorted() { errors += order(path, name) }
        return errors
    }

    private func names(_ path: RulePath, _ amounts: [String: Quantity]) -> [FieldError] {
        amounts.keys.sorted().flatMap { name in
            type == "Pod" || type == "Container"
                ? ResourceRules.containerName(path.key(name), name)
                : ResourceRules.name(path.key(name), name)
        }
    }

    /// The bounds of one resource must leave room, and the defaults must fit into it.
    private func order(_ path: RulePath, _ name: String) -> [FieldError] {
        var errors: [FieldError] = []
        /// `small` may not be larger than `large`; the finding is about one of them.
        func require(
            _ small: Quantity?, _ smallName: String, _ large: Quantity?, _ largeName: String,
            _ field: String, shows: Quantity?
        ) {
            guard let small, let large, small > large, let shows else { return }
            errors.invalid(
                path.child(field).key(name), shows.description,
                "\(smallName) value \(small) is greater than \(largeName) value \(large)")
        }
        let (least, most) = (min[name], max[name])
        let (request, limit) = (defaultRequest[name], `default`[name])
        require(least, "min", most, "max", "min", shows: least)
        require(least, "min", request, "default request", "defaultRequest", shows: request)
        require(request, "default request", most, "max", "defaultRequest", shows: request)
        require(request, "default request", limit, "default limit", "defaultRequest", shows: request)
        require(least, "min", limit, "default", "default", shows: least)
        require(limit, "default", most, "max", "default", shows: most)
        errors += ratio(path.child("maxLimitRequestRatio").key(name), name)
        if !ResourceRules.isOvercommittable(name), let request, let limit, request != limit {
            errors.invalid(
                path.child("defaultRequest").key(name), request.description,
                "default value \(limit) must equal to defaultRequest value \(request) in \(name)")
        }
        return errors
    }

    private func ratio(_ path: RulePath, _ name: String) -> [FieldError] {
        guard let ratio = maxLimitRequestRatio[name] else { return [] }
        var errors: [FieldError] = []
        if ratio < Quantity(1) { errors.invalid(path, ratio.description, "ratio \(ratio) is less than 1") }
        if let least = min[name], let most = max[name] {
            let limit = most.doubleValue / least.doubleValue
            if ratio.doubleValue > limit {
                errors.invalid(
                    path, ratio.description,
                    "ratio \(ratio) is greater than max/min = \(GoText.decimal(limit))")
            }
        }
        return errors
    }
}
