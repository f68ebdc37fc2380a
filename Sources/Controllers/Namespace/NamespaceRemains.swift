import KubernetesAPI

/// What is left in a namespace that is being deleted, and what its conditions say of it. Pure.
package struct NamespaceRemains: Sendable, Hashable {
    /// How many objects are left, by resource (`pods.`, `deployments.apps`).
    package var resources: [String: Int] = [:]
    /// How many objects each finalizer holds back.
    package var finalizers: [String: Int] = [:]
    /// Why some objects could not be deleted.
    package var failures: [String] = []

    package init() {}

    package var isEmpty: Bool { resources.isEmpty && failures.isEmpty }

    /// Notes what is left of a kind.
    package mutating func note(_ kind: ResourceKind, _ objects: [ObjectMeta]) {
        guard !objects.isEmpty else { return }
        // Upstream's form, in which the core group leaves its dot.
        resources["\(kind.plural).\(kind.group)", default: 0] += objects.count
        for finalizer in objects.flatMap(\.finalizers) { finalizers[finalizer, default: 0] += 1 }
    }

    /// Brings a namespace's conditions up to date; they tell people what a deletion waits for.
    package func update(_ conditions: [NamespaceCondition], now: Time) -> [NamespaceCondition] {
        var result = conditions
        func set(_ type: String, _ isTrue: Bool, _ reason: String, _ message: String) {
            let condition = NamespaceCondition(
                type: type, status: isTrue ? "True" : "False", lastTransitionTime: now, reason: reason,
                message: message)
            guard let index = result.firstIndex(where: { $0.type == type }) else {
                result.append(condition)
                return
            }
            let before = result[index]
            let isSame =
                before.status == condition.status && before.reason == reason && before.message == message
            if !isSame { result[index] = condition }
        }
        set(
            "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
            "All resources successfully discovered")
        set(
            "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
            "All legacy kube types successfully parsed")
        if failures.isEmpty {
            set(
                "NamespaceDeletionContentFailure", false, "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization")
        } else {
            set(
                "NamespaceDeletionContentFailure", true, "ContentDeletionFailed",
                "Failed to delete all resource types, \(failures.count) remaining: "
                    + failures.sorted().joined(separator: ", "))
        }
        if resources.isEmpty {
            set(
                "NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed")
        } else {
            set(
                "NamespaceContentRemaining", true, "SomeResourcesRemain",
                "Some resources are remaining: "
                    + Self.text(resources) { "\($0) has \($1) resource instances" })
        }
        if finalizers.isEmpty {
            set(
                "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers",
                "All content-preserving finalizers finished")
        } else {
            set(
                "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
                "Some content in the namespace has finalizers remaining: "
                    + Self.text(finalizers) { "\($0) in \($1) resource instances" })
        }
        return result
    }

    private static func text(_ counts: [String: Int], _ form: (String, Int) -> String) -> String {
        counts.map { form($0.key, $0.value) }.sorted().joined(separator: ", ")
    }
}
