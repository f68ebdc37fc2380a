extension Service {
    /// Messages for who writes this Service (upstream's pkg/api/service/warnings.go, 1.35).
    public var warnings: [String] {
        var warnings: [String] = []
        let path: RulePath = "spec"
        let hints = "service.kubernetes.io/topology-aware-hints"
        if metadata.annotations[hints] != nil {
            warnings.append(
                "annotation \(hints) is deprecated, please use service.kubernetes.io/topology-mode instead")
        }
        let isHeadless = spec.type == "ClusterIP" && spec.clusterIP == "None"
        if !spec.clusterIP.isEmpty, spec.clusterIP != "None" {
            for (index, address) in spec.clusterIPs.enumerated() {
                warnings += AddressWarnings.address(path.child("clusterIPs").index(index), address)
            }
        }
        if isHeadless {
            if !spec.loadBalancerIP.isEmpty {
                warnings.append("spec.loadBalancerIP is ignored for headless services")
            }
            if !spec.externalIPs.isEmpty {
                warnings.append("spec.externalIPs is ignored for headless services")
            }
            if spec.sessionAffinity != "None" {
                warnings.append("spec.SessionAffinity is ignored for headless services")
            }
        }
        for (index, address) in spec.externalIPs.enumerated() {
            warnings += AddressWarnings.address(path.child("externalIPs").index(index), address)
        }
        if !spec.loadBalancerIP.isEmpty {
            warnings += AddressWarnings.address(path.child("loadBalancerIP"), spec.loadBalancerIP)
        }
        for (index, range) in spec.loadBalancerSourceRanges.enumerated() {
            warnings += AddressWarnings.range(path.child("loadBalancerSourceRanges").index(index), range)
        }
        if spec.type == "ExternalName", !spec.externalIPs.isEmpty {
            warnings.append("spec.externalIPs is ignored when spec.type is \"ExternalName\"")
        }
        if spec.type != "ExternalName", !spec.externalName.isEmpty {
            warnings.append("spec.externalName is ignored when spec.type is not \"ExternalName\"")
        }
        if spec.trafficDistribution == "PreferClose" {
            warnings.append("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"")
        }
        return warnings
    }
}

/// Addresses that are valid and yet not in the form that all programs read alike. (Validation refuses leading
/// zeros already, which upstream warns of.)
enum AddressWarnings {
    static func address(_ path: RulePath, _ text: String) -> [String] {
        guard let address = AddressValue(text) else { return [] }
        if address.isMapped {
            return [
                "\(path.text): non-standard IP address \(GoText.quoted(text)) will be considered invalid in a "
                    + "future Kubernetes release: use \(GoText.quoted("\(address.unmappedValue)"))"
            ]
        }
        if address.isIPv4 || "\(address)" == text { return [] }
        return [
            "\(path.text): IPv6 address \(GoText.quoted(text)) should be in RFC 5952 canonical format "
                + "(\(GoText.quoted("\(address)")))"
        ]
    }

    static func range(_ path: RulePath, _ text: String) -> [String] {
        guard let range = AddressRange(text) else { return [] }
        let base = range.base.masked(range.prefixLength)
        let canonical = "\(base)/\(range.prefixLength)"
        var warnings: [String] = []
        if base != range.base {
            let single = "\(range.base)/\(range.base.bytes.count * 8)"
            warnings.append(
                "\(path.text): CIDR value \(GoText.quoted(text)) is ambiguous in this context (should be "
                    + "\(GoText.quoted(canonical)) or \(GoText.quoted(single))?)")
        }
        if range.base.isMapped {
            warnings.append(
                "\(path.text): non-standard CIDR value \(GoText.quoted(text)) will be considered invalid in a "
                    + "future Kubernetes release: use \(GoText.quoted(canonical))")
        }
        if warnings.isEmpty, !range.base.isIPv4, canonical != text {
            warnings.append(
                "\(path.text): IPv6 CIDR value \(GoText.quoted(text)) should be in RFC 5952 canonical format "
                    + "(\(GoText.quoted(canonical)))")
        }
        return warnings
    }
}
