import KubernetesAPI

/// Decides about a range of Service addresses (KEP-1880): it is ready as long as it is wanted, and it goes only
/// when no Service has an address from it that no other range holds.
package enum ServiceCIDRReconciler {
    package static let finalizer = "networking.k8s.io/service-cidr-finalizer"
    /// How long after its deletion a range stays at least, in seconds: requests that were under way when it was
    /// deleted may still write a Service with an address from it.
    package static let grace = 10

    package enum Action: Sendable, Equatable {
        /// Write the object with this finalizer list.
        case setFinalizers([String])
        /// Write the status with this condition.
        case setCondition(Condition)
        /// Look again after so many seconds.
        case lookAgain(after: Int)
    }

    /// - Parameters:
    ///   - all: every ServiceCIDR, this one included.
    ///   - addresses: every IPAddress that the allocator keeps.
    package static func reconcile(
        _ range: ServiceCIDR, all: [ServiceCIDR], addresses: [IPAddress], now: Time
    ) -> [Action] {
        guard let deletion = range.metadata.deletionTimestamp else {
            return ready(range, now)
        }
        guard range.metadata.finalizers.contains(finalizer) else { return [] }
        guard isDispensable(range, all, addresses) else {
            let condition = Condition(
                type: "Ready", status: "False", lastTransitionTime: now, reason: "Terminating",
                message: "There are still IPAddresses referencing the ServiceCIDR, please remove them or "
                    + "create a new ServiceCIDR")
            return isSet(condition, in: range) ? [] : [.setCondition(condition)]
        }
        let left = grace - (now.seconds - deletion.seconds)
        guard left <= 0 else { return [.lookAgain(after: left)] }
        return [.setFinalizers(range.metadata.finalizers.filter { $0 != finalizer })]
    }

    private static func ready(_ range: ServiceCIDR, _ now: Time) -> [Action] {
        guard range.metadata.finalizers.contains(finalizer) else {
            return [.setFinalizers(range.metadata.finalizers + [finalizer])]
        }
        guard !range.status.conditions.contains(where: { $0.type == "Ready" && $0.status == "True" }) else {
            return []
        }
        return [
            .setCondition(
                Condition(
                    type: "Ready", status: "True", lastTransitionTime: now,
                    message: "Kubernetes Service CIDR is ready"))
        ]
    }

    private static func isSet(_ condition: Condition, in range: ServiceCIDR) -> Bool {
        range.status.conditions.contains {
            $0.type == condition.type && $0.status == condition.status && $0.reason == condition.reason
        }
    }

    /// Whether every address in use is also in another range, one that stays.
    private static func isDispensable(
        _ range: ServiceCIDR, _ all: [ServiceCIDR], _ addresses: [IPAddress]
    ) -> Bool {
        let mine = range.spec.cidrs.compactMap { AddressPrefix(range: $0) }
        let others = all.filter {
            $0.metadata.uid != range.metadata.uid && $0.metadata.deletionTimestamp == nil
        }.flatMap(\.spec.cidrs).compactMap { AddressPrefix(range: $0) }
        if mine.allSatisfy({ prefix in others.contains { $0.contains(prefix) } }) { return true }
        return !addresses.contains { object in
            guard let address = AddressPrefix(address: object.metadata.name) else { return false }
            return mine.contains { $0.contains(address) } && !others.contains { $0.contains(address) }
        }
    }
}
