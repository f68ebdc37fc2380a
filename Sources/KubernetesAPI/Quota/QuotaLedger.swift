/// The quotas of a namespace, and what changes of objects do to them.
public struct QuotaLedger: Sendable {
    /// Why a change is refused; the words are upstream's.
    public struct Refusal: Error, Sendable, Hashable {
        public var message: String

        public init(message: String) { self.message = message }
    }

    /// The quotas with their status as far as it is known.
    public private(set) var quotas: [ResourceQuota]
    private let now: Time

    public init(_ quotas: [ResourceQuota], now: Time) {
        self.quotas = quotas
        self.now = now
    }

    /// Books a change: usage goes up by what the new object uses and down by what the old one did.
    ///
    /// - Parameter enforces: whether the ceilings hold for the change. Some changes just happen: a pod that
    ///   ends, an object that is deleted.
    /// - Returns: the quotas whose status changes.
    public func booking<Object: KubernetesObject>(
        new: Object?, old: Object?, enforces: Bool
    ) throws(Refusal) -> [ResourceQuota] {
        var changed: [ResourceQuota] = []
        for quota in quotas {
            let ceilings = quota.spec.hard
            var delta: [String: Quantity] = [:]
            if let new, quota.counts(new) {
                let usage = QuotaUsage.usage(of: new, now: now)
                if enforces, let pod = new as? Pod,
                    let missing = QuotaUsage.missing(in: pod, for: ceilings.keys)
                {
                    throw Refusal(
                        message: "failed quota: \(quota.metadata.name): must specify \(missing)")
                }
                delta.add(usage)
            }
            if let old, quota.counts(old) { delta.subtract(QuotaUsage.usage(of: old, now: now)) }
            delta = delta.filter { ceilings[$0.key] != nil && !$0.value.isZero }
            guard !delta.isEmpty else { continue }
            var next = quota
            next.status.used.add(delta)
            if enforces { try Self.check(next, before: quota, delta) }
            for (name, amount) in next.status.used where amount.isNegative {
                next.status.used[name] = Quantity()
            }
            changed.append(next)
        }
        return changed
    }

    private static func check(
        _ next: ResourceQuota, before: ResourceQuota, _ delta: [String: Quantity]
    ) throws(Refusal) {
        let exceeded = delta.filter { name, amount in
            guard let hard = next.spec.hard[name] else { return false }
            return amount > Quantity() && (next.status.used[name] ?? Quantity()) > hard
        }
        guard !exceeded.isEmpty else { return }
        let used = exceeded.mapValues { _ in Quantity() }
            .merging(before.status.used.filter { exceeded[$0.key] != nil }) { $1 }
        let hard = next.spec.hard.filter { exceeded[$0.key] != nil }
        throw Refusal(
            message: "exceeded quota: \(next.metadata.name), requested: \(exceeded.shown), "
                + "used: \(used.shown), limited: \(hard.shown)")
    }
}

extension ResourceQuota {
    /// Whether the status tells of every ceiling, and of no other.
    public var isCounted: Bool {
        status.hard == spec.hard && Set(status.used.keys) == Set(spec.hard.keys)
    }

    /// Sets the status by counting from the start.
    ///
    /// - Parameters:
    ///   - contents: the pods, services and claims of the namespace.
    ///   - count: how many objects there are of a resource (`configmaps`, `deployments.apps`).
    public mutating func recount(_ contents: QuotaContents, count: (String) -> Int, now: Time) {
        var used = spec.hard.mapValues { Quantity(0, format: $0.format) }
        for pod in contents.pods { used.add(share(of: pod, now)) }
        for service in contents.services { used.add(share(of: service, now)) }
        for claim in contents.claims { used.add(share(of: claim, now)) }
        if spec.scopes.isEmpty, spec.scopeSelector == nil {
            for name in spec.hard.keys {
                guard let resource = Self.countedResource(name) else { continue }
                used[name] = Quantity(count(resource))
            }
        }
        status.hard = spec.hard
        status.used = used
    }

    /// What one object uses of that which has a ceiling.
    private func share(of object: some KubernetesObject, _ now: Time) -> [String: Quantity] {
        guard counts(object) else { return [:] }
        return QuotaUsage.usage(of: object, now: now).filter { spec.hard[$0.key] != nil }
    }

    /// The resource that a ceiling counts, for those that are no more than counted.
    static func countedResource(_ name: String) -> String? {
        let resource = name.hasPrefix("count/") ? String(name.dropFirst(6)) : name
        if ["pods", "services", "persistentvolumeclaims"].contains(resource) { return nil }
        if name.hasPrefix("count/") { return resource }
        return ["configmaps", "replicationcontrollers", "resourcequotas", "secrets"].contains(name)
            ? name : nil
    }

    /// The resources that have to be counted for the ceilings, beside pods, services and claims.
    public var countedResources: Set<String> { Set(spec.hard.keys.compactMap(Self.countedResource)) }
}

/// The objects of a namespace whose contents quotas look at.
public struct QuotaContents: Sendable {
    public var pods: [Pod]
    public var services: [Service]
    public var claims: [PersistentVolumeClaim]

    public init(pods: [Pod] = [], services: [Service] = [], claims: [PersistentVolumeClaim] = []) {
        self.pods = pods
        self.services = services
        self.claims = claims
    }
}
