import KubernetesAPI

/// A Deployment's status as its ReplicaSets make it: counts, and the conditions that
/// `kubectl rollout status` waits for.
struct RolloutProgress: Sendable {
    /// The status to be written.
    private(set) var status: DeploymentStatus
    /// Seconds until `progressDeadlineSeconds` would strike if nothing moves; nil when none runs.
    private(set) var secondsToDeadline: Int?

    private let deployment: Deployment
    private let now: Time

    /// - Parameters:
    ///   - current: the ReplicaSet of the present template, once it exists.
    ///   - created: the ReplicaSet that is being created in this very step.
    ///   - isRollingOut: false for a step that only looks at sizes; progress is not judged then.
    init(
        deployment: Deployment, current: ReplicaSet?, old: [ReplicaSet], created: ReplicaSet?,
        isRollingOut: Bool, maxUnavailable: Int, now: Time
    ) {
        self.deployment = deployment
        self.now = now
        status = deployment.status
        count(current: current, all: (current.map { [$0] } ?? []) + old)
        let desired = deployment.spec.replicas ?? 1
        if status.availableReplicas >= desired - maxUnavailable {
            set("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            set(
                "Available", "False", "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.")
        }
        reportPause()
        if hasDeadline, progressing == nil, let current {
            set(
                "Progressing", "True", "FoundNewReplicaSet",
                "Found new replica set \"\(current.metadata.name)\"")
        }
        guard isRollingOut else { return }
        reportProgress(current: current, created: created)
        reportFailure((current.map { [$0] } ?? []) + old)
    }

    /// The status of a Deployment whose new ReplicaSet the server refused.
    static func refused(_ deployment: Deployment, _ message: String, now: Time) -> DeploymentStatus {
        var progress = RolloutProgress(deployment: deployment, now: now)
        if progress.hasDeadline {
            progress.set("Progressing", "False", "ReplicaSetCreateError", message)
        }
        return progress.status
    }

    private init(deployment: Deployment, now: Time) {
        self.deployment = deployment
        self.now = now
        status = deployment.status
    }

    private var hasDeadline: Bool {
        deployment.spec.progressDeadlineSeconds.map { $0 < Int(Int32.max) } ?? false
    }

    /// A pause says so, and its end too: so no time that passes in between counts towards the deadline. What has
    /// run into the deadline before goes on telling that.
    private mutating func reportPause() {
        guard hasDeadline, deployment.metadata.deletionTimestamp == nil,
            progressing?.reason != "ProgressDeadlineExceeded"
        else { return }
        let wasPaused = progressing?.reason == "DeploymentPaused"
        if deployment.spec.paused, !wasPaused {
            set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        } else if !deployment.spec.paused, wasPaused {
            set("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
        }
    }

    private mutating func count(current: ReplicaSet?, all: [ReplicaSet]) {
        status.observedGeneration = deployment.metadata.generation
        status.replicas = all.reduce(0) { $0 + $1.status.replicas }
        status.updatedReplicas = current?.status.replicas ?? 0
        status.readyReplicas = all.reduce(0) { $0 + $1.status.readyReplicas }
        status.availableReplicas = all.reduce(0) { $0 + $1.status.availableReplicas }
        let wanted = all.reduce(0) { $0 + ($1.spec.replicas ?? 0) }
        status.unavailableReplicas = max(0, wanted - status.availableReplicas)
        // Known only once all of them tell.
        let terminating = all.map(\.status.terminatingReplicas)
        status.terminatingReplicas =
            terminating.contains(nil) ? nil : terminating.reduce(0) { $0 + ($1 ?? 0) }
    }

    private mutating func reportProgress(current: ReplicaSet?, created: ReplicaSet?) {
        guard hasDeadline, let deadline = deployment.spec.progressDeadlineSeconds else {
            status.conditions.removeAll { $0.type == "Progressing" }
            return
        }
        if let created {
            set(
                "Progressing", "True", "NewReplicaSetCreated",
                "Created new replica set \"\(created.metadata.name)\"")
            secondsToDeadline = deadline
            return
        }
        guard let current else { return }
        let name = current.metadata.name
        if progressing?.reason == "NewReplicaSetAvailable", status.replicas == status.updatedReplicas {
            if progressing?.message != "ReplicaSet \"\(name)\" has successfully progressed." {
                touch("NewReplicaSetAvailable", "ReplicaSet \"\(name)\" has successfully progressed.")
            }
            return
        }
        if isComplete {
            touch("NewReplicaSetAvailable", "ReplicaSet \"\(name)\" has successfully progressed.")
        } else if hasMoved || progressing?.reason == "NewReplicaSetAvailable" {
            // A rollout that leaves a completed one behind starts its deadline anew.
            touch("ReplicaSetUpdated", "ReplicaSet \"\(name)\" is progressing.")
            secondsToDeadline = deadline
        } else if let since = progressing?.lastUpdateTime, progressing?.reason != "ProgressDeadlineExceeded" {
            let left = since.seconds + deadline - now.seconds
            if left <= 0 {
                set(
                    "Progressing", "False", "ProgressDeadlineExceeded",
                    "ReplicaSet \"\(name)\" has timed out progressing.")
            } else {
                secondsToDeadline = left + 1
            }
        }
    }

    /// Every replica is of the present template and available, and nothing of another is left.
    private var isComplete: Bool {
        let desired = deployment.spec.replicas ?? 1
        return status.updatedReplicas == desired && status.replicas == desired
            && status.availableReplicas == desired
    }

    /// Whether the counts came closer to the goal since the status was last written.
    private var hasMoved: Bool {
        let before = deployment.status
        return status.updatedReplicas > before.updatedReplicas
            || status.replicas - status.updatedReplicas < before.replicas - before.updatedReplicas
            || status.readyReplicas > before.readyReplicas
            || status.availableReplicas > before.availableReplicas
    }

    private mutating func reportFailure(_ sets: [ReplicaSet]) {
        let failure = sets.lazy.compactMap { set in
            set.status.conditions.first { $0.type == "ReplicaFailure" && $0.status == "True" }
        }.first
        if let failure {
            set(
                "ReplicaFailure", failure.status, failure.reason, failure.message,
                at: failure.lastTransitionTime)
        } else {
            status.conditions.removeAll { $0.type == "ReplicaFailure" }
        }
    }

    private var progressing: DeploymentCondition? {
        status.conditions.first { $0.type == "Progressing" }
    }

    /// Sets `Progressing` to true and its update time to now, even if nothing else changes: progress
    /// moves the deadline.
    private mutating func touch(_ reason: String, _ message: String) {
        let before = progressing
        status.conditions.removeAll { $0.type == "Progressing" }
        var condition = make("Progressing", "True", reason, message)
        if before?.status == "True" { condition.lastTransitionTime = before?.lastTransitionTime }
        status.conditions.append(condition)
    }

    /// Sets a condition unless it already says so; its transition time moves only with its status.
    private mutating func set(
        _ type: String, _ value: String, _ reason: String, _ message: String, at time: Time? = nil
    ) {
        let before = status.conditions.first { $0.type == type }
        if let before, before.status == value, before.reason == reason { return }
        var condition = make(type, value, reason, message)
        if let time { (condition.lastUpdateTime, condition.lastTransitionTime) = (time, time) }
        if let before, before.status == value {
            condition.lastTransitionTime = before.lastTransitionTime
        }
        status.conditions.removeAll { $0.type == type }
        status.conditions.append(condition)
    }

    private func make(
        _ type: String, _ value: String, _ reason: String, _ message: String
    ) -> DeploymentCondition {
        var condition = DeploymentCondition()
        condition.type = type
        condition.status = value
        condition.reason = reason
        condition.message = message
        condition.lastUpdateTime = now
        condition.lastTransitionTime = now
        return condition
    }
}
