import KubernetesAPI
import KubernetesClient

/// A kind of object whose Swift type is left open: for controllers that treat all kinds alike.
struct KindHandle: Sendable {
    let kind: ResourceKind
    /// Tells the handler of every object of this kind that comes, changes or goes (`isGone`).
    let observe: @Sendable (InformerSet, @escaping @Sendable (OwnedObject, _ isGone: Bool) -> Void) -> Void
    let waitForSync: @Sendable (InformerSet) async -> Void
    /// The metadata of the objects in a namespace, as the server has them.
    let contents: @Sendable (KubernetesClient, _ namespace: String) async throws -> [ObjectMeta]
    /// The object's metadata as the server has it; throws NotFound.
    let metadata: @Sendable (KubernetesClient, _ namespace: String, _ name: String) async throws -> ObjectMeta
    let delete:
        @Sendable (KubernetesClient, _ namespace: String, _ name: String, DeleteOptions) async throws -> Void
    /// Changes an object's metadata; throws a conflict if it changed meanwhile.
    let edit:
        @Sendable (
            KubernetesClient, _ namespace: String, _ name: String,
            _ change: @Sendable (inout ObjectMeta) -> Void
        ) async throws -> Void

    init<T: KubernetesObject>(_ type: T.Type) {
        kind = T.resource
        observe = { informers, handler in
            informers.informer(T.self).subscribe { event in
                switch event {
                case .added(let object), .updated(_, let object): handler(OwnedObject(object), false)
                case .deleted(let object): handler(OwnedObject(object), true)
                case .synced: break
                }
            }
        }
        waitForSync = { await $0.informer(T.self).waitForSync() }
        contents = { client, namespace in
            try await client.list(T.self, namespace: namespace).items.map(\.metadata)
        }
        metadata = { client, namespace, name in
            try await client.get(T.self, name: name, namespace: namespace).metadata
        }
        delete = { client, namespace, name, options in
            try await client.delete(T.self, name: name, namespace: namespace, options: options)
        }
        edit = { client, namespace, name, change in
            var object = try await client.get(T.self, name: name, namespace: namespace)
            change(&object.metadata)
            _ = try await client.update(object)
        }
    }

    /// The kinds that objects can own or be owned by, and that live in namespaces.
    static let namespaced: [KindHandle] = [
        KindHandle(Pod.self), KindHandle(Service.self), KindHandle(Endpoints.self),
        KindHandle(EndpointSlice.self), KindHandle(Deployment.self), KindHandle(ReplicaSet.self),
        KindHandle(ConfigMap.self), KindHandle(Secret.self), KindHandle(ServiceAccount.self),
        KindHandle(Lease.self), KindHandle(Event.self), KindHandle(StatefulSet.self),
        KindHandle(DaemonSet.self), KindHandle(ControllerRevision.self), KindHandle(Job.self),
        KindHandle(CronJob.self), KindHandle(ReplicationController.self), KindHandle(PodTemplate.self),
        KindHandle(HorizontalPodAutoscaler.self), KindHandle(Ingress.self),
        KindHandle(NetworkPolicy.self), KindHandle(PodDisruptionBudget.self), KindHandle(Role.self),
        KindHandle(RoleBinding.self), KindHandle(LimitRange.self), KindHandle(ResourceQuota.self),
        KindHandle(PersistentVolumeClaim.self), KindHandle(CSIStorageCapacity.self),
    ]

    /// The kinds without a namespace that can own.
    static let clusterScoped: [KindHandle] = [
        KindHandle(Node.self), KindHandle(Namespace.self), KindHandle(ClusterRole.self),
        KindHandle(ClusterRoleBinding.self), KindHandle(IngressClass.self), KindHandle(ServiceCIDR.self),
        KindHandle(IPAddress.self), KindHandle(PersistentVolume.self), KindHandle(StorageClass.self),
        KindHandle(PriorityClass.self), KindHandle(RuntimeClass.self),
    ]
}
