import HTTPService
import Synchronization

/// What one health check node port answers; it changes with the endpoints.
final class HealthCheckAnswer: HTTPResponder {
    private let check: Mutex<HealthCheck>
    private let isHealthy: @Sendable () -> Bool

    init(_ check: HealthCheck, isHealthy: @escaping @Sendable () -> Bool) {
        self.check = Mutex(check)
        self.isHealthy = isHealthy
    }

    func set(_ check: HealthCheck) { self.check.withLock { $0 = check } }

    func respond(to request: HTTPRequest) async -> HTTPResponse {
        let check = check.withLock { $0 }
        let isHealthy = isHealthy()
        var response = HTTPResponse(
            status: check.status(isProxyHealthy: isHealthy) == 200 ? .ok : .serviceUnavailable,
            contentType: "application/json", Array(check.body(isProxyHealthy: isHealthy).utf8))
        response.headers.add(name: "x-content-type-options", value: "nosniff")
        response.headers.add(
            name: "x-load-balancing-endpoint-weight", value: "\(isHealthy ? check.localEndpoints : 0)")
        return response
    }
}
