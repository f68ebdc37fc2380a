extension Service {
    public func validateUpdate(from old: Service) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        if spec.type != "ExternalName", old.spec.type != "ExternalName" {
            errors += validateAddresses(from: old)
            errors += validateFamilies(from: old)
        }
        if spec.type == "LoadBalancer", old.spec.type == "LoadBalancer",
            spec.loadBalancerClass != old.spec.loadBalancerClass
        {
            errors.invalid(
                "spec.loadBalancerClass", shown: spec.loadBalancerClass.map(GoText.quoted) ?? "null",
                "may not change once set")
        }
        if needsHealthCheck, old.needsHealthCheck, spec.healthCheckNodePort != old.spec.healthCheckNodePort {
            errors.forbidden("spec.healthCheckNodePort", RuleText.immutable)
        }
        return errors + validate()
    }

    /// A second address may come and go; the first one stays.
    private func validateAddresses(from old: Service) -> [FieldError] {
        if isHeadless, old.isHeadless { return [] }
        var errors: [FieldError] = []
        let path: RulePath = "spec.clusterIPs"
        let new = spec.clusterIPs
        let before = old.spec.clusterIPs
        if new.count == before.count {
            for (index, (was, now)) in zip(before, new).enumerated() where was != now {
                errors.invalid(path.index(index), shown: GoSyntax.list(new), "may not change once set")
            }
            return errors
        }
        guard let first = new.first else {
            errors.invalid(path.index(0), shown: GoSyntax.list(new), "primary clusterIP can not be unset")
            return errors
        }
        if let was = before.first, was != first {
            errors.invalid(path.index(0), shown: GoSyntax.list(new), "may not change once set")
        }
        if before.count > new.count, new.count == 1, spec.ipFamilyPolicy != "SingleStack" {
            errors.invalid(
                "spec.ipFamilyPolicy", shown: spec.ipFamilyPolicy.map(GoText.quoted) ?? "null",
                "must be set to 'SingleStack' when releasing the secondary clusterIP")
        }
        return errors
    }

    /// The same for address families; a headless Service may change them.
    private func validateFamilies(from old: Service) -> [FieldError] {
        if isHeadless || old.isHeadless { return [] }
        var errors: [FieldError] = []
        let path: RulePath = "spec.ipFamilies[0]"
        let new = spec.ipFamilies
        let before = old.spec.ipFamilies
        let shown = GoSyntax.list(new, type: "core.IPFamily")
        if new.count == before.count {
            for (was, now) in zip(before, new) where was != now {
                errors.invalid(path, shown: shown, "may not change once set")
            }
            return errors
        }
        if before.count > new.count, spec.clusterIPs.isEmpty {
            errors.invalid(path, shown: shown, "primary ipFamily can not be unset")
        }
        if let was = before.first, let now = new.first, was != now {
            errors.invalid(path, shown: GoSyntax.list(spec.clusterIPs), "may not change once set")
        }
        if before.count > new.count, new.count == 1, spec.ipFamilyPolicy != "SingleStack" {
            errors.invalid(
                "spec.ipFamilyPolicy", shown: spec.ipFamilyPolicy.map(GoText.quoted) ?? "null",
                "must be set to 'SingleStack' when releasing the secondary ipFamily")
        }
        return errors
    }

    public func validateStatusUpdate(from old: Service) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        let path: RulePath = "status.loadBalancer.ingress"
        if spec.type != "LoadBalancer", !status.loadBalancer.ingress.isEmpty {
            errors.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")
            return errors
        }
        for (index, ingress) in status.loadBalancer.ingress.enumerated() {
            let path = path.index(index)
            if !ingress.ip.isEmpty { errors += AddressRules.address(path.child("ip"), ingress.ip) }
            if let mode = ingress.ipMode {
                if ingress.ip.isEmpty {
                    errors.forbidden(path.child("ipMode"), "may not be specified when `ip` is not set")
                } else {
                    errors.requireOneOf(path.child("ipMode"), mode, ["Proxy", "VIP"])
                }
            } else if !ingress.ip.isEmpty {
                errors.required(path.child("ipMode"), "must be specified when `ip` is set")
            }
            if !ingress.hostname.isEmpty {
                errors.require(NameRules.subdomain, path.child("hostname"), ingress.hostname)
                if AddressValue(ingress.hostname) != nil {
                    errors.invalid(
                        path.child("hostname"), ingress.hostname, "must be a DNS name, not an IP address")
                }
            }
        }
        return errors
    }
}
