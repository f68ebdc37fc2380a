/// Rules on the environment of containers and on the facts about a pod that they may read.
enum EnvironmentRules {
    static func variables(_ path: RulePath, _ variables: [EnvVar]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, variable) in variables.enumerated() {
            let path = path.index(index)
            if variable.name.isEmpty {
                errors.required(path.child("name"))
            } else {
                errors.require(NameRules.environmentVariable, path.child("name"), variable.name)
            }
            if let source = variable.valueFrom {
                errors += value(path.child("valueFrom"), source, hasText: !variable.value.isEmpty)
            }
        }
        return errors
    }

    private static func value(_ path: RulePath, _ source: EnvVarSource, hasText: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        var count = 0
        if let field = source.fieldRef {
            count += 1
            errors += podField(path.child("fieldRef"), field, allowed: environmentFields)
        }
        if let resource = source.resourceFieldRef {
            count += 1
            errors += resourceField(path.child("resourceFieldRef"), resource, needsContainer: false)
        }
        if let selector = source.configMapKeyRef {
            count += 1
            errors += key(path.child("configMapKeyRef"), name: selector.name, key: selector.key)
        }
        if let selector = source.secretKeyRef {
            count += 1
            errors += key(path.child("secretKeyRef"), name: selector.name, key: selector.key)
        }
        if source.fileKeyRef != nil { count += 1 }
        if count == 0 {
            errors.invalid(
                path, "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`")
        } else if hasText {
            errors.invalid(path, "", "may not be specified when `value` is not empty")
        } else if count > 1 {
            errors.invalid(path, "", "may not have more than one field specified at a time")
        }
        return errors
    }

    private static func key(_ path: RulePath, name: String, key: String) -> [FieldError] {
        var errors: [FieldError] = []
        errors.require(NameRules.subdomain, path.child("name"), name)
        if key.isEmpty {
            errors.required(path.child("key"))
        } else {
            errors.require(NameRules.configKey, path.child("key"), key)
        }
        return errors
    }

    static func sources(_ path: RulePath, _ sources: [EnvFromSource]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, source) in sources.enumerated() {
            let element = path.index(index)
            if !source.prefix.isEmpty {
                errors.require(NameRules.environmentVariable, element.child("prefix"), source.prefix)
            }
            for (field, name) in [
                ("configMapRef", source.configMapRef?.name), ("secretRef", source.secretRef?.name),
            ] {
                guard let name else { continue }
                if name.isEmpty {
                    errors.required(element.child(field).child("name"))
                } else {
                    errors.require(NameRules.subdomain, element.child(field).child("name"), name)
                }
            }
            switch (source.configMapRef, source.secretRef) {
            case (nil, nil): errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
            case (.some, .some):
                errors.invalid(path, "", "may not have more than one field specified at a time")
            default: break
            }
        }
        return errors
    }

    // MARK: - Facts about the pod

    /// Fields of a pod that environment variables may show.
    static let environmentFields = [
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
    ]
    /// Fields of a pod that files may show.
    static let volumeFields = [
        "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
    ]
    private static let known = Set(environmentFields + volumeFields + ["spec.restartPolicy", "spec.host"])

    static func podField(
        _ path: RulePath, _ selector: ObjectFieldSelector, allowed: [String]
    ) -> [FieldError] {
        var errors: [FieldError] = []
        if selector.apiVersion.isEmpty {
            errors.required(path.child("apiVersion"))
        } else if selector.fieldPath.isEmpty {
            errors.required(path.child("fieldPath"))
        } else if let (field, subscripted) = split(selector.fieldPath) {
            switch field {
            case "metadata.annotations": errors.require(NameRules.qualified, path, subscripted.lowercased())
            case "metadata.labels": errors.require(NameRules.qualified, path, subscripted)
            default:
                errors.invalid(
                    path.child("fieldPath"), selector.fieldPath,
                    "error converting fieldPath: field label does not support subscript: \(field)")
            }
        } else if !known.contains(selector.fieldPath) {
            errors.invalid(
                path.child("fieldPath"), selector.fieldPath,
                "error converting fieldPath: field label not supported: \(selector.fieldPath)")
        } else {
            errors.requireOneOf(path.child("fieldPath"), selector.fieldPath, allowed)
        }
        return errors
    }

    /// `metadata.labels['app']` as its two parts.
    private static func split(_ path: String) -> (field: String, key: String)? {
        guard path.hasSuffix("']") else { return nil }
        let inner = path.dropLast(2)
        var before: Character?
        for index in inner.indices {
            if before == "[", inner[index] == "'" {
                let field = inner[..<inner.index(before: index)]
                return field.isEmpty ? nil : (String(field), String(inner[inner.index(after: index)...]))
            }
            before = inner[index]
        }
        return nil
    }

    private static let resources = [
        "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
        "requests.ephemeral-storage", "requests.memory",
    ]
    private static let sizes: Set<String> = [
        "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
    ]

    static func resourceField(
        _ path: RulePath, _ selector: ResourceFieldSelector, needsContainer: Bool
    ) -> [FieldError] {
        var errors: [FieldError] = []
        let name = selector.resource
        let isHugePages = name.hasPrefix("limits.hugepages-") || name.hasPrefix("requests.hugepages-")
        if needsContainer, selector.containerName.isEmpty {
            errors.required(path.child("containerName"))
        } else if name.isEmpty {
            errors.required(path.child("resource"))
        } else if !isHugePages {
            errors.requireOneOf(path.child("resource"), name, resources)
        }
        let divisor = selector.divisor
        if divisor.isZero { return errors }
        let detail =
            "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with"
        switch name {
        case "limits.cpu", "requests.cpu":
            if !["1m", "1"].contains(divisor.description) {
                errors.invalid(
                    path.child("divisor"), name,
                    "only divisor's values 1m and 1 are supported with the cpu resource")
            }
        case "limits.memory", "requests.memory":
            if !sizes.contains(divisor.description) {
                errors.invalid(path.child("divisor"), name, "\(detail) the memory resource")
            }
        case "limits.ephemeral-storage", "requests.ephemeral-storage":
            if !sizes.contains(divisor.description) {
                errors.invalid(path.child("divisor"), name, "\(detail) the local ephemeral storage resource")
            }
        default:
            if isHugePages, !sizes.contains(divisor.description) {
                errors.invalid(path.child("divisor"), name, "\(detail) the hugepages resource")
            }
        }
        return errors
    }
}
