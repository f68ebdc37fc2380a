import KubernetesAPI

/// A pod's quality-of-service class, and what follows from it for the kernel
/// (https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/).
package enum QualityOfService: String, Sendable, Hashable {
    case guaranteed = "Guaranteed"
    case burstable = "Burstable"
    case bestEffort = "BestEffort"

    package init(_ pod: Pod) {
        var requested: Set<String> = []
        var isGuaranteed = true
        for container in pod.spec.containers + pod.spec.initContainers {
            let resources = container.resources
            for name in ["cpu", "memory"] {
                let limit = resources.limits[name].flatMap { $0.isZero ? nil : $0 }
                let request = (resources.requests[name] ?? limit).flatMap { $0.isZero ? nil : $0 }
                if limit != nil || request != nil { requested.insert(name) }
                if limit == nil || request != limit { isGuaranteed = false }
            }
        }
        if requested.isEmpty {
            self = .bestEffort
        } else {
            self = isGuaranteed ? .guaranteed : .burstable
        }
    }

    /// The kernel's preference for killing a container's processes when memory runs out: -997 to 1000.
    package func outOfMemoryScore(_ container: Container, memoryCapacity: Int) -> Int {
        switch self {
        case .guaranteed: return -997
        case .bestEffort: return 1000
        case .burstable:
            let request = container.resources.requests["memory"]?.value ?? 0
            guard memoryCapacity > 0 else { return 999 }
            let share = 1000 - Int(1000 * Double(request) / Double(memoryCapacity))
            return min(max(share, 3), 999)
        }
    }
}

/// Limits and requests as control groups have them.
package struct ControlGroupLimits: Sendable, Hashable {
    /// Relative weight; 2 to 262144.
    package var cpuShares: Int
    /// Microseconds of CPU time in each period; 0 for no limit.
    package var cpuQuota: Int
    /// Microseconds.
    package var cpuPeriod: Int
    /// Bytes; 0 for no limit.
    package var memory: Int

    package init(_ container: Container) {
        let limits = container.resources.limits
        let requests = container.resources.requests
        let milliRequest = (requests["cpu"] ?? limits["cpu"])?.milliValue ?? 0
        cpuShares = min(
            max(milliRequest.multipliedReportingOverflow(by: 1024).partialValue / 1000, 2), 262_144)
        cpuPeriod = 100_000
        let milliLimit = limits["cpu"]?.milliValue ?? 0
        cpuQuota = milliLimit > 0 ? max(min(milliLimit, 1_000_000_000) * 100, 1000) : 0
        memory = limits["memory"]?.value ?? 0
    }
}
