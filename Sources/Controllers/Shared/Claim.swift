import KubernetesAPI

/// What a controller does about the objects that its selector and its references point at: it adopts
/// matching orphans, keeps what is its own, and lets go of its own that no longer match.
package struct Claim<Item: KubernetesObject>: Sendable {
    package private(set) var claimed: [Item] = []
    package private(set) var toAdopt: [Item] = []
    package private(set) var toRelease: [Item] = []

    /// - Parameters:
    ///   - uid: the controller's uid.
    ///   - isDeleting: a controller that is being deleted adopts nothing.
    package init(
        of items: [Item], by uid: String, isDeleting: Bool,
        matching matches: (_ labels: [String: String]) -> Bool
    ) {
        for item in items {
            let isMatch = matches(item.metadata.labels)
            if let controller = item.controllerReference {
                guard controller.uid == uid else { continue }
                if isMatch {
                    claimed.append(item)
                } else if !isDeleting {
                    toRelease.append(item)
                }
            } else if isMatch, !isDeleting, item.metadata.deletionTimestamp == nil {
                toAdopt.append(item)
            }
        }
    }
}
