import KubernetesAPI

/// What is to be done about a ReplicaSet.
package enum ReplicaSetAction: Sendable, Equatable {
    case createPods(Int)
    /// Pods to delete, the least missed first.
    case deletePods([Pod])
    case updateStatus(ReplicaSetStatus)
    /// Look again after so many seconds: `minReadySeconds` runs for a pod.
    case wake(afterSeconds: Int)
}

/// Decides how many pods a ReplicaSet lacks or which it has too many of, and what its status says.
package enum ReplicaSetReconciler {
    /// - Parameters:
    ///   - pods: the pods that the ReplicaSet controls, terminating ones included.
    ///   - siblings: for each node, how many active pods the ReplicaSets of the same owner run there.
    package static func reconcile(
        _ set: ReplicaSet, pods: [Pod], siblings: [String: Int], failure: ReplicaSetFailure?, now: Time
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
        let status = status(of: set, pods: pods, failure: failure, now: now)
        if status != set.status { actions.append(.updateStatus(status)) }
        if let seconds = secondsToNextAvailable(set, active: active, now: now) {
            actions.append(.wake(afterSeconds: seconds))
        }
        return actions
    }

    private static func status(
        of set: ReplicaSet, pods: [Pod], failure: ReplicaSetFailure?, now: Time
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
        }
        status.conditions.removeAll { $0.type == "ReplicaFailure" }
        if let failure {
            var condition = ReplicaSetCondition()
            condition.type = "ReplicaFailure"
            condition.status = "True"
            condition.reason = failure.reason
            condition.message = failure.message
            let before = set.status.conditions.first { $0.type == "ReplicaFailure" }
            condition.lastTransitionTime = before?.lastTransitionTime ?? now
            status.conditions.append(condition)
        }
        return status
    }

    private static func secondsToNextAvailable(_ set: ReplicaSet, active: [Pod], now: Time) -> Int? {
        let minimum = set.spec.minReadySeconds
        guard minimum > 0 else { return nil }
        return active.compactMap { pod -> Int? in
            guard let since = pod.readySince else { return nil }
            let left = since.seconds + minimum - now.seconds
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
        // Ready for a shorter time, on a scale of powers of two so that small differences do not count.
        if let readyA = a.readySince, let readyB = b.readySince {
            let (ageA, ageB) = (ageRank(readyA), ageRank(readyB))
            if ageA != ageB { return ageA < ageB }
        }
        if a.restarts != b.restarts { return a.restarts > b.restarts }
        if let createdA = a.metadata.creationTimestamp, let createdB = b.metadata.creationTimestamp {
            let (ageA, ageB) = (ageRank(createdA), ageRank(createdB))
            if ageA != ageB { return ageA < ageB }
        }
        return a.metadata.uid < b.metadata.uid
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
        let seconds = max(0, now.seconds - time.seconds)
        return Int.bitWidth - seconds.leadingZeroBitCount
    }
}
