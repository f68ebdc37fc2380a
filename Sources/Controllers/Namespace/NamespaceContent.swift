import KubernetesAPI

/// What is left in a namespace that is being deleted, and how its status tells of it.
package struct NamespaceContent: Sendable, Hashable {
    private var counts: [String: Int] = [:]
    private var finalizers: [String: Int] = [:]

    package init() {}

    package var isEmpty: Bool { counts.isEmpty }

    /// Adds the objects of a kind that are left.
    package mutating func add(_ kind: ResourceKind, _ objects: [ObjectMeta]) {
        guard !objects.isEmpty else { return }
        counts["\(kind.plural).\(kind.group)", default: 0] += objects.count
        for finalizer in objects.flatMap(\.finalizers) { finalizers[finalizer, default: 0] += 1 }
    }

    /// The conditions that upstream's namespace controller writes, with its types and texts.
    package func conditions(before: [NamespaceCondition], now: Time) -> [NamespaceCondition] {
        func list(_ entries: [String: Int], _ text: (String, Int) -> String) -> String {
            entries.sorted { $0.key < $1.key }.map { text($0.key, $0.value) }.joined(separator: ", ")
        }
        let all = [
            condition(
                "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
                "All resources successfully discovered"),
            condition(
                "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
                "All legacy kube types successfully parsed"),
            condition(
                "NamespaceDeletionContentFailure", false, "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization"),
            counts.isEmpty
                ? condition(
                    "NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed")
                : condition(
                    "NamespaceContentRemaining", true, "SomeResourcesRemain",
                    "Some resources are remaining: "
                        + list(counts) { "\($0) has \($1) resource instances" }),
            finalizers.isEmpty
                ? condition(
                    "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers",
                    "All content-preserving finalizers finished")
                : condition(
                    "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
                    "Some content in the namespace has finalizers remaining: "
                        + list(finalizers) { "\($0) in \($1) resource instances" }),
        ]
        return all.map { new in
            var new = new
            let old = before.first { $0.type == new.type }
            new.lastTransitionTime = old?.status == new.status ? old?.lastTransitionTime : now
            return new
        }
    }

    private func condition(_ type: String, _ holds: Bool, _ reason: String, _ message: String)
        -> NamespaceCondition
    {
        NamespaceCondition(type: type, status: holds ? "True" : "False", reason: reason, message: message)
    }
}
