import KubernetesAPI

/// The `rbac.authorization.k8s.io` group, `v1`.
enum AccessResources {
    static let all: [any AnyResource] = [clusterRoleBindings, clusterRoles, roleBindings, roles]

    static let clusterRoles: Resource<ClusterRole> = {
        var resource = Resource<ClusterRole>()
        resource.createsOnUpdate = true
        return resource
    }()

    static let roles: Resource<Role> = {
        var resource = Resource<Role>()
        resource.createsOnUpdate = true
        return resource
    }()

    static let clusterRoleBindings: Resource<ClusterRoleBinding> = {
        var resource = Resource<ClusterRoleBinding>()
        resource.table = AccessTables.clusterRoleBindings
        resource.createsOnUpdate = true
        return resource
    }()

    static let roleBindings: Resource<RoleBinding> = {
        var resource = Resource<RoleBinding>()
        resource.table = AccessTables.roleBindings
        resource.createsOnUpdate = true
        return resource
    }()
}
