public import HTTPService
import KubernetesAPI
import KubernetesJSON
public import Telemetry

/// What the proxy answers over HTTP about itself, at the paths that kube-proxy has: `/metrics` and `/proxyMode`
/// (its port 10249), `/healthz` and `/livez` (its port 10256).
public struct ProxyEndpoints: HTTPResponder {
    private let metrics: ProxyMetrics
    private let registry: MetricRegistry
    private let isNodeEligible: @Sendable () -> Bool

    /// - Parameters:
    ///   - registry: what `/metrics` shows.
    ///   - isNodeEligible: whether load balancers should send to this node: it is not about to be removed.
    public init(
        _ proxy: ServiceProxy, registry: MetricRegistry = .shared,
        isNodeEligible: @escaping @Sendable () -> Bool = { true }
    ) {
        metrics = proxy.metrics
        self.registry = registry
        self.isNodeEligible = isNodeEligible
    }

    public func respond(to request: HTTPRequest) async -> HTTPResponse {
        switch request.path {
        case "/metrics":
            return HTTPResponse(contentType: MetricText.contentType, Array(registry.text().utf8))
        case "/proxyMode": return HTTPResponse(text: "nftables")
        // For load balancers: new connections should come here. `/livez` asks for less (KEP-3836).
        case "/healthz": return health(request.path, isNodeEligible: isNodeEligible())
        case "/livez": return health(request.path, isNodeEligible: nil)
        default: return HTTPResponse(status: .notFound, text: "404 page not found\n")
        }
    }

    private func health(_ path: String, isNodeEligible: Bool?) -> HTTPResponse {
        let now = MicroTime.now()
        let times = metrics.times
        let isHealthy = times.isHealthy(at: now)
        let isWell = isHealthy && isNodeEligible != false
        let updated = isHealthy ? now : times.committed ?? now
        var body: JSONValue = [
            "lastUpdated": .string("\(updated)"), "currentTime": .string("\(now)"),
        ]
        if let isNodeEligible { body["nodeEligible"] = .bool(isNodeEligible) }
        metrics.answered(path, code: isWell ? 200 : 503)
        var response = HTTPResponse(
            status: isWell ? .ok : .serviceUnavailable, contentType: "application/json", body.json())
        response.headers.add(name: "x-content-type-options", value: "nosniff")
        return response
    }
}
