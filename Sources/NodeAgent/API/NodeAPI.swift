import ContainerRuntime
import HTTPService
import KubernetesAPI
import Logging
import Synchronization

/// What the API server asks of a node, on the kubelet's paths: logs, and streams into containers.
///
/// - `GET /containerLogs/<namespace>/<pod>/<container>?follow&tailLines…`
/// - `POST|GET /exec/<namespace>/<pod>/<container>?command=…&stdin&stdout&stderr&tty`
/// - `POST|GET /attach/<namespace>/<pod>/<container>?…`
/// - `POST|GET /portForward/<namespace>/<pod>?ports=…`
/// - `GET /healthz`
///
/// Who may ask is the API server's business: only it reaches this responder.
public struct NodeAPI: HTTPResponder {
    private let runtime: any RuntimeService
    private let folders: PodFolders
    /// The pod of that namespace and name, as the node knows it.
    private let pod: @Sendable (String, String) async -> Pod?
    private let clock: AgentClock
    private let logger: Logger

    package init(
        runtime: any RuntimeService, folders: PodFolders, clock: AgentClock, logger: Logger,
        pod: @escaping @Sendable (String, String) async -> Pod?
    ) {
        self.runtime = runtime
        self.folders = folders
        self.clock = clock
        self.logger = logger
        self.pod = pod
    }

    public func respond(to request: HTTPRequest) async -> HTTPResponse {
        let parts = request.pathSegments
        if parts == ["healthz"] { return HTTPResponse(text: "ok") }
        guard parts.count >= 3 else { return Self.status(.notFound, "NotFound", "404 page not found") }
        guard let pod = await pod(parts[1], parts[2]) else {
            return Self.status(.notFound, "NotFound", "pod \"\(parts[1])/\(parts[2])\" not found")
        }
        switch (parts[0], parts.count) {
        case ("containerLogs", 4): return await logs(request, pod, parts[3])
        case ("exec", 4): return await execute(request, pod, parts[3])
        case ("attach", 4): return await attach(request, pod, parts[3])
        case ("portForward", 3): return await portForward(request, pod)
        default: return Self.status(.notFound, "NotFound", "404 page not found")
        }
    }

    // MARK: - Logs

    private func logs(_ request: HTTPRequest, _ pod: Pod, _ name: String) async -> HTTPResponse {
        let options: LogOptions
        do {
            options = try LogOptions(request.query, now: clock.wall)
        } catch {
            return Self.status(.badRequest, "BadRequest", error.message)
        }
        guard let spec = pod.container(name) else {
            return Self.status(
                .badRequest, "BadRequest", "container \(name) is not valid for pod \(pod.metadata.name)")
        }
        let attempts: [ContainerObservation]
        do {
            let all = try await runtime.containers(podUID: pod.metadata.uid)
            attempts = PodObservation(containers: all).attempts(name)
        } catch {
            return Self.status(.internalServerError, "InternalError", error.goDescription)
        }
        let chosen = options.previous ? attempts.dropFirst().first : attempts.first { $0.state != .created }
        guard let chosen else { return missingLog(options, pod, spec) }
        let folder = folders.logs(
            namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid)
        let path = "\(folder)/\(ContainerBuilder.logPath(name, attempt: chosen.attempt))"
        let reader = LogReader(path: path, options: options)
        let follower = ContainerEnd(runtime: runtime, id: chosen.id, clock: clock)
        return HTTPResponse(
            headers: ["content-type": "text/plain"],
            body: .stream { writer in
                try await reader.run(to: writer, occasions: follower.occasions()) {
                    await follower.hasEnded()
                }
            })
    }

    private func missingLog(_ options: LogOptions, _ pod: Pod, _ container: Container) -> HTTPResponse {
        let key = "\"\(container.name)\" in pod \"\(pod.metadata.name)\""
        if options.previous {
            return Self.status(.badRequest, "BadRequest", "previous terminated container \(key) not found")
        }
        let statuses =
            pod.status.containerStatuses + pod.status.initContainerStatuses
            + pod.status.ephemeralContainerStatuses
        let waiting = statuses.first { $0.name == container.name }?.state.waiting
        let message: String
        switch waiting?.reason {
        case "ErrImagePull", "ImagePullBackOff":
            message = "trying and failing to pull image"
        case "PodInitializing", "ContainerCreating":
            message = waiting?.reason ?? ""
        case .some(let reason): message = reason
        case nil: message = "ContainerCreating"
        }
        return Self.status(
            .badRequest, "BadRequest", "container \(key) is waiting to start: \(message)")
    }

    // MARK: - Streams

    private func execute(_ request: HTTPRequest, _ pod: Pod, _ name: String) async -> HTTPResponse {
        let command = request.query.all("command")
        guard !command.isEmpty else {
            return Self.status(
                .badRequest, "BadRequest", "you must specify at least 1 command for the container")
        }
        return await stream(request, pod, name) { id, channels throws(GRPCError) in
            try await runtime.executionURL(in: id, command, channels)
        }
    }

    private func attach(_ request: HTTPRequest, _ pod: Pod, _ name: String) async -> HTTPResponse {
        let replaying = ReplayingAttach(runtime: runtime, folders: folders, clock: clock, logger: logger)
        if let answer = await replaying.respond(to: request, pod, name, channels(request)) { return answer }
        return await stream(request, pod, name) { id, channels throws(GRPCError) in
            try await runtime.attachmentURL(id, channels)
        }
    }

    private func stream(
        _ request: HTTPRequest, _ pod: Pod, _ name: String,
        _ url: (String, StreamChannels) async throws(GRPCError) -> String
    ) async -> HTTPResponse {
        let wanted = name.isEmpty ? pod.spec.containers.first?.name ?? "" : name
        do {
            let all = try await runtime.containers(podUID: pod.metadata.uid)
            let newest = PodObservation(containers: all).newest(wanted)
            guard let newest, newest.state == .running else {
                return Self.status(
                    newest == nil ? .notFound : .internalServerError,
                    newest == nil ? "NotFound" : "InternalError",
                    newest == nil
                        ? "container not found (\"\(wanted)\")"
                        : "cannot attach to or run commands in container \(wanted): it is not running")
            }
            return await StreamSplice(logger: logger).respond(
                to: request, url: try await url(newest.id, channels(request)))
        } catch {
            // kubectl falls back to the logs when it cannot attach any more; it takes a 500 for that.
            return Self.status(.internalServerError, "InternalError", error.goDescription)
        }
    }

    private func channels(_ request: HTTPRequest) -> StreamChannels {
        let tty = Self.flag(request, "tty")
        return StreamChannels(
            stdin: Self.flag(request, "stdin", "input"), stdout: Self.flag(request, "stdout", "output"),
            stderr: Self.flag(request, "stderr", "error") && !tty, tty: tty)
    }

    private func portForward(_ request: HTTPRequest, _ pod: Pod) async -> HTTPResponse {
        let ports = (request.query.all("ports") + request.query.all("port"))
            .flatMap { $0.split(separator: ",") }.compactMap { Int($0) }
        do {
            let sandboxes = try await runtime.sandboxes(podUID: pod.metadata.uid)
            guard let sandbox = PodObservation(sandboxes: sandboxes).readySandbox else {
                return Self.status(
                    .internalServerError, "InternalError",
                    "unable to forward port because pod is not running. Current status=\(pod.status.phase)")
            }
            let url = try await runtime.portForwardURL(sandbox.id, ports: ports)
            return await StreamSplice(logger: logger).respond(to: request, url: url)
        } catch {
            return Self.status(.internalServerError, "InternalError", error.goDescription)
        }
    }

    private static func flag(_ request: HTTPRequest, _ names: String...) -> Bool {
        names.contains { ["true", "1"].contains(request.query.first($0) ?? "") }
    }

    /// A failure as the API tells it.
    package static func status(
        _ code: HTTPResponseStatus, _ reason: String, _ message: String
    ) -> HTTPResponse {
        let status = Status(status: "Failure", message: message, reason: reason, code: Int(code.code))
        return HTTPResponse(status: code, contentType: "application/json", status.json())
    }
}

/// Knows when a container has ended and its log is complete.
private final class ContainerEnd: Sendable {
    private let runtime: any RuntimeService
    private let id: String
    private let clock: AgentClock
    private let exitWasSeen = Atomic<Bool>(false)

    init(runtime: any RuntimeService, id: String, clock: AgentClock) {
        self.runtime = runtime
        self.id = id
        self.clock = clock
    }

    /// Yields when it is worth asking again.
    func occasions() -> AsyncStream<Void> {
        AsyncStream { continuation in
            let task = Task {
                for await event in runtime.events() {
                    switch event {
                    case .exited(id, _):
                        exitWasSeen.store(true, ordering: .relaxed)
                        continuation.yield()
                    case .mayHaveMissed: continuation.yield()
                    default: break
                    }
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// The runtime says that a container has exited once its output is written; that is a moment after the
    /// event of its exit.
    func hasEnded() async -> Bool {
        while true {
            guard let status = try? await runtime.containerStatus(id), status.state == .running else {
                return true
            }
            guard exitWasSeen.load(ordering: .relaxed) else { return false }
            do { try await clock.sleep(.milliseconds(5)) } catch { return true }
        }
    }
}
