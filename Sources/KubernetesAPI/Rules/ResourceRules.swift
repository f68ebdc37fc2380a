/// What may be asked for and how much of it.
enum ResourceRules {
    private static let standard: Set<String> = [
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.ephemeral-storage",
        "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services",
        "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims", "storage",
        "requests.storage", "services.nodeports", "services.loadbalancers",
    ]
    private static let container: Set<String> = ["cpu", "memory", "ephemeral-storage"]
    private static let whole: Set<String> = [
        "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
    ]

    static func isHugePages(_ name: String) -> Bool { name.hasPrefix("hugepages-") }
    private static func isNative(_ name: String) -> Bool {
        !name.contains("/") || name.contains("kubernetes.io/")
    }

    static func isExtended(_ name: String) -> Bool {
        !isNative(name) && !name.hasPrefix("requests.") && NameRules.qualified("requests." + name).isEmpty
    }

    /// Whether the sum of limits may exceed what a node has; other resources need request and limit to be equal.
    static func isOvercommittable(_ name: String) -> Bool { isNative(name) && !isHugePages(name) }

    static func containerName(_ path: RulePath, _ name: String) -> [FieldError] {
        var errors: [FieldError] = []
        errors.require(NameRules.qualified, path, name)
        if errors.isEmpty, !name.contains("/"), !standard.contains(name), !isHugePages(name) {
            errors.invalid(path, name, "must be a standard resource type or fully qualified")
        }
        if !name.contains("/") {
            if !container.contains(name), !isHugePages(name) {
                errors.invalid(path, name, "must be a standard resource for containers")
            }
        } else if !isNative(name), !isExtended(name) {
            errors.invalid(path, name, "doesn't follow extended resource name standard")
        }
        return errors
    }

    /// A resource that anything may be bounded in.
    static func name(_ path: RulePath, _ name: String) -> [FieldError] {
        var errors: [FieldError] = []
        errors.require(NameRules.qualified, path, name)
        if errors.isEmpty, !name.contains("/"), !standard.contains(name), !isHugePages(name),
            !name.hasPrefix("requests.hugepages-")
        {
            errors.invalid(path, name, "must be a standard resource type or fully qualified")
        }
        return errors
    }

    /// Whether quotas know a resource by this name, beside those with a domain or counted by `count/`.
    static func isStandardQuota(_ name: String) -> Bool {
        name != "storage" && standard.contains(name) || isHugePages(name)
            || name.hasPrefix("requests.hugepages-")
    }

    /// A resource that a quota may bound.
    static func quotaName(_ path: RulePath, _ name: String) -> [FieldError] {
        var errors = Self.name(path, name)
        if !name.contains("/"), !isStandardQuota(name) {
            errors.invalid(path, name, "must be a standard resource for quota")
        }
        return errors
    }

    private static func podName(_ path: RulePath, _ name: String) -> [FieldError] {
        var errors: [FieldError] = []
        if !isHugePages(name) { errors.requireOneOf(path, name, ["cpu", "memory"]) }
        return errors
    }

    /// An amount of a resource: not negative, and whole where parts make no sense.
    static func amount(_ path: RulePath, _ name: String, _ amount: Quantity) -> [FieldError] {
        var errors: [FieldError] = []
        if amount.isNegative {
            errors.invalid(path, amount.description, "must be greater than or equal to 0")
        }
        if whole.contains(name) || isExtended(name), amount.milliValue % 1000 != 0 {
            errors.invalid(path, shown: amount.description, "must be an integer")
        }
        return errors
    }

    /// Requests, limits and claims of a container (or, `forPod`, of a pod as a whole).
    static func requirements(
        _ path: RulePath, _ requirements: ResourceRequirements, claims: [PodResourceClaim] = [],
        forPod: Bool = false
    ) -> [FieldError] {
        let limits = requirements.limits
        let requests = requirements.requests
        if limits.isEmpty, requests.isEmpty, requirements.claims.isEmpty { return [] }
        var errors: [FieldError] = []
        let checkName = forPod ? podName : containerName
        for (name, limit) in limits.sorted(by: { $0.key < $1.key }) {
            let path = path.child("limits").key(name)
            errors += checkName(path, name) + amount(path, name, limit) + hugePages(path, name, limit)
        }
        for (name, request) in requests.sorted(by: { $0.key < $1.key }) {
            let key = path.child("requests").key(name)
            errors += checkName(key, name) + amount(key, name, request)
            if let limit = limits[name] {
                if !isOvercommittable(name), request != limit {
                    errors.invalid(
                        path.child("requests"), request.description,
                        "must be equal to \(name) limit of \(limit)")
                } else if request > limit {
                    errors.invalid(
                        path.child("requests"), request.description,
                        "must be less than or equal to \(name) limit of \(limit)")
                }
            } else if !isOvercommittable(name) {
                errors.required(path.child("limits"), "Limit must be set for non overcommitable resources")
            }
            errors += hugePages(key, name, request)
        }
        let names = Set(limits.keys).union(requests.keys)
        if names.contains(where: isHugePages), names.isDisjoint(with: ["cpu", "memory"]) {
            errors.forbidden(path, "HugePages require cpu or memory")
        }
        return errors + claimUses(path.child("claims"), requirements.claims, claims.map(\.name))
    }

    /// Huge pages come in multiples of the page's size, which is the end of their name.
    private static func hugePages(_ path: RulePath, _ name: String, _ amount: Quantity) -> [FieldError] {
        guard isHugePages(name),
            let size = try? Quantity(parsing: String(name.dropFirst("hugepages-".count))),
            size.value > 0, amount.value % size.value != 0
        else { return [] }
        return [
            .invalid(
                path.text, .string(amount.description),
                "\(amount) is not positive integer multiple of \(name)")
        ]
    }

    private static func claimUses(_ path: RulePath, _ uses: [ResourceClaim], _ claims: [String])
        -> [FieldError]
    {
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for (index, use) in uses.enumerated() {
            let path = path.index(index)
            if use.name.isEmpty {
                errors.required(path)
                continue
            }
            let key = use.request.isEmpty ? use.name : "\(use.name)/\(use.request)"
            if !use.request.isEmpty { errors.require(NameRules.label, path.child("request"), use.request) }
            if seen.contains(use.name) || seen.contains(key) {
                errors.duplicate(path, seen.contains(use.name) ? use.name : key)
            } else if use.request.isEmpty, seen.contains(where: { $0.hasPrefix(use.name + "/") }) {
                errors.duplicate(path, use.name)
            }
            seen.insert(key)
            if !claims.contains(use.name) {
                let list = claims.isEmpty ? " which is empty" : ": \(claims.sorted().joined(separator: ", "))"
                errors.append(
                    FieldError(
                        type: .notFound, field: path.text, badValue: .string(use.name),
                        detail: "must be one of the names in pod.spec.resourceClaims" + list))
            }
        }
        return errors
    }
}
