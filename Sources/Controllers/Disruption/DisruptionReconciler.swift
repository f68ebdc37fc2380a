import KubernetesAPI

/// Decides what a disruption budget's status says (policy/v1 PodDisruptionBudget). Pure.
package enum DisruptionReconciler {
    /// How long an eviction that was allowed keeps its pod from counting, while the pod does not go.
    static let patience = 120

    /// How many pods the controller of a pod wants.
    package enum Scale: Sendable, Hashable {
        /// `uid` tells controllers apart.
        case wanted(Int, uid: String)
        /// The pod has no controller: nobody wants it in any number.
        case none
        /// Nobody can tell; the message is upstream's.
        case unknown(String)
    }

    /// What follows from the state of the pods.
    package struct Outcome: Sendable, Hashable {
        package var status: PodDisruptionBudgetStatus
        /// Seconds after which to look again, when an eviction is to be given up.
        package var recheck: Int?
        /// Pods that were allowed to be evicted long ago and are still there.
        package var lingering: [String]
        /// Why the number of pods could not be found out.
        package var failure: String?
    }

    /// - Parameters:
    ///   - pods: those that the budget's selector selects.
    ///   - scale: what is wanted of a pod's kind.
    package static func reconcile(
        _ budget: PodDisruptionBudget, pods: [Pod], now: Time, scale: (Pod) -> Scale
    ) -> Outcome {
        var result = Outcome(status: budget.status, recheck: nil, lingering: [], failure: nil)
        var changed = budget
        let expectation: Expectation
        switch expected(budget, pods, scale) {
        case .success(let found): expectation = found
        case .failure(let failure):
            // What is not known allows nothing.
            changed.status.disruptionsAllowed = 0
            changed.setDisruptionAllowed(failure: failure.message, now: now)
            result.status = changed.status
            result.failure = failure.message
            return result
        }
        var disrupted: [String: Time] = [:]
        for pod in pods where !pod.isTerminating {
            guard let since = budget.status.disruptedPods[pod.metadata.name] else { continue }
            let left = since.seconds + patience - now.seconds
            if left < 0 {
                result.lingering.append(pod.metadata.name)
            } else {
                disrupted[pod.metadata.name] = since
                result.recheck = min(result.recheck ?? left, left)
            }
        }
        let healthy = pods.count { pod in
            !pod.isTerminating && pod.isReady && disrupted[pod.metadata.name] == nil
        }
        changed.status.currentHealthy = healthy
        changed.status.desiredHealthy = expectation.healthy
        changed.status.expectedPods = expectation.pods
        // A budget without pods allows nothing: its first pods may come before its status knows of them.
        changed.status.disruptionsAllowed =
            expectation.pods > 0 ? max(healthy - expectation.healthy, 0) : 0
        changed.status.disruptedPods = disrupted
        changed.status.observedGeneration = budget.metadata.generation
        changed.setDisruptionAllowed(now: now)
        result.status = changed.status
        return result
    }

    private struct Expectation {
        var pods: Int
        var healthy: Int
    }

    private struct Unknown: Error {
        var message: String
    }

    private static func expected(
        _ budget: PodDisruptionBudget, _ pods: [Pod], _ scale: (Pod) -> Scale
    ) -> Result<Expectation, Unknown> {
        if let most = budget.spec.maxUnavailable {
            return total(pods, scale).map { count in
                Expectation(pods: count, healthy: max(count - share(most, of: count), 0))
            }
        }
        switch budget.spec.minAvailable {
        case .int(let least)?: return .success(Expectation(pods: pods.count, healthy: least))
        case let least?:
            return total(pods, scale).map { Expectation(pods: $0, healthy: share(least, of: $0)) }
        case nil: return .success(Expectation(pods: 0, healthy: 0))
        }
    }

    /// The pods that their controllers want together, each controller counted once.
    private static func total(_ pods: [Pod], _ scale: (Pod) -> Scale) -> Result<Int, Unknown> {
        var counted: Set<String> = []
        var sum = 0
        for pod in pods {
            switch scale(pod) {
            case .none: continue
            case .unknown(let message): return .failure(Unknown(message: message))
            case .wanted(let count, let uid):
                if counted.insert(uid).inserted { sum += count }
            }
        }
        return .success(sum)
    }

    /// A number, or a percentage rounded up.
    private static func share(_ value: IntOrString, of total: Int) -> Int {
        switch value {
        case .int(let count): count
        case .string(let text):
            text.hasSuffix("%") ? ((Int(text.dropLast()) ?? 0) * total + 99) / 100 : 0
        }
    }
}
