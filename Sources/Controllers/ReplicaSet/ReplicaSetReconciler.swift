import KubernetesAPI

/// What is to be done about a ReplicaSet.
package enum ReplicaSetAction: Sendable, Equatable {
    case createPods(Int)
    /// Pods to delete, the least missed first.
    case deletePods([Pod])
    /// A ready pod counts as available although no proxy has confirmed it in the time that it had for it.
    case reportUnconfirmed(Pod)
    case updateStatus(ReplicaSetStatus)
    /// Look again after so many seconds: `minReadySeconds` runs for a pod.
    case wake(afterSeconds: Int)
}

/// Decides how many pods a ReplicaSet lacks or which it has too many of, and what its status says.
package enum ReplicaSetReconciler {
    /// How long a pod that is ready waits for the proxies before it counts as available without them, in
    /// seconds: nothing may hang on a proxy that does not answer.
    package static let confirmationLimit = 10

    /// - Parameters:
    ///   - pods: the pods that the ReplicaSet controls, terminating ones included.
    ///   - siblings: for each node, how many active pods the ReplicaSets of the same owner run there.
    ///   - isReached: whether the proxies send new connections to a ready pod.
    package static func reconcile(
        _ set: ReplicaSet, pods: [Pod], siblings: [String: Int], failure: ReplicaSetFailure?, now: Time,
        isReached: (Pod) -> Bool = { _ in true }
    ) -> [ReplicaSetAction] {
        let active = pods.filter(\.isActive)
        var actions: [ReplicaSetAction] = []
        let desired = set.spec.replicas ?? 1
        if set.metadata.deletionTimestamp == nil {
            if active.count < desired {
                actions.append(.createPods(desired - active.count))
            } else if active.count > desired {
                let victims = VictimOrder(siblings: siblings, now: now).sorted(active)
                actions.append(.deletePods(Array(victims.prefix(active.count - desired))))
            }
        }
        let waiting = active.filter { $0.isReady && !isReached($0) }
        let late = waiting.filter { ($0.readySince?.seconds ?? 0) + confirmationLimit <= now.seconds }
        let unreached = Set(waiting.map(\.metadata.uid)).subtracting(late.map(\.metadata.uid))
        // Told for a moment: whoever looks later finds the event.
        for pod in late where (pod.readySince?.seconds ?? 0) + 2 * confirmationLimit > now.seconds {
            actions.append(.reportUnconfirmed(pod))
        }
        let status = status(of: set, pods: pods, unreached: unreached, failure: failure, now: now)
        if status != set.status { actions.append(.updateStatus(status)) }
        if let seconds = secondsToNextAvailable(set, active: active, unreached: unreached, now: now) {
            actions.append(.wake(afterSeconds: seconds))
        }
        return actions
    }

    private static func status(
        of set: ReplicaSet, pods: [Pod], unreached: Set<String>, failure: ReplicaSetFailure?, now: Time
    ) -> ReplicaSetStatus {
        let active = pods.filter(\.isActive)
        var status = set.status
        status.observedGeneration = set.metadata.generation
        status.replicas = active.count
        let templateLabels = set.spec.template.metadata.labels
        status.fullyLabeledReplicas =
            active.count { pod in
                templateLabels.allSatisfy { pod.metadata.labels[$0.key] == $0.value }
            }
        status.readyReplicas = active.count(where: \.isReady)
        status.availableReplicas = active.count {
            $0.isAvailable(minReadySeconds: set.spec.minReadySeconds, now: now)
                && !unreached.contains($0.metadata.uid)
        }
        status.terminatingReplicas = pods.count { $0.isTerminating && !$0.isFinished }
        guard let failure else {
            status.conditions.removeAll { $0.type == "ReplicaFailure" }
            return status
        }
        // As long as it fails, the first failure is told.
        if !status.conditions.contains(where: { $0.type == "ReplicaFailure" }) {
            var condition = ReplicaSetCondition()
            condition.type = "ReplicaFailure"
            condition.status = "True"
            condition.reason = failure.reason
            condition.message = failure.message
            condition.lastTransitionTime = now
            status.conditions.append(condition)
        }
        return status
    }

    private static func secondsToNextAvailable(
        _ set: ReplicaSet, active: [Pod], unreached: Set<String>, now: Time
    ) -> Int? {
        active.compactMap { pod -> Int? in
            guard let since = pod.readySince else { return nil }
            let limit = unreached.contains(pod.metadata.uid) ? confirmationLimit : 0
            let left = since.seconds + max(set.spec.minReadySeconds, limit) - now.seconds
            return left > 0 ? left : nil
        }.min()
    }
}

/// Why the last attempt to create or delete pods failed; becomes the `ReplicaFailure` condition.
package struct ReplicaSetFailure: Sendable, Equatable {
    /// `FailedCreate` or `FailedDelete`.
    package var reason: String
    package var message: String

    package init(reason: String, message: String) {
        self.reason = reason
        self.message = message
    }
}

/// The order in which a ReplicaSet gives up pods: those that serve least come first.
package struct VictimOrder: Sendable {
    /// For each node, how many active pods related ReplicaSets run there: a crowded node gives first.
    package var siblings: [String: Int]
    package var now: Time

    package init(siblings: [String: Int], now: Time) {
        self.siblings = siblings
        self.now = now
    }

    /// The pods, the first to go first.
    package func sorted(_ pods: [Pod]) -> [Pod] {
        pods.sorted(by: goesBefore)
    }

    private func goesBefore(_ a: Pod, _ b: Pod) -> Bool {
        // Not placed before placed; Pending before Unknown before Running; not ready before ready.
        if a.spec.nodeName.isEmpty != b.spec.nodeName.isEmpty { return a.spec.nodeName.isEmpty }
        let (phaseA, phaseB) = (rank(a.status.phase), rank(b.status.phase))
        if phaseA != phaseB { return phaseA < phaseB }
        if a.isReady != b.isReady { return !a.isReady }
        // What the user says about it: controller.kubernetes.io/pod-deletion-cost.
        let (costA, costB) = (deletionCost(a), deletionCost(b))
        if costA != costB { return costA < costB }
        let (crowdA, crowdB) = (siblings[a.spec.nodeName] ?? 0, siblings[b.spec.nodeName] ?? 0)
        if crowdA != crowdB { return crowdA > crowdB }
        // Ready for a shorter time.
        if let isFirst = isYounger(a.readySince, b.readySince, a, b) { return isFirst }
        if a.restarts != b.restarts { return a.restarts > b.restarts }
        if a.sidecarRestarts != b.sidecarRestarts { return a.sidecarRestarts > b.sidecarRestarts }
        if let isFirst = isYounger(a.metadata.creationTimestamp, b.metadata.creationTimestamp, a, b) {
            return isFirst
        }
        return a.metadata.uid < b.metadata.uid
    }

    /// Nil when both times are the same. Ages are compared on a scale of powers of two; between those that are
    /// much the same age chance decides (by way of the uid), so that failures and restarts that came together do
    /// not hit the same ones again (KEP-2185).
    private func isYounger(_ timeA: Time?, _ timeB: Time?, _ a: Pod, _ b: Pod) -> Bool? {
        guard let timeA, let timeB, timeA != timeB else { return nil }
        let (rankA, rankB) = (ageRank(timeA), ageRank(timeB))
        return rankA == rankB ? a.metadata.uid < b.metadata.uid : rankA < rankB
    }

    private func rank(_ phase: String) -> Int {
        switch phase {
        case "Pending", "": return 0
        case "Unknown": return 1
        default: return 2
        }
    }

    private func deletionCost(_ pod: Pod) -> Int {
        pod.metadata.annotations["controller.kubernetes.io/pod-deletion-cost"].flatMap { Int($0) } ?? 0
    }

    private func ageRank(_ time: Time) -> Int {
        // In nanoseconds: that is where upstream's powers of two lie.
        let age = max(0, now.seconds - time.seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return age.overflow ? Int.bitWidth : Int.bitWidth - age.partialValue.leadingZeroBitCount
    }
}
