import KubernetesAPI
import KubernetesJSON

/// The columns of workloads, and of the other named groups' kinds.
enum AppsTables {
    static let deployments = TablePrinter<Deployment>([
        .name,
        TableColumn("Ready", "How many pods are ready, of how many wanted."),
        TableColumn("Up-to-date", "How many pods are made from the current template."),
        TableColumn("Available", "How many pods have been ready long enough."),
        .age,
        .wide("Containers", "The names of the containers."),
        .wide("Images", "The images of the containers."),
        .wide("Selector", "Which pods it owns."),
    ]) { deployment, now in
        let status = deployment.status
        return [
            .string(deployment.metadata.name),
            .string("\(status.readyReplicas)/\(deployment.spec.replicas ?? 0)"),
            Cell.integer(status.updatedReplicas), Cell.integer(status.availableReplicas),
            Cell.age(deployment.metadata.creationTimestamp, now),
        ] + Cell.containers(deployment.spec.template.spec.containers)
            + [.string(Cell.selector(deployment.spec.selector))]
    }

    static let replicaSets = TablePrinter<ReplicaSet>([
        .name,
        TableColumn("Desired", type: "integer", "How many pods are wanted."),
        TableColumn("Current", type: "integer", "How many pods there are."),
        TableColumn("Ready", type: "integer", "How many of them are ready."),
        .age,
        .wide("Containers", "The names of the containers."),
        .wide("Images", "The images of the containers."),
        .wide("Selector", "Which pods it owns."),
    ]) { set, now in
        [
            .string(set.metadata.name), Cell.integer(set.spec.replicas ?? 0),
            Cell.integer(set.status.replicas), Cell.integer(set.status.readyReplicas),
            Cell.age(set.metadata.creationTimestamp, now),
        ] + Cell.containers(set.spec.template.spec.containers)
            + [.string(Cell.selector(set.spec.selector))]
    }

    static let leases = TablePrinter<Lease>([
        .name, TableColumn("Holder", "Who holds the lease."), .age,
    ]) { lease, now in
        [
            .string(lease.metadata.name), .string(lease.spec.holderIdentity ?? ""),
            Cell.age(lease.metadata.creationTimestamp, now),
        ]
    }
}
