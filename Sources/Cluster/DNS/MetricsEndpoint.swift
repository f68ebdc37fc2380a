import HTTPService
import Logging
import Telemetry

/// Serves the metrics of DNS and of this process over plain HTTP at `/metrics`, where CoreDNS has its own. Whoever
/// reaches DNS may read them, so those of the rest of the cluster are not among them.
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
                let text = registry.text { $0.hasPrefix("coredns_") || $0.hasPrefix("process_") }
                return HTTPResponse(contentType: MetricText.contentType, Array(text.utf8))
            }, logger: logger)
    }

    /// Until the task is cancelled.
    func run() async throws { try await server.run() }
}
