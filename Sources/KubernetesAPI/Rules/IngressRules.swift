// MARK: - Ingress

extension Ingress: Validating {
    private static let classAnnotation = "kubernetes.io/ingress.class"

    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec(old: nil)
        if let name = metadata.annotations[Self.classAnnotation], let wanted = spec.ingressClassName,
            name != wanted
        {
            errors.invalid(
                RulePath("annotations").child(Self.classAnnotation), name,
                "must match `ingressClassName` when both are specified")
        }
        return errors
    }

    public func validateUpdate(from old: Ingress) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validateSpec(old: old.spec)
    }

    public func validateStatusUpdate(from old: Ingress) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        for (index, item) in status.loadBalancer.ingress.enumerated() {
            let path = RulePath("status.loadBalancer.ingress").index(index)
            if !item.ip.isEmpty { errors += AddressRules.address(path.child("ip"), item.ip) }
            if !item.hostname.isEmpty {
                let path = path.child("hostname")
                errors.require(NameRules.subdomain, path, item.hostname)
                if AddressValue(item.hostname) != nil {
                    errors.invalid(path, item.hostname, "must be a DNS name, not an IP address")
                }
            }
        }
        return errors
    }

    private func validateSpec(old: IngressSpec?) -> [FieldError] {
        var errors: [FieldError] = []
        if spec.rules.isEmpty, spec.defaultBackend == nil {
            errors.invalid(
                "spec", shown: "[]networking.IngressRule(nil)",
                "either `defaultBackend` or `rules` must be specified")
        }
        if let backend = spec.defaultBackend {
            errors += IngressRules.backend("spec.defaultBackend", backend)
        }
        for (index, rule) in spec.rules.enumerated() {
            errors += IngressRules.rule(
                RulePath("spec.rules").index(index), rule,
                looksBehindWildcard: !IngressRules.hasWrongWildcard(old))
        }
        errors += validateTLS(old: old)
        if let name = spec.ingressClassName {
            errors.require(NameRules.subdomain, "spec.ingressClassName", name)
        }
        return errors
    }

    private func validateTLS(old: IngressSpec?) -> [FieldError] {
        var errors: [FieldError] = []
        let wasWrong =
            old?.tls.contains { !$0.secretName.isEmpty && !NameRules.subdomain($0.secretName).isEmpty }
            ?? false
        for (index, tls) in spec.tls.enumerated() {
            let path = RulePath("spec.tls").index(index)
            for (index, host) in tls.hosts.enumerated() {
                let rule = host.contains("*") ? NameRules.wildcardSubdomain : NameRules.subdomain
                errors.require(rule, path.child("hosts").index(index), host)
            }
            if !wasWrong, !tls.secretName.isEmpty {
                errors.require(NameRules.subdomain, path.child("secretName"), tls.secretName)
            }
        }
        return errors
    }
}

enum IngressRules {
    static func rule(_ path: RulePath, _ rule: IngressRule, looksBehindWildcard: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        let isWildcard = rule.host.contains("*")
        if !rule.host.isEmpty {
            if AddressValue(rule.host) != nil {
                errors.invalid(path.child("host"), rule.host, "must be a DNS name, not an IP address")
            }
            errors.require(
                isWildcard ? NameRules.wildcardSubdomain : NameRules.subdomain, path.child("host"), rule.host)
        }
        if !isWildcard || looksBehindWildcard { errors += value(path, rule) }
        return errors
    }

    /// Whether there is a rule with a wildcard that would not be let in today.
    static func hasWrongWildcard(_ spec: IngressSpec?) -> Bool {
        spec?.rules.contains { $0.host.contains("*") && !value("", $0).isEmpty } ?? false
    }

    private static func value(_ path: RulePath, _ rule: IngressRule) -> [FieldError] {
        guard let http = rule.http else { return [] }
        var errors: [FieldError] = []
        let path = path.child("http.paths")
        if http.paths.isEmpty { errors.required(path) }
        for (index, item) in http.paths.enumerated() { errors += self.path(path.index(index), item) }
        return errors
    }

    private static func path(_ path: RulePath, _ item: HTTPIngressPath) -> [FieldError] {
        var errors: [FieldError] = []
        guard let type = item.pathType else {
            errors.required(path.child("pathType"), "pathType must be specified")
            return errors
        }
        let text = item.path
        switch type {
        case "Exact", "Prefix":
            if !text.hasPrefix("/") {
                errors.invalid(path.child("path"), text, "must be an absolute path")
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] where text.contains(part) {
                errors.invalid(path.child("path"), text, "must not contain '\(part)'")
            }
            for end in ["/..", "/."] where text.hasSuffix(end) {
                errors.invalid(path.child("path"), text, "cannot end with '\(end)'")
            }
        case "ImplementationSpecific":
            if !text.isEmpty, !text.hasPrefix("/") {
                errors.invalid(path.child("path"), text, "must be an absolute path")
            }
        default:
            errors.requireOneOf(
                path.child("pathType"), type, ["Exact", "ImplementationSpecific", "Prefix"])
        }
        return errors + backend(path.child("backend"), item.backend)
    }

    static func backend(_ path: RulePath, _ backend: IngressBackend) -> [FieldError] {
        var errors: [FieldError] = []
        switch (backend.resource, backend.service) {
        case (.some, .some):
            errors.invalid(path, "", "cannot set both resource and service backends")
        case (let resource?, nil):
            errors += reference(
                path.child("resource"), group: resource.apiGroup, kind: resource.kind, name: resource.name)
        case (nil, let service?):
            if service.name.isEmpty { errors.required(path.child("service.name")) }
            if !service.name.isEmpty {
                errors.require(NameRules.serviceLabel, path.child("service.name"), service.name)
            }
            switch (service.port.name.isEmpty, service.port.number == 0) {
            case (false, false):
                errors.invalid(path, "", "cannot set both port name & port number")
            case (false, true):
                errors.require(NameRules.portName, path.child("service.port.name"), service.port.name)
            case (true, false):
                errors.requireRange(
                    path.child("service.port.number"), service.port.number, RuleText.ports)
            case (true, true): errors.required(path, "port name or number is required")
            }
        case (nil, nil):
            errors.invalid(path, "", "resource or service backend is required")
        }
        return errors
    }

    static func reference(_ path: RulePath, group: String?, kind: String, name: String) -> [FieldError] {
        var errors: [FieldError] = []
        if let group { errors.require(NameRules.subdomain, path.child("apiGroup"), group) }
        for (field, value) in [("kind", kind), ("name", name)] {
            if value.isEmpty { errors.required(path.child(field), "\(field) is required") }
            errors.require(NameRules.pathSegment, path.child(field), value)
        }
        return errors
    }
}

// MARK: - IngressClass

extension IngressClass: Defaulting {
    public mutating func applyDefaults() {
        if spec.parameters != nil, spec.parameters?.scope == nil { spec.parameters?.scope = "Cluster" }
    }
}

extension IngressClass: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: false, name: NameRules.subdomain) + validateSpec()
    }

    public func validateUpdate(from old: IngressClass) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        errors.requireUnchanged("spec.controller", spec.controller, old.spec.controller)
        return errors + validateSpec()
    }

    private func validateSpec() -> [FieldError] {
        var errors: [FieldError] = []
        if spec.controller.utf8.count > 250 { errors.tooLong("spec.controller", maximum: 250) }
        errors += NameRules.domainPrefixedPath("spec.controller", spec.controller)
        guard let parameters = spec.parameters else { return errors }
        let path: RulePath = "spec.parameters"
        errors += IngressRules.reference(
            path, group: parameters.apiGroup, kind: parameters.kind, name: parameters.name)
        switch parameters.scope {
        case nil: errors.required(path.child("scope"))
        case "Namespace"?:
            if let namespace = parameters.namespace {
                errors.require(NameRules.label, path.child("namespace"), namespace)
            } else {
                errors.required(path.child("namespace"), "`parameters.scope` is set to 'Namespace'")
            }
        case "Cluster"?:
            if parameters.namespace != nil {
                errors.forbidden(path.child("namespace"), "`parameters.scope` is set to 'Cluster'")
            }
        case let scope?:
            errors.requireOneOf(path.child("scope"), scope, ["Cluster", "Namespace"])
        }
        return errors
    }
}
