// What upstream warns of in objects of small kinds that are valid all the same.

extension Node {
    /// Messages for who writes this Node.
    public var warnings: [String] {
        var warnings: [String] = []
        if spec.configSource != nil { warnings.append("spec.configSource: the feature is removed") }
        if !spec.externalID.isEmpty {
            warnings.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
        }
        return warnings
    }
}

extension ServiceAccount {
    /// With the value true, pods of the account may only use secrets that it lists.
    package static let mountableSecretsAnnotation = "kubernetes.io/enforce-mountable-secrets"

    /// Messages for who makes this account, or makes it of an older one.
    package func warnings(since old: ServiceAccount?) -> [String] {
        let key = Self.mountableSecretsAnnotation
        guard metadata.annotations[key] != nil, old?.metadata.annotations[key] == nil else { return [] }
        return [
            "metadata.annotations[\(key)]: deprecated in v1.32+; prefer separate namespaces to isolate access to "
                + "mounted secrets"
        ]
    }
}

extension RuntimeClass {
    /// Messages for who writes this class.
    public var warnings: [String] {
        (scheduling?.nodeSelector.keys.sorted() ?? []).compactMap(NodeLabelWarnings.message).map {
            "scheduling.nodeSelector: \($0)"
        }
    }
}

extension StorageClass {
    /// Messages for who writes this class.
    public var warnings: [String] {
        var warnings: [String] = []
        for (index, term) in allowedTopologies.enumerated() {
            let path = RulePath("allowedTopologies").index(index)
            for (part, expression) in term.matchLabelExpressions.enumerated() {
                guard let message = NodeLabelWarnings.message(expression.key) else { continue }
                let path = path.child("matchLabelExpressions").index(part).child("key")
                warnings.append("\(path.text): \(message)")
            }
        }
        return warnings
    }
}

extension CSIStorageCapacity {
    /// Messages for who writes this capacity.
    public var warnings: [String] {
        guard let selector = nodeTopology else { return [] }
        var warnings: [String] = []
        let path: RulePath = "nodeTopology"
        for (index, expression) in selector.matchExpressions.enumerated() {
            guard let message = NodeLabelWarnings.message(expression.key) else { continue }
            let path = path.child("matchExpressions").index(index).child("key")
            warnings.append("\(path.text): \(expression.key) is \(message)")
        }
        for label in selector.matchLabels.keys.sorted() {
            guard let message = NodeLabelWarnings.message(label) else { continue }
            warnings.append("\(path.child("matchLabels").child(label).text): \(message)")
        }
        return warnings
    }
}

extension EndpointSlice {
    /// Messages for who writes this slice; the controllers' own are in order.
    public var warnings: [String] {
        let writers = ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"]
        if let writer = metadata.labels["endpointslice.kubernetes.io/managed-by"], writers.contains(writer) {
            return []
        }
        return endpoints.enumerated().flatMap { index, endpoint in
            endpoint.addresses.enumerated().flatMap { part, address in
                AddressWarnings.address(
                    RulePath("endpoints").index(index).child("addresses").index(part), address)
            }
        }
    }

    /// Messages for who makes this slice.
    public var creationWarnings: [String] {
        // Upstream's path is wrong by a `spec`; clients compare the message as it is.
        addressType == "FQDN" ? ["spec.addressType: FQDN endpoints are deprecated"] : []
    }
}
