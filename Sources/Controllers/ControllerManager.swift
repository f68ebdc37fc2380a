public import KubernetesAPI
public import KubernetesClient

/// All controllers, on one set of caches.
public struct ControllerManager: Sendable {
    private let controllers: [any Controller]

    /// - Parameters:
    ///   - certificateAuthority: PEM, published in every namespace.
    ///   - signToken: makes the token that a service account's secret holds.
    ///   - client: makes the client of a service account in `kube-system`. Each controller writes under one of
    ///     its own, whose role (`system:controller:NAME`) allows what that controller does and no more.
    public init(
        _ context: ControllerContext, certificateAuthority: String,
        signToken: @escaping @Sendable (ServiceAccount, _ secret: String) throws -> String,
        client: (_ serviceAccount: String) -> KubernetesClient
    ) {
        func acting(as account: String) -> ControllerContext {
            var copy = context
            copy.client = client(account)
            return copy
        }
        controllers = [
            DeploymentController(acting(as: "deployment-controller")),
            ReplicaSetController(acting(as: "replicaset-controller")),
            EndpointSliceController(acting(as: "endpointslice-controller")),
            EndpointsController(acting(as: "endpoint-controller")),
            MirroringController(acting(as: "endpointslicemirroring-controller")),
            NamespaceController(acting(as: "namespace-controller")),
            NamespaceContents(
                acting(as: "service-account-controller"), publisher: client("root-ca-cert-publisher"),
                certificateAuthority: certificateAuthority),
            GarbageCollector(acting(as: "generic-garbage-collector")),
            NodeLifecycleController(acting(as: "node-controller")),
            TokenController(
                context,
                contents: TokenSecret(certificateAuthority: certificateAuthority, sign: signToken)),
            ResourceQuotaController(acting(as: "resourcequota-controller")),
            ClusterRoleAggregationController(acting(as: "clusterrole-aggregation-controller")),
            DisruptionController(acting(as: "disruption-controller")),
            ServiceCIDRController(acting(as: "service-cidrs-controller")),
            LoadBalancerController(acting(as: "service-controller")),
            ServiceAdviceController(acting(as: "endpointslice-controller")),
        ]
    }

    /// Runs them until the task is cancelled. Run the context's informers beside it.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for controller in controllers { group.addTask { try await controller.run() } }
            try await group.waitForAll()
        }
    }
}
