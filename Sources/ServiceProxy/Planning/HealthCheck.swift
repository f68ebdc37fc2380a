import Netlink

/// What a load balancer is told that asks at a Service's health check node port whether to send to this node.
public struct HealthCheck: Sendable, Hashable {
    /// The Service.
    public var service: ObjectName
    /// The port at which load balancers ask.
    public var port: UInt16
    /// How many ready endpoints of the Service are on this node. Those of a dual-stack Service have an address of
    /// each family and count once: where the families differ, the one with more counts.
    public var localEndpoints: Int

    public init(service: ObjectName, port: UInt16, localEndpoints: Int) {
        self.service = service
        self.port = port
        self.localEndpoints = localEndpoints
    }

    /// The status of the answer: 200 when this node can serve, else 503.
    /// - Parameter isProxyHealthy: whether the kernel keeps up with what the proxy knows.
    public func status(isProxyHealthy: Bool) -> Int {
        localEndpoints > 0 && isProxyHealthy ? 200 : 503
    }

    /// The body of the answer, JSON as kube-proxy has it.
    public func body(isProxyHealthy: Bool) -> String {
        // Neither a namespace nor a name can hold a character that JSON would have to escape.
        """
        {
        \t"service": {
        \t\t"namespace": "\(service.namespace)",
        \t\t"name": "\(service.name)"
        \t},
        \t"localEndpoints": \(localEndpoints),
        \t"serviceProxyHealthy": \(isProxyHealthy)
        }
        """
    }
}

extension Planner {
    /// The health checks that this node answers, by their ports. Of two Services with one port the first in the
    /// order of their names has it.
    public func healthChecks() -> [UInt16: HealthCheck] {
        var result: [UInt16: HealthCheck] = [:]
        for name in checkedServices {
            guard let port = services[name]?.healthCheckPort else { continue }
            if let other = result[port], other.service < name { continue }
            var ready: [IPAddress.Family: Set<IPAddress>] = [:]
            for slice in (slices[name] ?? [:]).values {
                for endpoint in slice.endpoints where endpoint.isOnNode && endpoint.isReady {
                    ready[endpoint.address.family, default: []].insert(endpoint.address)
                }
            }
            result[port] = HealthCheck(
                service: name, port: port, localEndpoints: ready.values.map(\.count).max() ?? 0)
        }
        return result
    }
}
