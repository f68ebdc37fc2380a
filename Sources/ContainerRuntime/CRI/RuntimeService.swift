/// A container runtime, as the node agent needs it. `CRIRuntime` is the real one; tests bring their own.
package protocol RuntimeService: Sendable {
    func version() async throws(GRPCError) -> RuntimeVersion
    func readiness() async throws(GRPCError) -> RuntimeReadiness

    /// Creates and starts a sandbox, network included; returns its id.
    func runSandbox(_ configuration: SandboxConfiguration) async throws(GRPCError) -> String
    /// Stops a sandbox and its containers and gives back its address; may be repeated.
    func stopSandbox(_ id: String) async throws(GRPCError)
    /// Removes a sandbox and its containers; may be repeated.
    func removeSandbox(_ id: String) async throws(GRPCError)
    func sandboxStatus(_ id: String) async throws(GRPCError) -> SandboxObservation
    /// All sandboxes, or those of one pod.
    func sandboxes(podUID: String?) async throws(GRPCError) -> [SandboxObservation]

    /// Creates a container in a sandbox; returns its id.
    func createContainer(
        in sandbox: String, _ configuration: ContainerConfiguration,
        sandboxConfiguration: SandboxConfiguration
    ) async throws(GRPCError) -> String
    func startContainer(_ id: String) async throws(GRPCError)
    /// Sends the stop signal, and SIGKILL when the container still runs after `grace`; returns once it has
    /// ended; may be repeated.
    func stopContainer(_ id: String, grace: Duration) async throws(GRPCError)
    func removeContainer(_ id: String) async throws(GRPCError)
    func containerStatus(_ id: String) async throws(GRPCError) -> ContainerObservation
    /// All containers, or those of one pod; without times and exit codes.
    func containers(podUID: String?) async throws(GRPCError) -> [ContainerObservation]
    /// Has the runtime open the container'"'"'s log file again, after it was renamed.
    func reopenLog(_ id: String) async throws(GRPCError)

    /// Runs a command in a container and waits for it; zero waits for ever.
    func execute(
        in container: String, _ command: [String], timeout: Duration
    ) async throws(GRPCError) -> ExecResult
    /// The address of a streaming connection to a command; used once, for one minute.
    func executionURL(
        in container: String, _ command: [String], _ channels: StreamChannels
    ) async throws(GRPCError) -> String
    /// The address of a streaming connection to a container'"'"'s main process.
    func attachmentURL(_ container: String, _ channels: StreamChannels) async throws(GRPCError) -> String
    /// The address of a streaming connection to ports of a sandbox.
    func portForwardURL(_ sandbox: String, ports: [Int]) async throws(GRPCError) -> String

    /// The image of that name, nil when the runtime does not have it.
    func image(_ reference: String) async throws(GRPCError) -> ImageObservation?
    /// Fetches an image; returns the reference of what was fetched.
    func pullImage(
        _ reference: String, credentials: RegistryCredentials?
    ) async throws(GRPCError) -> String
    func images() async throws(GRPCError) -> [ImageObservation]
    func removeImage(_ reference: String) async throws(GRPCError)
    /// Bytes that images take, and the folder they are in.
    func imageFilesystem() async throws(GRPCError) -> (mountPoint: String, usedBytes: UInt64)

    /// What happens to containers, for as long as the task runs; lost connections are made again.
    func events() -> AsyncStream<RuntimeEvent>
}
