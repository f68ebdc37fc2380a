import ContainerRuntime
import Glibc
import HTTPService
import KubernetesAPI
import NIOCore
import NIOPosix

/// What one probe said: whether it passed, and in which words.
package struct ProbeOutcome: Sendable, Hashable {
    package var isSuccess: Bool
    package var message: String

    package init(_ isSuccess: Bool, _ message: String = "") {
        self.isSuccess = isSuccess
        self.message = message
    }
}

/// Carries out probes and HTTP hooks: from the node to the pod's address, commands in the container.
package struct ProbeClient: Sendable {
    package var runtime: any RuntimeService
    package var version: String

    package init(runtime: any RuntimeService, version: String) {
        self.runtime = runtime
        self.version = version
    }

    /// Runs one probe. It never throws: what goes wrong is a failed probe.
    package func run(_ probe: Probe, container: Container, id: String, address: String) async -> ProbeOutcome
    {
        let timeout = Duration.seconds(max(1, probe.timeoutSeconds))
        if let exec = probe.exec {
            return await execute(exec.command, id: id, timeout: timeout)
        }
        if let http = probe.httpGet {
            return await get(http, container: container, address: address, timeout: timeout)
        }
        if let tcp = probe.tcpSocket {
            guard let port = Self.port(tcp.port, container) else { return Self.unknownPort(tcp.port) }
            return await connect(tcp.host.isEmpty ? address : tcp.host, port, timeout: timeout)
        }
        if let grpc = probe.grpc {
            // The health service of gRPC is for later; a port that accepts connections is taken as healthy.
            return await connect(address, grpc.port, timeout: timeout)
        }
        return ProbeOutcome(true)
    }

    package func execute(_ command: [String], id: String, timeout: Duration) async -> ProbeOutcome {
        do {
            let result = try await runtime.execute(in: id, command, timeout: timeout)
            let output = String(decoding: (result.output + result.errorOutput).prefix(10_240), as: UTF8.self)
            return ProbeOutcome(result.exitCode == 0, output)
        } catch {
            if error.code == .deadlineExceeded {
                let text = PodLifecycle.text(timeout)
                return ProbeOutcome(
                    false, "command timed out: \"\(command.joined(separator: " "))\" timed out after \(text)")
            }
            return ProbeOutcome(false, error.message)
        }
    }

    package func get(
        _ action: HTTPGetAction, container: Container, address: String, timeout: Duration
    ) async -> ProbeOutcome {
        guard let port = Self.port(action.port, container) else { return Self.unknownPort(action.port) }
        let host = action.host.isEmpty ? address : action.host
        let path = action.path.hasPrefix("/") ? action.path : "/\(action.path)"
        let isTLS = action.scheme.uppercased() == "HTTPS"
        let shownHost = host.contains(":") ? "[\(host)]" : host
        let url = "\(isTLS ? "https" : "http")://\(shownHost):\(port)\(path)"

        var configuration = ClientConfiguration(endpoint: .tcp(host: host, port: port))
        if isTLS { configuration.tls = .init(trust: .anything) }
        configuration.offersHTTP2 = false
        configuration.connectTimeout = timeout
        configuration.responseTimeout = timeout
        var headers: HTTPHeaders = [
            "host": "\(shownHost):\(port)", "user-agent": "kube-probe/\(version)", "accept": "*/*",
        ]
        for header in action.httpHeaders { headers.replaceOrAdd(name: header.name, value: header.value) }
        let request = HTTPRequest(method: .GET, target: path, headers: headers)
        do {
            let client = try HTTPClient(configuration)
            let response = try await Self.limited(timeout) { try await client.send(request) }
            await client.close()
            guard let status = response?.status.code else {
                return ProbeOutcome(
                    false,
                    "Get \"\(url)\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
                )
            }
            return (200..<400).contains(status)
                ? ProbeOutcome(true) : ProbeOutcome(false, "HTTP probe failed with statuscode: \(status)")
        } catch {
            let reason = Self.refusal(error).map { "dial tcp \(shownHost):\(port): \($0)" } ?? "\(error)"
            return ProbeOutcome(false, "Get \"\(url)\": \(reason)")
        }
    }

    package func connect(_ host: String, _ port: Int, timeout: Duration) async -> ProbeOutcome {
        do {
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(TimeAmount(timeout))
                .connect(host: host, port: port).get()
            try? await channel.close()
            return ProbeOutcome(true)
        } catch {
            let shownHost = host.contains(":") ? "[\(host)]" : host
            return ProbeOutcome(false, "dial tcp \(shownHost):\(port): \(Self.refusal(error) ?? "\(error)")")
        }
    }

    /// Why a connection was not made, in Go's words; nil for other failures.
    package static func refusal(_ error: any Error) -> String? {
        if let number = HTTPError.systemNumber(of: error) {
            return "connect: \(String(cString: strerror(number)).lowercased())"
        }
        switch error {
        case let error as HTTPError: return error.cause.flatMap(refusal)
        case let error as NIOConnectionError:
            return error.connectionErrors.first.flatMap { refusal($0.error) }
        case ChannelError.connectTimeout: return "i/o timeout"
        default: return nil
        }
    }

    /// The number of a port that is given by number or by the name of one of the container's ports.
    package static func port(_ port: IntOrString, _ container: Container) -> Int? {
        let number: Int? =
            switch port {
            case .int(let number): number
            case .string(let name): Int(name) ?? container.ports.first { $0.name == name }?.containerPort
            }
        return number.flatMap { 1...65535 ~= $0 ? $0 : nil }
    }

    private static func unknownPort(_ port: IntOrString) -> ProbeOutcome {
        ProbeOutcome(false, "couldn't find port: \(port)")
    }

    /// The result of `body`, nil when it takes longer than `limit`.
    package static func limited<Result: Sendable>(
        _ limit: Duration, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result? {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await ContinuousClock().sleep(for: limit)
                return nil
            }
            let first = try await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }
}
