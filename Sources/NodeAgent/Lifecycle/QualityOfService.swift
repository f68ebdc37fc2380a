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
        self.init(
            milliRequest: Self.milliRequest(container),
            milliLimit: container.resources.limits["cpu"]?.milliValue ?? 0,
            memory: container.resources.limits["memory"]?.value ?? 0)
    }

    /// Of the group that a pod's containers are in: they weigh together what they request together. There is a limit
    /// if each of them has one. Amounts that the pod's own `resources` give go before (KEP-2837), and its `overhead` is
    /// added, as upstream does.
    package init(_ pod: Pod) {
        let own = pod.spec.resources
        let containers = pod.spec.containers + pod.spec.initContainers
        func overhead(_ quantity: Quantity?, _ amount: (Quantity) -> Int) -> Int {
            quantity.map { Self.bounded(amount($0)) } ?? 0
        }
        func limit(_ name: String, _ amount: (Quantity) -> Int) -> Int {
            if let limit = own?.limits[name], !limit.isZero {
                return Self.bounded(amount(limit)) + overhead(pod.spec.overhead[name], amount)
            }
            let limits = containers.map { $0.resources.limits[name] }
            guard limits.allSatisfy({ $0.map { !$0.isZero } ?? false }) else { return 0 }
            return Self.total(pod) { $0.resources.limits[name].map(amount) ?? 0 }
                + overhead(pod.spec.overhead[name], amount)
        }
        let request =
            (own?.requests["cpu"] ?? own?.limits["cpu"]).map { Self.bounded($0.milliValue) }
            ?? Self.total(pod, Self.milliRequest)
        self.init(
            milliRequest: request + overhead(pod.spec.overhead["cpu"]) { $0.milliValue },
            milliLimit: limit("cpu") { $0.milliValue }, memory: limit("memory") { $0.value })
    }

    private init(milliRequest: Int, milliLimit: Int, memory: Int) {
        cpuShares = max(min(milliRequest, 1_000_000_000) * 1024 / 1000, 2)
        cpuShares = min(cpuShares, 262_144)
        cpuPeriod = 100_000
        cpuQuota = milliLimit > 0 ? max(min(milliLimit, 1_000_000_000) * 100, 1000) : 0
        self.memory = memory
    }

    private static func milliRequest(_ container: Container) -> Int {
        (container.resources.requests["cpu"] ?? container.resources.limits["cpu"])?.milliValue ?? 0
    }

    /// The sum over a pod's containers and sidecars, or what the hungriest init container has beside the sidecars that
    /// run by then, if that is more.
    private static func total(_ pod: Pod, _ amount: (Container) -> Int) -> Int {
        var sidecars = 0
        var most = 0
        for container in pod.spec.initContainers {
            let beside = sidecars + bounded(amount(container))
            most = max(most, beside)
            if container.isSidecar { sidecars = beside }
        }
        return max(most, pod.spec.containers.reduce(sidecars) { $0 + bounded(amount($1)) })
    }

    /// No machine has more, and sums of it do not overflow.
    private static func bounded(_ amount: Int) -> Int { min(max(amount, 0), 1 << 50) }
}
