/// Which objects a quota counts.
extension ResourceQuota {
    /// Whether the scopes let an object count; without scopes all do.
    public func counts(_ object: some KubernetesObject) -> Bool {
        scopeTerms.allSatisfy { term in
            if let pod = object as? Pod { return term.matches(pod) }
            if let claim = object as? PersistentVolumeClaim { return term.matches(claim) }
            return false
        }
    }

    /// The short form of scopes means that they hold.
    private var scopeTerms: [ScopedResourceSelectorRequirement] {
        spec.scopes.map { ScopedResourceSelectorRequirement(scopeName: $0, operator: "Exists") }
            + (spec.scopeSelector?.matchExpressions ?? [])
    }
}

extension ScopedResourceSelectorRequirement {
    fileprivate func matches(_ pod: Pod) -> Bool {
        let isTerminating = (pod.spec.activeDeadlineSeconds ?? -1) >= 0
        switch scopeName {
        case "Terminating": return isTerminating
        case "NotTerminating": return !isTerminating
        case "BestEffort": return pod.spec.isBestEffort
        case "NotBestEffort": return !pod.spec.isBestEffort
        case "PriorityClass": return matches(pod.spec.priorityClassName)
        case "CrossNamespacePodAffinity": return pod.spec.reachesOtherNamespaces
        default: return false
        }
    }

    fileprivate func matches(_ claim: PersistentVolumeClaim) -> Bool {
        guard scopeName == "VolumeAttributesClass" else { return false }
        return matches(claim.spec.volumeAttributesClassName ?? "")
    }

    /// Compares the value that an object has in the scope; empty for none.
    private func matches(_ value: String) -> Bool {
        switch `operator` {
        case "Exists": return !value.isEmpty
        case "DoesNotExist": return value.isEmpty
        case "In": return !value.isEmpty && values.contains(value)
        case "NotIn": return value.isEmpty || !values.contains(value)
        default: return false
        }
    }
}

extension PodSpec {
    /// Whether no container asks for cpu or memory or limits it (the quality of service BestEffort).
    var isBestEffort: Bool {
        (containers + initContainers).allSatisfy { container in
            ["cpu", "memory"].allSatisfy { name in
                (container.resources.requests[name]?.isZero ?? true)
                    && (container.resources.limits[name]?.isZero ?? true)
            }
        }
    }

    /// Whether a term of its affinity is about pods of other namespaces.
    var reachesOtherNamespaces: Bool {
        guard let affinity else { return false }
        let terms =
            (affinity.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [])
            + (affinity.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [])
            + (affinity.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
            .map(\.podAffinityTerm)
            + (affinity.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
            .map(\.podAffinityTerm)
        return terms.contains { !$0.namespaces.isEmpty || $0.namespaceSelector != nil }
    }
}
