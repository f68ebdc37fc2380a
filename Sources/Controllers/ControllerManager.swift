import KubernetesClient

/// All controllers, on one set of caches.
public struct ControllerManager: Sendable {
    private let controllers: [any Controller]

    /// - Parameter certificateAuthority: PEM, published in every namespace.
    public init(_ context: ControllerContext, certificateAuthority: String) {
        controllers = [
            DeploymentController(context),
            ReplicaSetController(context),
            EndpointSliceController(context),
            EndpointsController(context),
            NamespaceController(context),
            NamespaceContents(context, certificateAuthority: certificateAuthority),
            GarbageCollector(context),
            NodeLifecycleController(context),
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
