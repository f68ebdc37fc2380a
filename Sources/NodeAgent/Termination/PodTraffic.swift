public import KubernetesAPI

/// What Services send to pods, as the data plane has it: what a pod's end waits for.
public protocol PodTraffic: Sendable {
    /// How the pod stands with the data plane now.
    func standing(of pod: Pod) -> TrafficStanding

    /// Yields once, and again each time that somebody's standing may have changed.
    func changes() -> AsyncStream<Void>

    /// The connections that the pod has through its Services, counted in the kernel.
    func connections(to pod: Pod) async throws -> PodConnections

    /// Makes the kernel forget what it knows of the pod's connections, now that nothing of the pod runs any more. A
    /// client that uses one of its ports again, or whose first packet was on its way, is then led to a pod that is
    /// there.
    func forgetConnections(to pod: Pod) async
}

extension PodTraffic {
    public func forgetConnections(to pod: Pod) async {}
}

/// How a pod stands with the data plane; ordered by what comes to the pod.
public enum TrafficStanding: Int, Sendable, Hashable, Comparable {
    /// No Service has the pod among its endpoints.
    case apart
    /// The pod is an endpoint of Services, and every proxy has confirmed that none sends it anything new.
    case left
    /// No proxy sends the pod anything new, but what met the old state a moment ago may be on its way, and what must
    /// not go on has not been cut off yet.
    case leaving
    /// New connections come to the pod only because its Service has no other endpoint that could serve (KEP-1669).
    case lastResort
    /// New connections come to the pod.
    case reached
    /// What the data plane does is not known yet: this program has just started.
    case unknown

    public static func < (left: TrafficStanding, right: TrafficStanding) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// The connections that a pod has through its Services.
public struct PodConnections: Sendable, Hashable {
    /// Those that are open in both directions, or opening.
    public var open: Int
    /// Whether there are any that carried a packet in the last seconds, those that ended since included.
    public var areRecent: Bool
    /// Whether there are any on which a client may send more: open or opening ones, and flows of datagrams.
    public var mayGoOn: Bool

    public init(open: Int = 0, areRecent: Bool = false, mayGoOn: Bool = false) {
        self.open = open
        self.areRecent = areRecent
        self.mayGoOn = mayGoOn
    }

    /// Whether nobody uses the pod.
    public var areOver: Bool { open == 0 && !areRecent && !mayGoOn }
}

/// A node without Services: nothing waits for them.
public struct NoServices: PodTraffic {
    public init() {}
    public func standing(of pod: Pod) -> TrafficStanding { .apart }
    public func changes() -> AsyncStream<Void> { AsyncStream { $0.finish() } }
    public func connections(to pod: Pod) async throws -> PodConnections { PodConnections() }
}
