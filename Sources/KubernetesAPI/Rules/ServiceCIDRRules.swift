// MARK: - ServiceCIDR

extension ServiceCIDR: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: NameRules.subdomain)
        let path: RulePath = "spec.cidrs"
        let shown = "networking.ServiceCIDRSpec{CIDRs:\(GoSyntax.list(spec.cidrs))}"
        switch spec.cidrs.count {
        case 0: errors.required(path, "at least one CIDR required")
        case 1, 2:
            let families = Set(spec.cidrs.compactMap { AddressRange($0)?.base.isIPv4 })
            guard families.count == 2 || spec.cidrs.count == 1 else {
                errors.invalid(
                    path, shown: shown,
                    "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
                )
                break
            }
            for (index, cidr) in spec.cidrs.enumerated() {
                errors += AddressRules.canonicalRange(path.index(index), cidr)
            }
        default: errors.invalid(path, shown: shown, "may only hold up to 2 values")
        }
        return errors
    }

    public func validateUpdate(from old: ServiceCIDR) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        if spec.cidrs != old.spec.cidrs {
            errors.invalid("spec.cidrs", shown: GoSyntax.list(spec.cidrs), RuleText.immutable)
        }
        return errors
    }
}

// MARK: - IPAddress

extension IPAddress: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: AddressRules.addressName)
        guard let parent = spec.parentRef else {
            errors.required("spec.parentRef")
            return errors
        }
        let path: RulePath = "spec.parentRef"
        if !parent.group.isEmpty {
            errors.require(NameRules.subdomain, path.child("group"), parent.group)
        }
        for (field, value) in [("resource", parent.resource), ("name", parent.name)] {
            if value.isEmpty { errors.required(path.child(field)) }
            errors.require(NameRules.pathSegment, path.child(field), value)
        }
        errors.require(NameRules.pathSegment, path.child("namespace"), parent.namespace)
        return errors
    }

    public func validateUpdate(from old: IPAddress) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        if spec.parentRef != old.spec.parentRef {
            let parent = spec.parentRef ?? ParentReference()
            errors.invalid(
                "spec.parentRef",
                shown: spec.parentRef == nil
                    ? "null"
                    : "networking.ParentReference{Group:\(GoText.quoted(parent.group)), "
                        + "Resource:\(GoText.quoted(parent.resource)), "
                        + "Namespace:\(GoText.quoted(parent.namespace)), Name:\(GoText.quoted(parent.name))}",
                RuleText.immutable)
        }
        return errors
    }
}
