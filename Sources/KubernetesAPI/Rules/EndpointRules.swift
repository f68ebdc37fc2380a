// MARK: - Endpoints

extension Endpoints: Defaulting {
    public mutating func applyDefaults() {
        for index in subsets.indices {
            for port in subsets[index].ports.indices where subsets[index].ports[port].protocol.isEmpty {
                subsets[index].ports[port].protocol = "TCP"
            }
        }
    }
}

extension Endpoints: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        for (index, subset) in subsets.enumerated() {
            let path = RulePath("subsets").index(index)
            if subset.addresses.isEmpty, subset.notReadyAddresses.isEmpty {
                errors.required(path, "must specify `addresses` or `notReadyAddresses`")
            }
            for (field, list) in [
                ("addresses", subset.addresses), ("notReadyAddresses", subset.notReadyAddresses),
            ] {
                for (index, address) in list.enumerated() {
                    errors += Self.validate(path.child(field).index(index), address)
                }
            }
            for (index, port) in subset.ports.enumerated() {
                errors += Self.validate(
                    path.child("ports").index(index), port, needsName: subset.ports.count > 1)
            }
        }
        return errors
    }

    public func validateUpdate(from old: Endpoints) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validate()
    }

    private static func validate(_ path: RulePath, _ address: EndpointAddress) -> [FieldError] {
        var errors = AddressRules.address(path.child("ip"), address.ip)
        if !address.hostname.isEmpty {
            errors.require(NameRules.label, path.child("hostname"), address.hostname)
        }
        if let node = address.nodeName { errors.require(NameRules.subdomain, path.child("nodeName"), node) }
        return errors + AddressRules.endpoint(path.child("ip"), address.ip)
    }

    private static func validate(_ path: RulePath, _ port: EndpointPort, needsName: Bool) -> [FieldError] {
        var errors: [FieldError] = []
        if !port.name.isEmpty {
            errors.require(NameRules.label, path.child("name"), port.name)
        } else if needsName {
            errors.required(path.child("name"))
        }
        errors.requireRange(path.child("port"), port.port, RuleText.ports)
        errors.requireNamed(path.child("protocol"), port.protocol, ["SCTP", "TCP", "UDP"])
        if let name = port.appProtocol {
            errors.require(NameRules.qualified, path.child("appProtocol"), name)
        }
        return errors
    }
}

// MARK: - EndpointSlice

extension EndpointSlice: Defaulting {
    public mutating func applyDefaults() {
        for index in ports.indices {
            if ports[index].name == nil { ports[index].name = "" }
            if ports[index].protocol == nil { ports[index].protocol = "TCP" }
        }
    }
}

extension EndpointSlice: Validating {
    /// The most endpoints a slice may have.
    public static let maximumEndpoints = 1000
    /// The most addresses an endpoint, and ports a slice, may have.
    public static let maximumPorts = 100

    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        errors.requireNamed("addressType", addressType, ["FQDN", "IPv4", "IPv6"])
        return errors + validatePorts() + validateEndpoints()
    }

    public func validateUpdate(from old: EndpointSlice) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validate()
        errors.requireUnchanged("addressType", addressType, old.addressType)
        return errors
    }

    private func validatePorts() -> [FieldError] {
        var errors: [FieldError] = []
        if ports.count > Self.maximumPorts {
            errors.tooMany("ports", ports.count, maximum: Self.maximumPorts)
            return errors
        }
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let path = RulePath("ports").index(index)
            let name = port.name ?? ""
            if !name.isEmpty { errors.require(NameRules.label, path.child("name"), name) }
            if !names.insert(name).inserted { errors.duplicate(path.child("name"), name) }
            if let `protocol` = port.protocol {
                errors.requireOneOf(path.child("protocol"), `protocol`, ["SCTP", "TCP", "UDP"])
            } else {
                errors.required(path.child("protocol"))
            }
            if let name = port.appProtocol {
                errors.require(NameRules.qualified, path.child("appProtocol"), name)
            }
        }
        return errors
    }

    private func validateEndpoints() -> [FieldError] {
        var errors: [FieldError] = []
        if endpoints.count > Self.maximumEndpoints {
            errors.tooMany("endpoints", endpoints.count, maximum: Self.maximumEndpoints)
            return errors
        }
        for (index, endpoint) in endpoints.enumerated() {
            let path = RulePath("endpoints").index(index)
            let addresses = path.child("addresses")
            if endpoint.addresses.isEmpty {
                errors.required(addresses, "must contain at least 1 address")
            } else if endpoint.addresses.count > Self.maximumPorts {
                errors.tooMany(addresses, endpoint.addresses.count, maximum: Self.maximumPorts)
            }
            for (index, address) in endpoint.addresses.enumerated() {
                errors += validateAddress(addresses.index(index), address)
            }
            if let node = endpoint.nodeName {
                errors.require(NameRules.subdomain, path.child("nodeName"), node)
            }
            errors += LabelRules.labels(path.child("deprecatedTopology"), endpoint.deprecatedTopology)
            for key in ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
            where endpoint.deprecatedTopology[key] != nil {
                let detail =
                    key.hasPrefix("topology") ? "use zone field instead" : "set nodeName field instead"
                errors.invalid(path.child("deprecatedTopology").key(key), key, detail)
            }
            if let name = endpoint.hostname { errors.require(NameRules.label, path.child("hostname"), name) }
            errors += Self.validateHints(path.child("hints"), endpoint.hints)
        }
        return errors
    }

    private func validateAddress(_ path: RulePath, _ address: String) -> [FieldError] {
        guard addressType == "IPv4" || addressType == "IPv6" else {
            return addressType == "FQDN" ? NameRules.fullyQualifiedDomain(path, address) : []
        }
        let errors = AddressRules.address(path, address)
        guard errors.isEmpty, let value = AddressValue(address) else { return errors }
        if value.isIPv4 != (addressType == "IPv4") {
            return [.invalid(path.text, .string(address), "must be an \(addressType) address")]
        }
        return AddressRules.endpoint(path, address)
    }

    private static func validateHints(_ path: RulePath, _ hints: EndpointHints?) -> [FieldError] {
        guard let hints else { return [] }
        var errors: [FieldError] = []
        for (field, names) in [
            ("forZones", hints.forZones.map(\.name)), ("forNodes", hints.forNodes.map(\.name)),
        ] {
            let path = path.child(field)
            if names.count > 8 {
                errors.tooMany(path, names.count, maximum: 8)
                continue
            }
            var seen: Set<String> = []
            for (index, name) in names.enumerated() {
                let path = path.index(index).child("name")
                if !seen.insert(name).inserted { errors.duplicate(path, name) }
                if field == "forNodes" {
                    errors.require(NameRules.subdomain, path, name)
                } else {
                    errors.invalid(path, name, messages: LabelSyntax.errors(inValue: name))
                }
            }
        }
        return errors
    }
}
