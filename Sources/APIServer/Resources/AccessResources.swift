import KubernetesAPI

/// The `rbac.authorization.k8s.io` group, `v1`.
enum AccessResources {
    static let all: [any AnyResource] = [clusterRoleBindings, clusterRoles, roleBindings, roles]

    static let clusterRoles = Resource<ClusterRole>()

    static let roles = Resource<Role>()

    static let clusterRoleBindings: Resource<ClusterRoleBinding> = {
        var resource = Resource<ClusterRoleBinding>()
        resource.table = AccessTables.clusterRoleBindings
        return resource
    }()

    static let roleBindings: Resource<RoleBinding> = {
        var resource = Resource<RoleBinding>()
        resource.table = AccessTables.roleBindings
        return resource
    }()
}
