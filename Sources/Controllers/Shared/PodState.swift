public import KubernetesAPI

/// What controllers read off a pod.
extension Pod {
    /// The condition of this type, if the node agent has reported it.
    public func condition(_ type: String) -> PodCondition? {
        status.conditions.first { $0.type == type }
    }

    /// Whether the pod's `Ready` condition is true.
    public var isReady: Bool { condition("Ready")?.status == "True" }

    /// Whether the pod was asked to go.
    public var isTerminating: Bool { metadata.deletionTimestamp != nil }

    /// Whether its containers ended for good.
    public var isFinished: Bool { status.phase == "Succeeded" || status.phase == "Failed" }

    /// Whether it counts towards a controller's replicas: neither finished nor on its way out.
    public var isActive: Bool { !isFinished && !isTerminating }

    /// When the pod's `Ready` condition turned true.
    public var readySince: Time? {
        guard let ready = condition("Ready"), ready.status == "True" else { return nil }
        return ready.lastTransitionTime
    }

    /// Whether the pod has been ready for `minReadySeconds`.
    ///
    /// - Parameter minReadySeconds: as in `spec.minReadySeconds` of its controller.
    public func isAvailable(minReadySeconds: Int, now: Time) -> Bool {
        guard isReady else { return false }
        guard minReadySeconds > 0 else { return true }
        guard let since = readySince else { return false }
        return since.seconds + minReadySeconds <= now.seconds
    }

    /// How often its containers were restarted, at most; sidecars apart.
    var restarts: Int { status.containerStatuses.map(\.restartCount).max() ?? 0 }

    /// How often its sidecars were restarted, at most.
    var sidecarRestarts: Int {
        let sidecars = Set(spec.initContainers.filter { $0.restartPolicy == "Always" }.map(\.name))
        return status.initContainerStatuses.filter { sidecars.contains($0.name) }.map(\.restartCount).max()
            ?? 0
    }
}
