import KubernetesAPI
import KubernetesJSON

/// The columns of quotas, priorities and runtime classes.
enum QuotaTables {
    static let quotas = TablePrinter<ResourceQuota>([
        .name,
        TableColumn("Request", "What is used of each ceiling, and the ceiling."),
        TableColumn("Limit", "The same for the ceilings on limits."),
        .age,
    ]) { quota, now in
        var requests: [String] = []
        var limits: [String] = []
        for (name, hard) in quota.status.hard.sorted(by: { $0.key < $1.key }) {
            let used = quota.status.used[name] ?? Quantity()
            let text = "\(name): \(used)/\(hard)"
            if name.hasPrefix("limits.") { limits.append(text) } else { requests.append(text) }
        }
        return [
            .string(quota.metadata.name), .string(requests.joined(separator: ", ")),
            .string(limits.joined(separator: ", ")), Cell.age(quota.metadata.creationTimestamp, now),
        ]
    }

    static let priorityClasses = TablePrinter<PriorityClass>([
        .name,
        TableColumn("Value", type: "integer", "The priority; pods with a larger one go first."),
        TableColumn("Global-Default", type: "boolean", "Whether pods that name no class get it."),
        .age,
        TableColumn("PreemptionPolicy", "Whether its pods may push less important ones off a node."),
    ]) { priority, now in
        [
            .string(priority.metadata.name), Cell.integer(priority.value), .bool(priority.globalDefault),
            Cell.age(priority.metadata.creationTimestamp, now),
            .string(priority.preemptionPolicy ?? "<unset>"),
        ]
    }

    static let runtimeClasses = TablePrinter<RuntimeClass>([
        .name, TableColumn("Handler", "The name of the configuration in the container runtime."), .age,
    ]) { runtime, now in
        [
            .string(runtime.metadata.name), .string(runtime.handler),
            Cell.age(runtime.metadata.creationTimestamp, now),
        ]
    }
}
