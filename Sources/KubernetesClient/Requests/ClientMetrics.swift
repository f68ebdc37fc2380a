import HTTPService
import Telemetry

/// What is measured of requests to API servers, under the names that upstream's clients use.
struct ClientMetrics: Sendable {
    private let requests: MetricFamily<Counter>
    private let durations: MetricFamily<Histogram>
    private let host: String

    init(_ registry: MetricRegistry, host: String) {
        self.host = host
        requests = registry.counter(
            "rest_client_requests_total", "Requests sent to API servers, by status, method and server.",
            labels: ["code", "method", "host"])
        durations = registry.histogram(
            "rest_client_request_duration_seconds",
            "Time until the answer of an API server began, in seconds.", labels: ["verb", "host"],
            buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60])
    }

    /// - Parameter code: nil when there was no answer.
    func record(_ method: HTTPMethod, code: UInt?, took duration: Duration) {
        requests(code.map(String.init) ?? "<error>", method.rawValue, host).increment()
        durations(method.rawValue, host).observe(duration)
    }
}
