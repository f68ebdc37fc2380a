import HTTPService
import KubernetesAPI
import KubernetesClient
import Logging

/// Answers at the health check node ports of Services (`spec.healthCheckNodePort`), so that load balancers send only
/// to nodes that have endpoints of their own.
package actor HealthCheckPorts {
    private struct Open {
        var server: HTTPServer
        var answer: HealthCheckAnswer
    }

    private let nodeName: String
    private let isHealthy: @Sendable () -> Bool
    private let recorder: EventRecorder?
    private let logger: Logger
    private var open: [UInt16: Open] = [:]
    /// Ports that could not be opened, and for which Service that was said.
    private var refused: [UInt16: ObjectName] = [:]

    /// - Parameters:
    ///   - isHealthy: whether the kernel keeps up with the proxy.
    ///   - recorder: tells people, on the Service, of a port that cannot be opened.
    package init(
        nodeName: String, isHealthy: @escaping @Sendable () -> Bool, recorder: EventRecorder?, logger: Logger
    ) {
        self.nodeName = nodeName
        self.isHealthy = isHealthy
        self.recorder = recorder
        self.logger = logger
    }

    /// Opens and closes ports, and changes what they answer.
    package func update(_ checks: [UInt16: HealthCheck]) async {
        for (port, entry) in open where checks[port] == nil {
            open[port] = nil
            await entry.server.stop()
        }
        refused = refused.filter { checks[$0.key]?.service == $0.value }
        for (port, check) in checks.sorted(by: { $0.key < $1.key }) {
            if let entry = open[port] {
                entry.answer.set(check)
            } else {
                await start(port, check)
            }
        }
    }

    private func start(_ port: UInt16, _ check: HealthCheck) async {
        let answer = HealthCheckAnswer(check, isHealthy: isHealthy)
        do {
            open[port] = Open(server: try await bind(port, answer), answer: answer)
            refused[port] = nil
        } catch {
            // It is tried again with each update, and told once.
            guard refused.updateValue(check.service, forKey: port) == nil else { return }
            logger.warning(
                "a health check node port cannot be opened",
                metadata: ["service": "\(check.service)", "port": "\(port)", "error": "\(error)"])
            recorder?.record(
                object: ObjectReference(
                    kind: "Service", namespace: check.service.namespace, name: check.service.name,
                    apiVersion: "v1"),
                type: EventRecorder.warning, reason: "FailedToStartServiceHealthcheck", action: "Listen",
                message: "node \(nodeName) failed to start healthcheck \"\(check.service)\" on port \(port): "
                    + "\(error). Free the port on the node, or set another spec.healthCheckNodePort on a new Service."
            )
        }
    }

    /// Opens a port at every address of the node: what listens at :: is given IPv4 connections too. A machine without
    /// IPv6 has only those; a port that somebody has on either side is not half ours.
    private func bind(_ port: UInt16, _ answer: HealthCheckAnswer) async throws -> HTTPServer {
        func bind(_ host: String) async throws -> HTTPServer {
            let server = try HTTPServer(
                ServerConfiguration(addresses: [.tcp(host: host, port: Int(port))]), responder: answer,
                logger: logger)
            try await server.bind()
            return server
        }
        do {
            return try await bind("::")
        } catch let error as HTTPError where error.isAddressInUse {
            throw error
        } catch {
            return try await bind("0.0.0.0")
        }
    }

    /// Closes all ports.
    package func stop() async { await update([:]) }
}
