public import KubernetesAPI
public import KubernetesClient

/// What a rollout must know of the data plane: a pod that is ready takes over from another one only once the
/// proxies send it its share.
public protocol DataPlaneView: Sendable {
    /// Whether every proxy spreads new connections over this ready pod too. True for a pod behind no Service.
    func reaches(_ pod: Pod) -> Bool
    /// Calls the handler with the names of pods for which the answer may have become true.
    func subscribe(_ handler: @escaping @Sendable (NamespacedName) -> Void)
    /// Returns once the answers hold, or when the task is cancelled. They do not while proxies start.
    func waitUntilKnown() async
}

/// Where there is no proxy, nobody waits for one.
public struct NoDataPlane: DataPlaneView {
    public init() {}
    public func reaches(_ pod: Pod) -> Bool { true }
    public func subscribe(_ handler: @escaping @Sendable (NamespacedName) -> Void) {}
    public func waitUntilKnown() async {}
}
