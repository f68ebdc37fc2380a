import Netlink

/// The namespace and name of an object.
public struct ObjectName: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var namespace: String
    public var name: String

    public init(_ namespace: String, _ name: String) {
        self.namespace = namespace
        self.name = name
    }

    public var description: String { "\(namespace)/\(name)" }

    public static func < (left: Self, right: Self) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

/// What the proxy needs to know of a Service.
public struct ServiceFacts: Sendable, Hashable {
    /// One port (`spec.ports[]`).
    public struct Port: Sendable, Hashable {
        /// The name by which slices refer to it; empty when the Service has only one port.
        public var name: String
        public var transportProtocol: TransportProtocol
        public var number: UInt16
        /// The port on the node's own address (`nodePort`), for the types NodePort and LoadBalancer.
        public var nodePort: UInt16?

        public init(
            _ name: String, _ transportProtocol: TransportProtocol, _ number: UInt16, nodePort: UInt16? = nil
        ) {
            self.name = name
            self.transportProtocol = transportProtocol
            self.number = number
            self.nodePort = nodePort
        }
    }

    public var name: ObjectName
    /// When it was made, in seconds since 1970; of two Services that claim one address the older has it.
    public var created: Int64 = 0
    /// The cluster addresses (`spec.clusterIPs`); none for headless and ExternalName Services.
    public var clusterAddresses: [IPAddress] = []
    public var ports: [Port] = []
    /// Further addresses at which nodes take its traffic (`spec.externalIPs`).
    public var externalAddresses: [IPAddress] = []
    /// The addresses of its load balancer that packets still bear when they come here
    /// (`status.loadBalancer.ingress[].ip` with `ipMode: VIP`).
    public var loadBalancerAddresses: [IPAddress] = []
    /// Which clients may use the load balancer's addresses (`spec.loadBalancerSourceRanges`); for a family without
    /// a range, all of it.
    public var sourceRanges: [IPNetwork] = []
    /// Whether only endpoints on the client's node serve it (`spec.internalTrafficPolicy: Local`).
    public var isInternalTrafficLocal = false
    /// Whether clients outside the cluster reach only endpoints on the node that they came to, which then see the
    /// clients' own addresses (`spec.externalTrafficPolicy: Local`).
    public var isExternalTrafficLocal = false
    /// For how many seconds after its last connection a client is led to the same endpoint
    /// (`spec.sessionAffinity: ClientIP`); nil when it is not.
    public var affinityTimeout: Int?
    /// The port at which load balancers ask whether this node has endpoints (`spec.healthCheckNodePort`).
    public var healthCheckPort: UInt16?

    public init(_ name: ObjectName) {
        self.name = name
    }
}

/// What the proxy needs to know of an EndpointSlice.
public struct SliceFacts: Sendable, Hashable {
    /// One port (`ports[]`), valid for every endpoint of the slice.
    public struct Port: Sendable, Hashable {
        public var name: String
        public var transportProtocol: TransportProtocol
        public var number: UInt16

        public init(_ name: String, _ transportProtocol: TransportProtocol, _ number: UInt16) {
            self.name = name
            self.transportProtocol = transportProtocol
            self.number = number
        }
    }

    /// One endpoint.
    public struct Endpoint: Sendable, Hashable {
        public var address: IPAddress
        /// Whether it should get traffic; unknown counts as true.
        public var isReady = true
        /// Whether it can answer even while it is terminating; unknown means the same as ready.
        public var isServing = true
        /// Whether it is going away; unknown counts as false.
        public var isTerminating = false
        /// Whether it is on this node.
        public var isOnNode = false
        /// The node that it is on, for the reader of an explanation.
        public var nodeName: String?
        /// The zones whose clients should use it (`hints.forZones`).
        public var zoneHints: [String] = []
        /// Whether the hints name this node (`hints.forNodes`); nil when they name none.
        public var isHintedToNode: Bool?

        public init(_ address: IPAddress) {
            self.address = address
        }
    }

    public var name: ObjectName
    /// The Service that it belongs to (label `kubernetes.io/service-name`).
    public var service: ObjectName
    public var ports: [Port] = []
    public var endpoints: [Endpoint] = []

    public init(_ name: ObjectName, of service: ObjectName) {
        self.name = name
        self.service = service
    }
}
