import HTTPService
import Logging
import Telemetry

/// Serves this process's metrics over plain HTTP at `/metrics`, where CoreDNS has its own.
struct MetricsEndpoint: Sendable {
    static let port = 9153

    private let server: HTTPServer

    init(host: String, port: Int = port, registry: MetricRegistry = .shared, logger: Logger) throws {
        server = try HTTPServer(
            ServerConfiguration(addresses: [.tcp(host: host, port: port)]),
            responder: ClosureResponder { request in
                guard request.path == "/metrics" else {
                    return HTTPResponse(status: .notFound, text: "there is only /metrics here\n")
                }
                return HTTPResponse(contentType: MetricText.contentType, Array(registry.text().utf8))
            }, logger: logger)
    }

    /// Until the task is cancelled.
    func run() async throws { try await server.run() }
}
