public import KubernetesAPI
public import Telemetry

/// How an API server is set up.
public struct APIServerConfiguration: Sendable {
    /// The ranges Service addresses come from: one, or two of different families. The first one's family is that of
    /// Services which do not say. More can be added as ServiceCIDR objects.
    public var serviceRanges = ["10.96.0.0/16"]
    /// The ports of type NodePort.
    public var nodePorts = 30000...32767
    /// The address at which clients inside the cluster reach the server, behind `kubernetes.default`.
    public var advertisedAddress = "127.0.0.1"
    /// The port there.
    public var advertisedPort = 6443
    /// Who service account tokens are meant for, and whose they are by default.
    public var audiences = ["https://kubernetes.default.svc.cluster.local"]
    /// What is kept of requests, and where; nil: nothing is.
    public var audit: AuditConfiguration?
    /// The parts of the control plane that run beside the server, for ComponentStatus: their names, and what
    /// is wrong with them or nil.
    public var components: @Sendable () -> [(name: String, failure: String?)] = { [] }
    /// How long a request may take, unless it is one that lasts as long as its client wants.
    public var requestTimeout: Duration = .seconds(60)
    /// How many requests that only read are answered at the same time; others get 429.
    public var maximumRequestsInFlight = 400
    /// How many requests that write are answered at the same time; others get 429.
    public var maximumMutatingRequestsInFlight = 200
    /// Where service account tokens can be checked by others, or nil when nobody is to be told.
    public var issuer: IssuerDocuments?
    /// Where the server counts what it does.
    public var metrics = MetricRegistry.shared
    /// The wall clock.
    public var now: @Sendable () -> Time = { Time.now() }
    /// The same to the microsecond, for the audit log.
    public var preciseNow: @Sendable () -> MicroTime = { MicroTime.now() }
    /// What watches wait with.
    public var clock: any Clock<Duration> = ContinuousClock()

    /// The defaults.
    public init() {}
}

/// An audit log: the lines of a file, one `audit.k8s.io/v1` Event each.
public struct AuditConfiguration: Sendable, Hashable {
    /// The text of an `audit.k8s.io/v1` Policy, YAML or JSON.
    public var policy: [UInt8]
    /// The file; "-" is the standard output.
    public var path: String
    /// The size in MiB beyond which a new file is begun.
    public var maximumSize: Int
    /// How many earlier files are kept; 0: all.
    public var maximumBackups: Int

    public init(policy: [UInt8], path: String, maximumSize: Int = 100, maximumBackups: Int = 0) {
        self.policy = policy
        self.path = path
        self.maximumSize = maximumSize
        self.maximumBackups = maximumBackups
    }
}

/// What others need in order to check service account tokens (OpenID Connect Discovery 1.0).
public struct IssuerDocuments: Sendable {
    /// Served at `/.well-known/openid-configuration`.
    public var configuration: [UInt8]
    /// Served at `/openid/v1/jwks`.
    public var keySet: [UInt8]

    /// The documents as JSON.
    public init(configuration: [UInt8], keySet: [UInt8]) {
        self.configuration = configuration
        self.keySet = keySet
    }
}

/// Why the API server cannot do its work.
public struct APIServerError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// The configuration names something that cannot be.
        case configuration
        /// What every cluster must have could not be written.
        case bootstrap
        /// The audit log cannot be written.
        case audit
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
