import ContainerRuntime
import HTTPService
import KubernetesAPI
import Logging

/// Answers an attach without a terminal so that it shows everything from the container's start, also when the container
/// has ended meanwhile.
///
/// `kubectl run -i` attaches once it sees that the pod runs. Where pods start fast, a short container has then done its
/// work and ended. To a container that has run for long, clients attach to see what comes, as with upstream.
package struct ReplayingAttach: Sendable {
    /// How long after its start, or its end, a container is shown from its start.
    private static let window = Duration.seconds(60)
    private static let protocolHeader = "x-stream-protocol-version"

    private let runtime: any RuntimeService
    private let folders: PodFolders
    private let clock: AgentClock
    private let logger: Logger

    package init(runtime: any RuntimeService, folders: PodFolders, clock: AgentClock, logger: Logger) {
        self.runtime = runtime
        self.folders = folders
        self.clock = clock
        self.logger = logger
    }

    /// The answer; nil when the attach is none of this kind, or fails in a way that the plain one tells.
    package func respond(
        to request: HTTPRequest, _ pod: Pod, _ name: String, _ channels: StreamChannels
    ) async -> HTTPResponse? {
        guard !channels.tty, channels.stdout || channels.stderr,
            request.headers["upgrade"].contains(where: { $0.lowercased() == "spdy/3.1" }),
            let container = await youngest(
                of: pod, name.isEmpty ? pod.spec.containers.first?.name ?? "" : name)
        else { return nil }
        let folder = folders.logs(
            namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid)
        let logPath = "\(folder)/\(ContainerBuilder.logPath(container.name, attempt: container.attempt))"
        let session: @Sendable (String) -> AttachSession = { [runtime, clock, logger] protocolName in
            AttachSession(
                AttachReplay(
                    stdin: channels.stdin, stdout: channels.stdout, stderr: channels.stderr,
                    protocolName: protocolName),
                logPath: logPath, clock: clock, logger: logger
            ) {
                // The runtime says that a container has exited once its output is written.
                guard let status = try? await runtime.containerStatus(container.id) else { return true }
                return status.state != .running
            }
        }
        if container.state == .running {
            if let url = try? await runtime.attachmentURL(container.id, channels) {
                let answer = await StreamSplice(logger: logger).respond(to: request, url: url) {
                    headers, client, runtime in
                    await session(headers.first(name: Self.protocolHeader) ?? "")
                        .run(client: client, runtime: runtime)
                }
                if answer.status == .switchingProtocols { return answer }
            }
            // Perhaps it has just ended.
            guard await youngest(of: pod, container.name)?.state == .exited else { return nil }
        }
        return fromLog(request, session)
    }

    /// The newest container of that name, if it started or ended a short while ago.
    private func youngest(of pod: Pod, _ name: String) async -> ContainerObservation? {
        guard let all = try? await runtime.containers(podUID: pod.metadata.uid),
            let newest = PodObservation(containers: all).newest(name),
            let status = try? await runtime.containerStatus(newest.id)
        else { return nil }
        let since = status.state == .running ? status.startedAt : status.finishedAt
        guard status.state == .running || status.state == .exited, since > 0,
            Duration.nanoseconds(clock.wallNanoseconds() &- since) < Self.window
        else { return nil }
        return status
    }

    /// Answers in the runtime's place for a container that has ended.
    private func fromLog(
        _ request: HTTPRequest, _ session: @escaping @Sendable (String) -> AttachSession
    ) -> HTTPResponse? {
        let offered = request.headers[canonicalForm: Self.protocolHeader].map(String.init)
        guard
            let chosen = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io"].first(
                where: offered.contains)
        else { return nil }
        return HTTPResponse(
            status: .switchingProtocols,
            headers: ["connection": "Upgrade", "upgrade": "SPDY/3.1", Self.protocolHeader: chosen],
            body: .tunnel { client in await session(chosen).run(client: client, runtime: nil) })
    }
}
