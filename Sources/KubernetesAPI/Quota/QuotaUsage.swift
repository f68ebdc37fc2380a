/// What objects count for in quotas.
public enum QuotaUsage {
    /// Resources that a quota once made every container name (and still does).
    private static let mustBeNamed: Set<String> = [
        "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory",
    ]
    private static let classSuffix = ".storageclass.storage.k8s.io/"
    /// Kinds that can be counted under their plain name too.
    private static let plainlyCounted: Set<String> = [
        "configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets",
        "services",
    ]

    /// The name under which a quota counts all objects of a resource, whatever their state.
    public static func countName(_ groupResource: String) -> String { "count/\(groupResource)" }

    /// What one object uses, by the names that quotas know.
    public static func usage(of object: some KubernetesObject, now: Time) -> [String: Quantity] {
        var usage = Self.usage(ofEach: type(of: object).resource.groupResource)
        switch object {
        case let pod as Pod:
            usage["pods"] = nil
            // A pod that has ended holds nothing any more, but it is still there.
            if isRunning(pod, now) { usage.add(compute(pod.spec)) }
        case let service as Service: usage.add(ports(service.spec))
        case let claim as PersistentVolumeClaim: usage.add(storage(claim))
        default: break
        }
        return usage
    }

    /// What every object of a resource counts for, beside what is in it.
    public static func usage(ofEach groupResource: String) -> [String: Quantity] {
        var usage = [countName(groupResource): Quantity(1)]
        if plainlyCounted.contains(groupResource) { usage[groupResource] = Quantity(1) }
        return usage
    }

    // MARK: Pods

    private static func isRunning(_ pod: Pod, _ now: Time) -> Bool {
        if pod.status.phase == "Failed" || pod.status.phase == "Succeeded" { return false }
        // The time of deletion includes the grace period; a node that is gone must not hold quota for ever.
        if let end = pod.metadata.deletionTimestamp, let grace = pod.metadata.deletionGracePeriodSeconds {
            return now.seconds <= end.seconds + grace
        }
        return true
    }

    private static func compute(_ spec: PodSpec) -> [String: Quantity] {
        compute(requests: spec.totalWithOverhead(\.requests), limits: spec.totalWithOverhead(\.limits))
            .merging(["pods": Quantity(1)]) { $1 }
    }

    private static func compute(
        requests: [String: Quantity], limits: [String: Quantity]
    ) -> [String: Quantity] {
        var usage: [String: Quantity] = [:]
        for (name, request) in requests {
            if ["cpu", "memory", "ephemeral-storage"].contains(name) || ResourceRules.isHugePages(name) {
                usage[name] = request
                usage["requests.\(name)"] = request
            } else if ResourceRules.isExtended(name) {
                usage["requests.\(name)"] = request
            }
        }
        for name in ["cpu", "memory", "ephemeral-storage"] {
            if let limit = limits[name] { usage["limits.\(name)"] = limit }
        }
        return usage
    }

    /// What a quota's ceilings make the containers of a new pod say and they do not: `limits.cpu for: a,b; …`;
    /// nil when nothing is missing.
    public static func missing(in pod: Pod, for ceilings: some Sequence<String>) -> String? {
        let wanted = mustBeNamed.intersection(ceilings)
        var missing: [String: Set<String>] = [:]
        for container in pod.spec.containers + pod.spec.initContainers {
            let named = compute(
                requests: container.resources.requests, limits: container.resources.limits)
            for name in wanted where named[name] == nil { missing[name, default: []].insert(container.name) }
        }
        if missing.isEmpty { return nil }
        return missing.sorted { $0.key < $1.key }
            .map { "\($0.key) for: \($0.value.sorted().joined(separator: ","))" }.joined(separator: "; ")
    }

    // MARK: Services and claims

    private static func ports(_ spec: ServiceSpec) -> [String: Quantity] {
        var nodePorts = 0
        if spec.type == "NodePort" { nodePorts = spec.ports.count }
        if spec.type == "LoadBalancer" {
            nodePorts =
                spec.allocateLoadBalancerNodePorts == false
                ? spec.ports.filter { $0.nodePort != 0 }.count : spec.ports.count
        }
        return [
            "services.nodeports": Quantity(nodePorts),
            "services.loadbalancers": Quantity(spec.type == "LoadBalancer" ? 1 : 0),
        ]
    }

    private static func storage(_ claim: PersistentVolumeClaim) -> [String: Quantity] {
        let name =
            claim.metadata.annotations["volume.beta.kubernetes.io/storage-class"]
            ?? claim.spec.storageClassName ?? ""
        var usage: [String: Quantity] = [:]
        if !name.isEmpty { usage["\(name)\(classSuffix)persistentvolumeclaims"] = Quantity(1) }
        guard var size = claim.spec.resources.requests["storage"] else { return usage }
        if let allocated = claim.status.allocatedResources["storage"] { size = max(size, allocated) }
        usage["requests.storage"] = size
        if !name.isEmpty { usage["\(name)\(classSuffix)requests.storage"] = size }
        return usage
    }
}
