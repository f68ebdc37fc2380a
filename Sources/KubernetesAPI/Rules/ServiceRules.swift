extension Service: Defaulting {
    public mutating func applyDefaults() {
        if spec.sessionAffinity.isEmpty { spec.sessionAffinity = "None" }
        switch spec.sessionAffinity {
        case "None": spec.sessionAffinityConfig = nil
        case "ClientIP":
            if spec.sessionAffinityConfig?.clientIP?.timeoutSeconds == nil {
                // Three hours.
                spec.sessionAffinityConfig = SessionAffinityConfig(
                    clientIP: ClientIPConfig(timeoutSeconds: 10800))
            }
        default: break
        }
        if spec.type.isEmpty { spec.type = "ClusterIP" }
        for index in spec.ports.indices {
            if spec.ports[index].protocol.isEmpty { spec.ports[index].protocol = "TCP" }
            if spec.ports[index].targetPort == 0 || spec.ports[index].targetPort == "" {
                spec.ports[index].targetPort = .int(spec.ports[index].port)
            }
        }
        if isReachableFromOutside, spec.externalTrafficPolicy.isEmpty {
            spec.externalTrafficPolicy = "Cluster"
        }
        if spec.internalTrafficPolicy == nil, ["NodePort", "LoadBalancer", "ClusterIP"].contains(spec.type) {
            spec.internalTrafficPolicy = "Cluster"
        }
        guard spec.type == "LoadBalancer" else { return }
        if spec.allocateLoadBalancerNodePorts == nil { spec.allocateLoadBalancerNodePorts = true }
        for index in status.loadBalancer.ingress.indices
        where !status.loadBalancer.ingress[index].ip.isEmpty
            && status.loadBalancer.ingress[index].ipMode == nil
        {
            status.loadBalancer.ingress[index].ipMode = "VIP"
        }
    }
}

extension Service {
    /// Whether the Service has no address of its own: `clusterIP: None`.
    public var isHeadless: Bool { spec.clusterIPs == ["None"] }

    /// Whether traffic from outside the cluster can reach the Service.
    public var isReachableFromOutside: Bool {
        spec.type == "LoadBalancer" || spec.type == "NodePort"
            || spec.type == "ClusterIP" && !spec.externalIPs.isEmpty
    }

    /// Whether load balancers ask nodes if they have endpoints, for which a node port is needed.
    public var needsHealthCheck: Bool {
        spec.type == "LoadBalancer" && spec.externalTrafficPolicy == "Local"
    }
}

extension Service: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.serviceLabel)
        errors += validateTopologyAnnotations()
        if spec.ports.isEmpty, !isHeadless, spec.type != "ExternalName" { errors.required("spec.ports") }
        errors += validateType()
        var names: Set<String> = []
        for (index, port) in spec.ports.enumerated() {
            errors += validatePort(RulePath("spec.ports").index(index), port, names: &names)
        }
        errors += LabelRules.labels("spec.selector", spec.selector)
        errors += validateAffinity()
        errors += validateAddresses()
        for (index, address) in spec.externalIPs.enumerated() {
            let path = RulePath("spec.externalIPs").index(index)
            let found = AddressRules.address(path, address)
            errors += found.isEmpty ? AddressRules.endpoint(path, address) : found
        }
        errors.requireNamed(
            "spec.type", spec.type, ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"])
        errors += validatePortSet()
        errors += validateSourceRanges()
        if spec.allocateLoadBalancerNodePorts != nil, spec.type != "LoadBalancer" {
            errors.forbidden(
                "spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'")
        }
        if spec.allocateLoadBalancerNodePorts == nil, spec.type == "LoadBalancer" {
            errors.required("allocateLoadBalancerNodePorts")
        }
        errors += validateLoadBalancerClass()
        return errors + validateTrafficPolicies()
    }

    private func validateTopologyAnnotations() -> [FieldError] {
        let old = "service.kubernetes.io/topology-aware-hints"
        let new = "service.kubernetes.io/topology-mode"
        guard let hints = metadata.annotations[old], let mode = metadata.annotations[new], hints != mode
        else {
            return []
        }
        return [
            .invalid(
                RulePath("metadata.annotations").key(new).text, .string(mode),
                "must match annotations[\(old)] when both are specified")
        ]
    }

    private func validateType() -> [FieldError] {
        var errors: [FieldError] = []
        switch spec.type {
        case "LoadBalancer", "NodePort":
            if isHeadless {
                errors.invalid(
                    "spec.clusterIPs[0]", "None", "may not be set to 'None' for \(spec.type) services")
            }
        case "ExternalName":
            for (field, isSet) in [
                ("clusterIPs", !spec.clusterIPs.isEmpty), ("ipFamilies", !spec.ipFamilies.isEmpty),
                ("ipFamilyPolicy", spec.ipFamilyPolicy != nil),
            ] where isSet {
                errors.forbidden(RulePath("spec").child(field), "may not be set for ExternalName services")
            }
            let name =
                spec.externalName.hasSuffix(".") ? String(spec.externalName.dropLast()) : spec.externalName
            if name.isEmpty {
                errors.required("spec.externalName")
            } else {
                errors.require(NameRules.subdomain, "spec.externalName", name)
            }
        default: break
        }
        return errors
    }

    // MARK: - Ports

    private func validatePort(_ path: RulePath, _ port: ServicePort, names: inout Set<String>)
        -> [FieldError]
    {
        var errors: [FieldError] = []
        if !port.name.isEmpty {
            errors.require(NameRules.label, path.child("name"), port.name)
            if !names.insert(port.name).inserted { errors.duplicate(path.child("name"), port.name) }
        } else if spec.ports.count > 1 {
            errors.required(path.child("name"))
        }
        errors.requireRange(path.child("port"), port.port, RuleText.ports)
        errors.requireNamed(path.child("protocol"), port.protocol, ["SCTP", "TCP", "UDP"])
        errors += ProbeRules.port(path.child("targetPort"), port.targetPort)
        if let name = port.appProtocol {
            errors.require(NameRules.qualified, path.child("appProtocol"), name)
        }
        return errors
    }

    /// Rules on the ports together: no port and no node port twice with one protocol.
    private func validatePortSet() -> [FieldError] {
        var errors: [FieldError] = []
        let path: RulePath = "spec.ports"
        var nodePorts: Set<String> = []
        var ports: Set<String> = []
        if spec.type == "ClusterIP" {
            for (index, port) in spec.ports.enumerated() where port.nodePort != 0 {
                errors.forbidden(
                    path.index(index).child("nodePort"), "may not be used when `type` is 'ClusterIP'")
            }
        }
        for (index, port) in spec.ports.enumerated() where port.nodePort != 0 {
            if !nodePorts.insert("\(port.protocol)/\(port.nodePort)").inserted {
                errors.append(
                    .duplicate(path.index(index).child("nodePort").text, .integer(Int64(port.nodePort))))
            }
        }
        for (index, port) in spec.ports.enumerated()
        where !ports.insert("\(port.protocol)/\(port.port)").inserted {
            let shown =
                "core.ServicePort{Name:\"\", Protocol:\(GoText.quoted(port.protocol)), AppProtocol:(*string)(nil), "
                + "Port:\(port.port), TargetPort:\(GoSyntax.intOrString(0)), NodePort:0}"
            errors.append(FieldError(type: .duplicate, field: path.index(index).text, shownValue: shown))
        }
        return errors
    }

    // MARK: - Affinity

    private func validateAffinity() -> [FieldError] {
        var errors: [FieldError] = []
        errors.requireNamed("spec.sessionAffinity", spec.sessionAffinity, ["ClientIP", "None"])
        let path: RulePath = "spec.sessionAffinityConfig"
        if spec.sessionAffinity == "None", spec.sessionAffinityConfig != nil {
            errors.forbidden(path, "must not be set when session affinity is None")
        }
        guard spec.sessionAffinity == "ClientIP" else { return errors }
        let detail = "when session affinity type is ClientIP"
        guard let config = spec.sessionAffinityConfig else {
            errors.required(path, detail)
            return errors
        }
        guard let client = config.clientIP else {
            errors.required(path.child("clientIP"), detail)
            return errors
        }
        guard let seconds = client.timeoutSeconds else {
            errors.required(path.child("clientIP.timeoutSeconds"), detail)
            return errors
        }
        if seconds <= 0 || seconds > 86400 {
            errors.invalid(
                path.child("clientIP.timeoutSeconds"), seconds, "must be greater than 0 and less than 86400")
        }
        return errors
    }

    // MARK: - Addresses

    private func validateAddresses() -> [FieldError] {
        if spec.type == "ExternalName" { return [] }
        var errors: [FieldError] = []
        let path: RulePath = "spec.clusterIPs"
        let shown = GoSyntax.list(spec.clusterIPs)
        if spec.clusterIP.isEmpty {
            if !spec.clusterIPs.isEmpty {
                errors.invalid(path, shown: shown, "must be empty when `clusterIP` is not specified")
            }
        } else if let first = spec.clusterIPs.first {
            if first != spec.clusterIP {
                errors.invalid(path, shown: shown, "first value must match `clusterIP`")
            }
        } else {
            errors.required(path)
        }
        errors += validateFamilies()
        var areAddresses = true
        for (index, address) in spec.clusterIPs.enumerated() {
            if index == 0, address == "None" {
                if spec.clusterIPs.count > 1 {
                    areAddresses = false
                    errors.invalid(path, shown: shown, "'None' must be the first and only value")
                }
                continue
            }
            let found = AddressRules.address(path.index(index), address)
            if !found.isEmpty { areAddresses = false }
            errors += found
        }
        if spec.clusterIPs.count > 2 { errors.invalid(path, shown: shown, "may only hold up to 2 values") }
        guard areAddresses else { return errors }
        let families = spec.clusterIPs.map { AddressValue($0)?.isIPv4 == true ? "IPv4" : "IPv6" }
        if spec.clusterIPs.count > 1, Set(families).count == 1 {
            errors.invalid(path, shown: shown, "may specify no more than one IP for each IP family")
        }
        if isHeadless { return errors }
        for (index, (address, family)) in zip(spec.clusterIPs, spec.ipFamilies).enumerated()
        where families[index] != family && (family == "IPv4" || family == "IPv6") {
            errors.invalid(
                path.index(index), address,
                "expected an \(family) value as indicated by `ipFamilies[\(index)]`")
        }
        return errors
    }

    private func validateFamilies() -> [FieldError] {
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for (index, family) in spec.ipFamilies.enumerated() {
            let path = RulePath("spec.ipFamilies").index(index)
            errors.requireOneOf(path, family, ["IPv4", "IPv6"])
            if !seen.insert(family).inserted { errors.duplicate(path, family) }
        }
        if let policy = spec.ipFamilyPolicy {
            errors.requireOneOf(
                "spec.ipFamilyPolicy", policy, ["PreferDualStack", "RequireDualStack", "SingleStack"])
        }
        return errors
    }

    // MARK: - Traffic from outside

    private func validateSourceRanges() -> [FieldError] {
        var errors: [FieldError] = []
        let key = "service.beta.kubernetes.io/load-balancer-source-ranges"
        let detail = "may only be used when `type` is 'LoadBalancer'"
        if !spec.loadBalancerSourceRanges.isEmpty {
            // Upstream's path begins with a capital here.
            let path: RulePath = "spec.LoadBalancerSourceRanges"
            if spec.type != "LoadBalancer" { errors.forbidden(path, detail) }
            for (index, range) in spec.loadBalancerSourceRanges.enumerated() {
                errors += AddressRules.range(path.index(index), Self.trimmed(range))
            }
        } else if let text = metadata.annotations[key] {
            let path = RulePath("metadata.annotations").key(key)
            if spec.type != "LoadBalancer" { errors.forbidden(path, detail) }
            guard !Self.trimmed(text).isEmpty else { return errors }
            for range in text.split(separator: ",", omittingEmptySubsequences: false) {
                errors += AddressRules.range(path, Self.trimmed(String(range)))
            }
        }
        return errors
    }

    private static func trimmed(_ text: String) -> String {
        let start = text.drop { $0.isWhitespace }
        guard let end = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...end])
    }

    private func validateLoadBalancerClass() -> [FieldError] {
        guard let name = spec.loadBalancerClass else { return [] }
        var errors: [FieldError] = []
        if spec.type == "LoadBalancer" {
            errors.require(NameRules.qualified, "spec.loadBalancerClass", name)
        } else {
            errors.forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'")
        }
        return errors
    }

    private func validateTrafficPolicies() -> [FieldError] {
        var errors: [FieldError] = []
        let policy = spec.externalTrafficPolicy
        if isReachableFromOutside {
            errors.requireNamed("spec.externalTrafficPolicy", policy, ["Cluster", "Local"])
        } else if !policy.isEmpty {
            errors.invalid(
                "spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
        }
        let port = spec.healthCheckNodePort
        if !needsHealthCheck {
            if port != 0 {
                errors.invalid(
                    "spec.healthCheckNodePort", port,
                    "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")
            }
        } else if port != 0 {
            // 0 is not an error here: the port is allocated after validation.
            errors.requireRange("spec.healthCheckNodePort", port, RuleText.ports)
        }
        if let policy = spec.internalTrafficPolicy {
            errors.requireOneOf("spec.internalTrafficPolicy", policy, ["Cluster", "Local"])
        } else if ["NodePort", "LoadBalancer", "ClusterIP"].contains(spec.type) {
            errors.required("spec.internalTrafficPolicy")
        }
        if let distribution = spec.trafficDistribution {
            errors.requireOneOf(
                "spec.trafficDistribution", distribution, ["PreferClose", "PreferSameNode", "PreferSameZone"])
        }
        return errors
    }
}
