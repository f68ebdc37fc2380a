import KubernetesJSON

extension PriorityClass {
    /// Priorities above this are the system's.
    static let highestOfUsers = 1_000_000_000

    /// The classes that every cluster has, for the pods it cannot do without.
    public static let system = [
        PriorityClass(
            metadata: ObjectMeta(name: "system-node-critical"), value: 2_000_001_000,
            description:
                "Used for system critical pods that must not be moved from their current node."),
        PriorityClass(
            metadata: ObjectMeta(name: "system-cluster-critical"), value: 2_000_000_000,
            description:
                "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
        ),
    ]
}
