import KubernetesAPI

/// A rollback that was asked for as in extensions/v1beta1, whose `spec.rollbackTo` lives on as an annotation: the number
/// of a revision, or 0 for the one before the last. `kubectl rollout undo` of today writes the template itself.
package struct Rollback: Sendable, Equatable {
    /// The Deployment as it is to be written; it asks for nothing any more.
    package private(set) var deployment: Deployment
    /// What is told about it: the event's type, reason and message.
    package private(set) var type = "Warning"
    package private(set) var reason: String
    package private(set) var message: String

    static let annotation = "deprecated.deployment.rollback.to"

    /// - Returns: nil when nothing is asked for, or nothing intelligible.
    init?(_ deployment: Deployment, replicaSets: [ReplicaSet]) {
        guard let text = deployment.metadata.annotations[Self.annotation], let wanted = Int64(text) else {
            return nil
        }
        self.deployment = deployment
        self.deployment.metadata.annotations[Self.annotation] = nil
        let revisions = replicaSets.compactMap { Annotation.revision(of: $0) }.sorted()
        let revision = wanted == 0 ? Int64(revisions.dropLast().last ?? 0) : wanted
        guard
            let target = replicaSets.first(where: { Annotation.revision(of: $0).map(Int64.init) == revision })
        else {
            reason = "DeploymentRollbackRevisionNotFound"
            message =
                revision == 0
                ? "Unable to find last revision." : "Unable to find the revision to rollback to."
            return
        }
        let name = deployment.metadata.name
        guard !target.spec.template.makesSamePod(as: deployment.spec.template) else {
            reason = "DeploymentRollbackTemplateUnchanged"
            message = "The rollback revision contains the same template as current deployment \"\(name)\""
            return
        }
        type = "Normal"
        reason = "DeploymentRollback"
        message = "Rolled back deployment \"\(name)\" to revision \(revision)"
        self.deployment.spec.template = target.spec.template
        self.deployment.spec.template.metadata.labels[podTemplateHashLabel] = nil
        // With the template comes what was said of it, such as why it was made.
        let own = Annotation.ownBusiness
        self.deployment.metadata.annotations = self.deployment.metadata.annotations
            .filter { own.contains($0.key) }
            .merging(target.metadata.annotations.filter { !own.contains($0.key) }) { $1 }
    }
}
