import Logging
import NIOCore
import SwiftProtobuf

/// containerd, spoken to over its socket: CRI v1 for pods and images, its own event stream for exits.
public final class CRIRuntime: RuntimeService {
    private let client: GRPCClient
    private let logger: Logger
    private let clock: any Clock<Duration>

    /// What a call that only asks may take.
    private static let shortTimeout: Duration = .seconds(30)
    /// What a call that makes or ends something may take: plugins and cgroups can be slow on a loaded machine.
    private static let longTimeout: Duration = .seconds(240)
    /// What a pull may take.
    private static let pullTimeout: Duration = .seconds(30 * 60)

    /// A runtime behind a unix socket; nothing is sent before the first call.
    public init(
        socketPath: String, group: any EventLoopGroup, logger: Logger,
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        client = GRPCClient(socketPath: socketPath, group: group)
        self.logger = logger
        self.clock = clock
    }

    /// Closes the connection.
    public func close() async { await client.close() }

    // MARK: - The runtime itself

    public func version() async throws(GRPCError) -> RuntimeVersion {
        let answer: Runtime_V1_VersionResponse = try await runtime("Version", Runtime_V1_VersionRequest())
        return RuntimeVersion(name: answer.runtimeName, version: answer.runtimeVersion)
    }

    public func readiness() async throws(GRPCError) -> RuntimeReadiness {
        let answer: Runtime_V1_StatusResponse = try await runtime("Status", Runtime_V1_StatusRequest())
        var readiness = RuntimeReadiness(isRuntimeReady: false, isNetworkReady: false)
        var messages: [String] = []
        for condition in answer.status.conditions {
            if condition.type == "RuntimeReady" { readiness.isRuntimeReady = condition.status }
            if condition.type == "NetworkReady" { readiness.isNetworkReady = condition.status }
            if !condition.status {
                messages.append(
                    "\(condition.type)=false reason:\(condition.reason) message:\(condition.message)")
            }
        }
        readiness.message = messages.joined(separator: " ")
        return readiness
    }

    // MARK: - Sandboxes

    package func runSandbox(_ configuration: SandboxConfiguration) async throws(GRPCError) -> String {
        var request = Runtime_V1_RunPodSandboxRequest()
        request.config = configuration
        let answer: Runtime_V1_RunPodSandboxResponse = try await runtime(
            "RunPodSandbox", request, Self.longTimeout)
        return answer.podSandboxID
    }

    public func stopSandbox(_ id: String) async throws(GRPCError) {
        var request = Runtime_V1_StopPodSandboxRequest()
        request.podSandboxID = id
        let _: Runtime_V1_StopPodSandboxResponse = try await runtime(
            "StopPodSandbox", request, Self.longTimeout)
    }

    public func removeSandbox(_ id: String) async throws(GRPCError) {
        var request = Runtime_V1_RemovePodSandboxRequest()
        request.podSandboxID = id
        let _: Runtime_V1_RemovePodSandboxResponse = try await runtime(
            "RemovePodSandbox", request, Self.longTimeout)
    }

    public func sandboxStatus(_ id: String) async throws(GRPCError) -> SandboxObservation {
        var request = Runtime_V1_PodSandboxStatusRequest()
        request.podSandboxID = id
        let answer: Runtime_V1_PodSandboxStatusResponse = try await runtime("PodSandboxStatus", request)
        let status = answer.status
        let addresses = ([status.network.ip] + status.network.additionalIps.map(\.ip)).filter { !$0.isEmpty }
        return SandboxObservation(
            id: status.id, podName: status.metadata.name, podNamespace: status.metadata.namespace,
            podUID: status.metadata.uid, attempt: Int(status.metadata.attempt),
            isReady: status.state == .sandboxReady, createdAt: status.createdAt, addresses: addresses,
            labels: status.labels, annotations: status.annotations)
    }

    public func sandboxes(podUID: String?) async throws(GRPCError) -> [SandboxObservation] {
        var request = Runtime_V1_ListPodSandboxRequest()
        if let podUID { request.filter.labelSelector = [RuntimeLabel.podUID: podUID] }
        let answer: Runtime_V1_ListPodSandboxResponse = try await runtime("ListPodSandbox", request)
        return answer.items.map { item in
            SandboxObservation(
                id: item.id, podName: item.metadata.name, podNamespace: item.metadata.namespace,
                podUID: item.metadata.uid, attempt: Int(item.metadata.attempt),
                isReady: item.state == .sandboxReady, createdAt: item.createdAt, labels: item.labels,
                annotations: item.annotations)
        }
    }

    // MARK: - Containers

    package func createContainer(
        in sandbox: String, _ configuration: ContainerConfiguration,
        sandboxConfiguration: SandboxConfiguration
    ) async throws(GRPCError) -> String {
        var request = Runtime_V1_CreateContainerRequest()
        request.podSandboxID = sandbox
        request.config = configuration
        request.sandboxConfig = sandboxConfiguration
        let answer: Runtime_V1_CreateContainerResponse = try await runtime(
            "CreateContainer", request, Self.longTimeout)
        return answer.containerID
    }

    public func startContainer(_ id: String) async throws(GRPCError) {
        var request = Runtime_V1_StartContainerRequest()
        request.containerID = id
        let _: Runtime_V1_StartContainerResponse = try await runtime(
            "StartContainer", request, Self.longTimeout)
    }

    public func stopContainer(_ id: String, grace: Duration) async throws(GRPCError) {
        var request = Runtime_V1_StopContainerRequest()
        request.containerID = id
        request.timeout = grace.components.seconds
        let _: Runtime_V1_StopContainerResponse = try await runtime(
            "StopContainer", request, grace + Self.longTimeout)
    }

    public func removeContainer(_ id: String) async throws(GRPCError) {
        var request = Runtime_V1_RemoveContainerRequest()
        request.containerID = id
        let _: Runtime_V1_RemoveContainerResponse = try await runtime(
            "RemoveContainer", request, Self.longTimeout)
    }

    public func containerStatus(_ id: String) async throws(GRPCError) -> ContainerObservation {
        var request = Runtime_V1_ContainerStatusRequest()
        request.containerID = id
        let answer: Runtime_V1_ContainerStatusResponse = try await runtime("ContainerStatus", request)
        let status = answer.status
        return ContainerObservation(
            id: status.id, name: status.metadata.name, attempt: Int(status.metadata.attempt),
            state: Self.state(status.state), createdAt: status.createdAt, startedAt: status.startedAt,
            finishedAt: status.finishedAt, exitCode: Int(status.exitCode), reason: status.reason,
            message: status.message, image: status.image.image, imageReference: status.imageRef,
            labels: status.labels, annotations: status.annotations, logPath: status.logPath)
    }

    public func containers(podUID: String?) async throws(GRPCError) -> [ContainerObservation] {
        var request = Runtime_V1_ListContainersRequest()
        if let podUID { request.filter.labelSelector = [RuntimeLabel.podUID: podUID] }
        let answer: Runtime_V1_ListContainersResponse = try await runtime("ListContainers", request)
        return answer.containers.map { item in
            ContainerObservation(
                id: item.id, name: item.metadata.name, attempt: Int(item.metadata.attempt),
                sandboxID: item.podSandboxID, state: Self.state(item.state), createdAt: item.createdAt,
                image: item.image.image, imageReference: item.imageRef, labels: item.labels,
                annotations: item.annotations)
        }
    }

    public func reopenLog(_ id: String) async throws(GRPCError) {
        var request = Runtime_V1_ReopenContainerLogRequest()
        request.containerID = id
        let _: Runtime_V1_ReopenContainerLogResponse = try await runtime("ReopenContainerLog", request)
    }

    private static func state(_ state: Runtime_V1_ContainerState) -> ContainerObservation.State {
        switch state {
        case .containerCreated: .created
        case .containerRunning: .running
        case .containerExited: .exited
        default: .unknown
        }
    }

    // MARK: - Commands and streams

    public func execute(
        in container: String, _ command: [String], timeout: Duration
    ) async throws(GRPCError) -> ExecResult {
        var request = Runtime_V1_ExecSyncRequest()
        request.containerID = container
        request.cmd = command
        request.timeout = timeout.components.seconds
        let limit = timeout > .zero ? timeout + .seconds(10) : .seconds(24 * 3600)
        let answer: Runtime_V1_ExecSyncResponse = try await runtime("ExecSync", request, limit)
        return ExecResult(
            exitCode: Int(answer.exitCode), output: Array(answer.stdout), errorOutput: Array(answer.stderr))
    }

    public func executionURL(
        in container: String, _ command: [String], _ channels: StreamChannels
    ) async throws(GRPCError) -> String {
        var request = Runtime_V1_ExecRequest()
        request.containerID = container
        request.cmd = command
        request.stdin = channels.stdin
        request.stdout = channels.stdout
        request.stderr = channels.stderr
        request.tty = channels.tty
        let answer: Runtime_V1_ExecResponse = try await runtime("Exec", request)
        return answer.url
    }

    public func attachmentURL(
        _ container: String, _ channels: StreamChannels
    ) async throws(GRPCError) -> String {
        var request = Runtime_V1_AttachRequest()
        request.containerID = container
        request.stdin = channels.stdin
        request.stdout = channels.stdout
        request.stderr = channels.stderr
        request.tty = channels.tty
        let answer: Runtime_V1_AttachResponse = try await runtime("Attach", request)
        return answer.url
    }

    public func portForwardURL(_ sandbox: String, ports: [Int]) async throws(GRPCError) -> String {
        var request = Runtime_V1_PortForwardRequest()
        request.podSandboxID = sandbox
        request.port = ports.map { Int32(clamping: $0) }
        let answer: Runtime_V1_PortForwardResponse = try await runtime("PortForward", request)
        return answer.url
    }

    // MARK: - Images

    public func image(_ reference: String) async throws(GRPCError) -> ImageObservation? {
        var request = Runtime_V1_ImageStatusRequest()
        request.image.image = reference
        let answer: Runtime_V1_ImageStatusResponse = try await image("ImageStatus", request)
        return answer.hasImage ? Self.observation(answer.image) : nil
    }

    public func pullImage(
        _ reference: String, credentials: RegistryCredentials?
    ) async throws(GRPCError) -> String {
        var request = Runtime_V1_PullImageRequest()
        request.image.image = reference
        if let credentials {
            request.auth.username = credentials.userName
            request.auth.password = credentials.password
            request.auth.serverAddress = credentials.server
        }
        let answer: Runtime_V1_PullImageResponse = try await image("PullImage", request, Self.pullTimeout)
        return answer.imageRef
    }

    public func images() async throws(GRPCError) -> [ImageObservation] {
        let answer: Runtime_V1_ListImagesResponse = try await image(
            "ListImages", Runtime_V1_ListImagesRequest())
        return answer.images.map(Self.observation)
    }

    public func removeImage(_ reference: String) async throws(GRPCError) {
        var request = Runtime_V1_RemoveImageRequest()
        request.image.image = reference
        let _: Runtime_V1_RemoveImageResponse = try await image("RemoveImage", request, Self.longTimeout)
    }

    public func imageFilesystem() async throws(GRPCError) -> (mountPoint: String, usedBytes: UInt64) {
        let answer: Runtime_V1_ImageFsInfoResponse = try await image(
            "ImageFsInfo", Runtime_V1_ImageFsInfoRequest())
        guard let first = answer.imageFilesystems.first else { return ("", 0) }
        return (first.fsID.mountpoint, first.usedBytes.value)
    }

    private static func observation(_ image: Runtime_V1_Image) -> ImageObservation {
        ImageObservation(
            id: image.id, tags: image.repoTags, digests: image.repoDigests, size: Int(clamping: image.size),
            userID: image.hasUid ? image.uid.value : nil, userName: image.username)
    }

    // MARK: - Events

    public func events() -> AsyncStream<RuntimeEvent> {
        AsyncStream { continuation in
            let task = Task { [client, clock, logger] in
                var pause = Duration.milliseconds(20)
                while !Task.isCancelled {
                    do {
                        let messages = try Self.subscribe(client)
                        continuation.yield(.mayHaveMissed)
                        // The server does not say when the subscription stands; by then it does.
                        let later = Task {
                            try await clock.sleep(for: .seconds(1))
                            continuation.yield(.mayHaveMissed)
                        }
                        defer { later.cancel() }
                        for try await envelope in messages {
                            pause = .milliseconds(20)
                            if let event = try Self.event(envelope) { continuation.yield(event) }
                        }
                    } catch {
                        logger.debug("The event stream ended: \(error)")
                    }
                    try? await clock.sleep(for: pause)
                    pause = min(pause * 2, .seconds(2))
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    private static func subscribe(
        _ client: GRPCClient
    ) throws(GRPCError) -> some AsyncSequence<Containerd_Events_Envelope, any Error> {
        var request = Containerd_Events_SubscribeRequest()
        request.filters = [
            #"namespace==k8s.io,topic=="/tasks/exit""#, #"namespace==k8s.io,topic=="/tasks/oom""#,
        ]
        return try client.serverStream(
            "/containerd.services.events.v1.Events/Subscribe", request,
            metadata: [("containerd-namespace", "k8s.io")])
    }

    /// Nil for the end of a command run in a container, which is no event of the container.
    private static func event(_ envelope: Containerd_Events_Envelope) throws -> RuntimeEvent? {
        let bytes = Array(envelope.event.value)
        switch envelope.topic {
        case "/tasks/exit":
            let exit = try Containerd_Events_TaskExit(serializedBytes: bytes)
            guard exit.id == exit.containerID else { return nil }
            return .exited(id: exit.containerID, exitCode: Int(exit.exitStatus))
        case "/tasks/oom":
            return .outOfMemory(id: try Containerd_Events_TaskOOM(serializedBytes: bytes).containerID)
        default: return nil
        }
    }

    // MARK: - Calls

    private func runtime<Request: Message & Sendable, Response: Message & Sendable>(
        _ method: String, _ request: Request, _ timeout: Duration = shortTimeout
    ) async throws(GRPCError) -> Response {
        try await client.unary("/runtime.v1.RuntimeService/\(method)", request, timeout: timeout)
    }

    private func image<Request: Message & Sendable, Response: Message & Sendable>(
        _ method: String, _ request: Request, _ timeout: Duration = shortTimeout
    ) async throws(GRPCError) -> Response {
        try await client.unary("/runtime.v1.ImageService/\(method)", request, timeout: timeout)
    }
}
