import KubernetesAPI

/// What is to be done about a Deployment.
package enum DeploymentAction: Sendable, Equatable {
    case createReplicaSet(ReplicaSet)
    /// Annotations or `minReadySeconds` of a ReplicaSet are to be as given; its size stays.
    case updateReplicaSet(ReplicaSet)
    /// Size and sizing annotations are to be as given; the event tells of the change from `from`.
    case scale(ReplicaSet, from: Int)
    case deleteReplicaSet(ReplicaSet)
    /// The Deployment's own revision annotation.
    case setRevision(String)
    case updateStatus(DeploymentStatus)
    /// The Deployment itself is to be as given, and people are told why.
    case rollBack(Rollback)
    /// Look again after so many seconds: a deadline runs.
    case wake(afterSeconds: Int)
}

/// Decides what a Deployment needs next, from the Deployment and its ReplicaSets alone.
///
/// It takes one step of a rollout at a time. Each step changes an object, the change comes back as an
/// event, and the next step is decided on what then is; nothing is remembered in between.
package struct DeploymentReconciler: Sendable {
    private let deployment: Deployment
    /// The ReplicaSets that the Deployment controls.
    private let replicaSets: [ReplicaSet]
    /// Whether pods of other templates still exist that have not finished (asked for by `Recreate`).
    private let oldPodsRunning: Bool
    private let now: Time

    private let desired: Int
    private let bounds: RolloutBounds
    private var actions: [DeploymentAction] = []

    private init(deployment: Deployment, replicaSets: [ReplicaSet], oldPodsRunning: Bool, now: Time) {
        self.deployment = deployment
        self.replicaSets = replicaSets
        self.oldPodsRunning = oldPodsRunning
        self.now = now
        desired = deployment.spec.replicas ?? 1
        bounds = RolloutBounds(of: deployment)
    }

    /// The actions for this moment, in the order in which to perform them.
    package static func reconcile(
        deployment: Deployment, replicaSets: [ReplicaSet], oldPodsRunning: Bool, now: Time
    ) -> [DeploymentAction] {
        var reconciler = DeploymentReconciler(
            deployment: deployment, replicaSets: replicaSets, oldPodsRunning: oldPodsRunning, now: now)
        reconciler.decide()
        return reconciler.actions
    }

    private mutating func decide() {
        let current = replicaSets.sorted(by: isOlder).first {
            $0.spec.template.makesSamePod(as: deployment.spec.template)
        }
        let old = replicaSets.filter { $0.metadata.uid != current?.metadata.uid }
        guard deployment.metadata.deletionTimestamp == nil else {
            writeStatus(current: current, old: old, isRollingOut: false)
            return
        }
        if !deployment.spec.paused, let rollback = Rollback(deployment, replicaSets: replicaSets) {
            // Its template is another one now; what follows from that is the next step.
            actions.append(.rollBack(rollback))
            return
        }
        if deployment.spec.paused || isResized {
            let synced = current.map { syncRevision(of: $0, old: old) }
            resize(current: synced, old: old)
            if deployment.spec.paused { cleanUp(old) }
            writeStatus(current: synced, old: old, isRollingOut: false)
            return
        }
        guard let current else {
            // Recreate lets everything old go before it starts anything new.
            if deployment.spec.strategy.type == "Recreate" {
                if scaleDownAll(old) || oldPodsRunning {
                    writeStatus(current: nil, old: old)
                    return
                }
            }
            let created = newReplicaSet(old: old)
            actions.append(.createReplicaSet(created))
            setRevision(created.metadata.annotations[Annotation.revision])
            writeStatus(current: nil, old: old, created: created)
            return
        }
        let synced = syncRevision(of: current, old: old)
        if deployment.spec.strategy.type == "Recreate" {
            if !scaleDownAll(old) && !oldPodsRunning { _ = scale(synced, to: desired) }
        } else {
            roll(current: synced, old: old)
        }
        if isComplete(current: synced, old: old) { cleanUp(old) }
        writeStatus(current: synced, old: old)
    }

    // MARK: - Revisions

    /// The newest ReplicaSet: made from the Deployment's template, sized as the strategy allows.
    private func newReplicaSet(old: [ReplicaSet]) -> ReplicaSet {
        let hash = deployment.spec.template.hash(collisions: deployment.status.collisionCount)
        var set = ReplicaSet()
        set.metadata.name = "\(deployment.metadata.name)-\(hash)"
        set.metadata.namespace = deployment.metadata.namespace
        set.metadata.ownerReferences = [deployment.asController]
        set.spec.template = deployment.spec.template
        set.spec.template.metadata.labels[podTemplateHashLabel] = hash
        set.metadata.labels = set.spec.template.metadata.labels
        var selector = deployment.spec.selector ?? LabelSelector()
        selector.matchLabels[podTemplateHashLabel] = hash
        set.spec.selector = selector
        set.spec.minReadySeconds = deployment.spec.minReadySeconds
        let total = old.reduce(0) { $0 + ($1.spec.replicas ?? 0) }
        let size =
            deployment.spec.strategy.type == "Recreate"
            ? desired : min(desired, max(0, desired + bounds.maxSurge - total))
        set.spec.replicas = size
        set.metadata.annotations = inheritedAnnotations
        set.metadata.annotations[Annotation.revision] = String(nextRevision(after: old))
        annotateSize(&set)
        return set
    }

    /// Annotations of the Deployment that its ReplicaSets carry too.
    private var inheritedAnnotations: [String: String] {
        deployment.metadata.annotations.filter { !Annotation.ownBusiness.contains($0.key) }
    }

    private func nextRevision(after old: [ReplicaSet]) -> Int {
        (old.compactMap { Annotation.revision(of: $0) }.max() ?? 0) + 1
    }

    /// Makes the ReplicaSet of the present template the newest revision (after an undo it is an old one)
    /// and keeps its annotations and `minReadySeconds` those of the Deployment.
    private mutating func syncRevision(of current: ReplicaSet, old: [ReplicaSet]) -> ReplicaSet {
        var set = current
        let next = nextRevision(after: old)
        if let revision = Annotation.revision(of: set), revision >= next {
            // It already is the newest.
        } else {
            if let previous = set.metadata.annotations[Annotation.revision], !previous.isEmpty {
                set.metadata.annotations[Annotation.revisionHistory] = Annotation.history(
                    set.metadata.annotations[Annotation.revisionHistory] ?? "", with: previous)
            }
            set.metadata.annotations[Annotation.revision] = String(next)
        }
        for (key, value) in inheritedAnnotations { set.metadata.annotations[key] = value }
        set.spec.minReadySeconds = deployment.spec.minReadySeconds
        if set != current { actions.append(.updateReplicaSet(set)) }
        setRevision(set.metadata.annotations[Annotation.revision])
        return set
    }

    private mutating func setRevision(_ revision: String?) {
        guard let revision, deployment.metadata.annotations[Annotation.revision] != revision else {
            return
        }
        actions.append(.setRevision(revision))
    }

    // MARK: - Sizes

    /// Whether `spec.replicas` changed since the ReplicaSets were sized.
    private var isResized: Bool {
        replicaSets.contains { set in
            guard (set.spec.replicas ?? 0) > 0,
                let sizedFor = set.metadata.annotations[Annotation.desiredReplicas].flatMap({ Int($0) })
            else { return false }
            return sizedFor != desired
        }
    }

    private func annotateSize(_ set: inout ReplicaSet) {
        set.metadata.annotations[Annotation.desiredReplicas] = String(desired)
        set.metadata.annotations[Annotation.maxReplicas] = String(desired + bounds.maxSurge)
    }

    /// - Returns: whether the size or its annotations change.
    private mutating func scale(_ set: ReplicaSet, to size: Int) -> Bool {
        var sized = set
        sized.spec.replicas = size
        annotateSize(&sized)
        let before = set.spec.replicas ?? 0
        guard sized != set else { return false }
        // One write for both: the second one would be over a state that the first one has changed.
        actions.removeAll {
            if case .updateReplicaSet(let other) = $0 {
                other.metadata.uid == set.metadata.uid
            } else {
                false
            }
        }
        actions.append(.scale(sized, from: before))
        return before != size
    }

    private mutating func scaleDownAll(_ old: [ReplicaSet]) -> Bool {
        var changed = false
        for set in old where (set.spec.replicas ?? 0) > 0 {
            changed = scale(set, to: 0) || changed
        }
        return changed
    }

    /// Follows a change of `spec.replicas` without moving the rollout.
    private mutating func resize(current: ReplicaSet?, old: [ReplicaSet]) {
        let all = (current.map { [$0] } ?? []) + old
        let active = all.filter { ($0.spec.replicas ?? 0) > 0 }
        if active.count <= 1 {
            let target = active.first ?? current ?? old.max(by: isOlder)
            if let target { _ = scale(target, to: desired) }
            return
        }
        if let current, isSaturated(current) {
            _ = scaleDownAll(old)
            return
        }
        guard deployment.spec.strategy.type != "Recreate" else { return }
        let newestFirst = active.sorted { isOlder($1, $0) }
        let allowed = desired > 0 ? desired + bounds.maxSurge : 0
        let sizes = proportionalSizes(
            of: newestFirst.map {
                let sizedFor = $0.metadata.annotations[Annotation.maxReplicas].flatMap { Int($0) } ?? 0
                return (
                    size: $0.spec.replicas ?? 0,
                    maxReplicas: sizedFor == 0 ? deployment.status.replicas : sizedFor
                )
            }, allowed: allowed)
        for (set, size) in zip(newestFirst, sizes) { _ = scale(set, to: size) }
    }

    private func isSaturated(_ set: ReplicaSet) -> Bool {
        set.metadata.annotations[Annotation.desiredReplicas].flatMap { Int($0) } == desired
            && set.spec.replicas == desired && set.status.availableReplicas == desired
    }

    // MARK: - Rolling update

    private mutating func roll(current: ReplicaSet, old: [ReplicaSet]) {
        let size = current.spec.replicas ?? 0
        let oldSize = old.reduce(0) { $0 + ($1.spec.replicas ?? 0) }
        if size > desired {
            if scale(current, to: desired) { return }
        } else if size < desired {
            let room = desired + bounds.maxSurge - size - oldSize
            if room > 0, scale(current, to: size + min(room, desired - size)) { return }
        } else if scale(current, to: size) {
            return
        }
        scaleDownOld(current: current, old: old, total: size + oldSize)
    }

    /// Takes old pods away as far as enough others are available: those that are not available
    /// themselves first, since nobody misses them.
    private mutating func scaleDownOld(current: ReplicaSet, old: [ReplicaSet], total: Int) {
        let active = old.filter { ($0.spec.replicas ?? 0) > 0 }.sorted(by: isOlder)
        guard !active.isEmpty else { return }
        let minAvailable = desired - bounds.maxUnavailable
        let newUnavailable = max(
            0, (current.spec.replicas ?? 0) - current.status.availableReplicas)
        var budget = total - minAvailable - newUnavailable
        guard budget > 0 else { return }
        var sizes = active.map { $0.spec.replicas ?? 0 }
        for (index, set) in active.enumerated() where budget > 0 {
            let unhealthy = max(0, sizes[index] - set.status.availableReplicas)
            let step = min(unhealthy, budget)
            sizes[index] -= step
            budget -= step
        }
        let available = (active + [current]).reduce(0) { $0 + $1.status.availableReplicas }
        var spare = available - minAvailable
        for index in active.indices where spare > 0 {
            let step = min(sizes[index], spare)
            sizes[index] -= step
            spare -= step
        }
        for (set, size) in zip(active, sizes) where size != set.spec.replicas {
            _ = scale(set, to: size)
        }
    }

    /// Drops the oldest ReplicaSets beyond `revisionHistoryLimit` that hold no pods.
    private mutating func cleanUp(_ old: [ReplicaSet]) {
        let limit = deployment.spec.revisionHistoryLimit ?? 10
        guard limit < Int(Int32.max) else { return }
        let kept = old.filter { $0.metadata.deletionTimestamp == nil }
        guard kept.count > limit else { return }
        let byRevision = kept.sorted {
            (Annotation.revision(of: $0) ?? 0, $0.metadata.name)
                < (Annotation.revision(of: $1) ?? 0, $1.metadata.name)
        }
        for set in byRevision.prefix(kept.count - limit) {
            guard set.status.replicas == 0, (set.spec.replicas ?? 0) == 0,
                set.metadata.generation <= set.status.observedGeneration
            else { continue }
            actions.append(.deleteReplicaSet(set))
        }
    }

    private func isComplete(current: ReplicaSet, old: [ReplicaSet]) -> Bool {
        current.status.replicas == desired && current.status.availableReplicas == desired
            && old.allSatisfy { $0.status.replicas == 0 }
    }

    private func isOlder(_ a: ReplicaSet, _ b: ReplicaSet) -> Bool {
        let (x, y) = (a.metadata.creationTimestamp, b.metadata.creationTimestamp)
        if let x, let y, x != y { return x < y }
        return a.metadata.name < b.metadata.name
    }

    /// - Parameter isRollingOut: false while nothing but sizes is looked at; progress is not judged then.
    private mutating func writeStatus(
        current: ReplicaSet?, old: [ReplicaSet], created: ReplicaSet? = nil, isRollingOut: Bool = true
    ) {
        let progress = RolloutProgress(
            deployment: deployment, current: current, old: old, created: created,
            isRollingOut: isRollingOut, maxUnavailable: bounds.maxUnavailable, now: now)
        if progress.status != deployment.status { actions.append(.updateStatus(progress.status)) }
        if let seconds = progress.secondsToDeadline { actions.append(.wake(afterSeconds: seconds)) }
    }
}

/// The annotations by which Deployments and ReplicaSets keep count.
enum Annotation {
    static let revision = "deployment.kubernetes.io/revision"
    static let revisionHistory = "deployment.kubernetes.io/revision-history"
    static let desiredReplicas = "deployment.kubernetes.io/desired-replicas"
    static let maxReplicas = "deployment.kubernetes.io/max-replicas"

    /// What a Deployment does not hand down to its ReplicaSets.
    static let ownBusiness: Set<String> = [
        revision, revisionHistory, desiredReplicas, maxReplicas,
        "kubectl.kubernetes.io/last-applied-configuration", Rollback.annotation,
    ]

    /// A list of earlier revisions with one more, the oldest ones left out when it gets too long.
    static func history(_ earlier: String, with revision: String) -> String {
        var revisions = earlier.split(separator: ",").map(String.init) + [revision]
        while revisions.count > 1, revisions.reduce(-1, { $0 + $1.utf8.count + 1 }) > historyLimit {
            revisions.removeFirst()
        }
        return revisions.joined(separator: ",")
    }

    /// The longest list of earlier revisions, in characters; as upstream's.
    static let historyLimit = 2000

    static func revision(of set: ReplicaSet) -> Int? {
        set.metadata.annotations[revision].flatMap { Int($0) }
    }
}
