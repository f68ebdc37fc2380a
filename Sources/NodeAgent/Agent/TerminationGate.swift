import KubernetesAPI

/// What a pod that is to go away waits for before its containers are told: that no proxy sends it anything new.
public protocol TerminationGate: Sendable {
    /// Returns once no new connection reaches the pod, or after `limit`, whichever comes first. The pod has
    /// its deletionTimestamp.
    func waitUntilUnreachable(_ pod: Pod, limit: Duration) async
}

/// A gate that is always open, for nodes without a proxy.
public struct OpenGate: TerminationGate {
    public init() {}
    public func waitUntilUnreachable(_ pod: Pod, limit: Duration) async {}
}

/// How a grace period is spent; a function of values.
package struct TerminationPlan: Sendable, Hashable {
    package var grace: Duration

    package init(grace: Duration) { self.grace = grace }

    /// The longest that the gate may take: nothing can hang a deletion.
    package var gateLimit: Duration { min(grace / 2, .seconds(5)) }

    /// What is left for SIGTERM to have its effect when gate and preStop have taken their time; upstream's
    /// least is two seconds, unless there was no grace at all.
    package func remaining(after spent: Duration) -> Duration {
        grace == .zero ? .zero : max(grace - spent, .seconds(2))
    }
}
