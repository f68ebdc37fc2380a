public import KubernetesAPI

/// How an API server is set up.
public struct APIServerConfiguration: Sendable {
    /// The range Service addresses come from.
    public var serviceRange = "10.96.0.0/16"
    /// The ports of type NodePort.
    public var nodePorts = 30000...32767
    /// The address at which clients inside the cluster reach the server, behind `kubernetes.default`.
    public var advertisedAddress = "127.0.0.1"
    /// The port there.
    public var advertisedPort = 6443
    /// Who service account tokens are meant for, and whose they are by default.
    public var audiences = ["https://kubernetes.default.svc.cluster.local"]
    /// The wall clock.
    public var now: @Sendable () -> Time = { Time.now() }
    /// What watches wait with.
    public var clock: any Clock<Duration> = ContinuousClock()

    /// The defaults.
    public init() {}
}

/// Why the API server cannot do its work.
public struct APIServerError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// The configuration names something that cannot be.
        case configuration
        /// What every cluster must have could not be written.
        case bootstrap
    }
    public var code: Code
    public var message: String
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { cause.map { "\(message): \($0)" } ?? message }
}
