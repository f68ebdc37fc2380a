extension NetworkPolicy: Defaulting {
    public mutating func applyDefaults() {
        if spec.policyTypes.isEmpty {
            spec.policyTypes = spec.egress.isEmpty ? ["Ingress"] : ["Ingress", "Egress"]
        }
        for index in spec.ingress.indices { spec.ingress[index].ports.applyProtocol() }
        for index in spec.egress.indices { spec.egress[index].ports.applyProtocol() }
    }
}

extension [NetworkPolicyPort] {
    fileprivate mutating func applyProtocol() {
        for index in indices where self[index].protocol == nil { self[index].protocol = "TCP" }
    }
}

extension NetworkPolicy: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + validateSpec()
    }

    public func validateUpdate(from old: NetworkPolicy) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata) + validateSpec()
    }

    private func validateSpec() -> [FieldError] {
        var errors = LabelRules.selector("spec.podSelector", spec.podSelector)
        for (index, rule) in spec.ingress.enumerated() {
            let path = RulePath("spec.ingress").index(index)
            errors += Self.ports(path.child("ports"), rule.ports)
            errors += Self.peers(path.child("from"), rule.from)
        }
        for (index, rule) in spec.egress.enumerated() {
            let path = RulePath("spec.egress").index(index)
            errors += Self.ports(path.child("ports"), rule.ports)
            errors += Self.peers(path.child("to"), rule.to)
        }
        guard spec.policyTypes.count <= 2 else {
            let shown = spec.policyTypes.map(GoText.quoted).joined(separator: ", ")
            errors.invalid(
                "spec.policyTypes", shown: "[]networking.PolicyType{\(shown)}",
                "may not specify more than two policyTypes")
            return errors
        }
        for (index, type) in spec.policyTypes.enumerated() {
            errors.requireOneOf(RulePath("spec.policyTypes").index(index), type, ["Ingress", "Egress"])
        }
        return errors
    }

    private static func ports(_ path: RulePath, _ ports: [NetworkPolicyPort]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, port) in ports.enumerated() {
            let path = path.index(index)
            if let name = port.protocol {
                errors.requireOneOf(path.child("protocol"), name, ["TCP", "UDP", "SCTP"])
            }
            let end = path.child("endPort")
            switch port.port {
            case .int(let number)?:
                errors.requireRange(path.child("port"), number, RuleText.ports)
                guard let last = port.endPort else { break }
                if last < number { errors.invalid(end, last, "must be greater than or equal to `port`") }
                errors.requireRange(end, last, RuleText.ports)
            case .string(let name)?:
                if let last = port.endPort {
                    errors.invalid(end, last, "may not be specified when `port` is non-numeric")
                }
                errors.require(NameRules.portName, path.child("port"), name)
            case nil:
                if let last = port.endPort {
                    errors.invalid(end, last, "may not be specified when `port` is not specified")
                }
            }
        }
        return errors
    }

    private static func peers(_ path: RulePath, _ peers: [NetworkPolicyPeer]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, peer) in peers.enumerated() {
            let path = path.index(index)
            errors += LabelRules.selector(path.child("podSelector"), peer.podSelector)
            errors += LabelRules.selector(path.child("namespaceSelector"), peer.namespaceSelector)
            if let block = peer.ipBlock { errors += self.block(path.child("ipBlock"), block) }
            let hasSelector = peer.podSelector != nil || peer.namespaceSelector != nil
            if peer.ipBlock == nil, !hasSelector {
                errors.required(path, "must specify a peer")
            } else if peer.ipBlock != nil, hasSelector {
                errors.forbidden(path, "may not specify both ipBlock and another peer")
            }
        }
        return errors
    }

    private static func block(_ path: RulePath, _ block: IPBlock) -> [FieldError] {
        var errors: [FieldError] = []
        guard !block.cidr.isEmpty else {
            errors.required(path.child("cidr"))
            return errors
        }
        errors += AddressRules.range(path.child("cidr"), block.cidr)
        guard let range = AddressRange(block.cidr) else { return errors }
        for (index, text) in block.except.enumerated() {
            let path = path.child("except").index(index)
            errors += AddressRules.range(path, text)
            guard let exception = AddressRange(text) else { continue }
            if !range.contains(exception.base) || range.prefixLength >= exception.prefixLength {
                errors.invalid(path, text, "must be a strict subset of `cidr`")
            }
        }
        return errors
    }
}
