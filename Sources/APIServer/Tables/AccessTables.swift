import KubernetesAPI
import KubernetesJSON

/// The columns of role bindings; roles show when they were created, as kinds without columns do.
enum AccessTables {
    private static let columns: [TableColumn] = [
        .name,
        TableColumn("Role", "The role that the binding gives."),
        .age,
        .wide("Users", "The users who get it."),
        .wide("Groups", "The groups whose members get it."),
        .wide("ServiceAccounts", "The service accounts that get it."),
    ]

    static let roleBindings = TablePrinter<RoleBinding>(columns) { binding, now in
        cells(binding.metadata, binding.roleRef, binding.subjects, now)
    }

    static let clusterRoleBindings = TablePrinter<ClusterRoleBinding>(columns) { binding, now in
        cells(binding.metadata, binding.roleRef, binding.subjects, now)
    }

    private static func cells(
        _ metadata: ObjectMeta, _ role: RoleRef, _ subjects: [Subject], _ now: Time
    ) -> [JSONValue] {
        func names(_ kind: String) -> JSONValue {
            let found = subjects.filter { $0.kind == kind }.map { subject in
                kind == "ServiceAccount" ? "\(subject.namespace)/\(subject.name)" : subject.name
            }
            return .string(found.joined(separator: ", "))
        }
        return [
            .string(metadata.name), .string("\(role.kind)/\(role.name)"),
            Cell.age(metadata.creationTimestamp, now), names("User"), names("Group"), names("ServiceAccount"),
        ]
    }
}
