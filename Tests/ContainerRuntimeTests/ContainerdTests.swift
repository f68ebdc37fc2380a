import ContainerRuntime
import Glibc
import KubernetesJSON
import Logging
import NIOPosix
import Testing

/// containerd for real: needs root and a network namespace of its own (`scripts/sandbox`).
@Suite(.enabled(if: Sandbox.isInside), .serialized) struct ContainerdTests {
    @Test func podsRunFromALocalImageAndOutliveTheSupervisor() async throws {
        let machine = try await Machine()
        try await machine.use { supervisor in
            let runtime = supervisor.runtime
            #expect(try await runtime.image("busybox") == nil)
            _ = try await runtime.pullImage("busybox", credentials: nil)
            #expect(try await runtime.image("busybox")?.tags == ["docker.io/library/busybox:latest"])

            var sandbox = SandboxConfiguration()
            sandbox.metadata.name = "one"
            sandbox.metadata.namespace = "default"
            sandbox.metadata.uid = "uid-1"
            sandbox.hostname = "one"
            sandbox.logDirectory = "\(machine.folder.path)/logs"
            sandbox.labels = [RuntimeLabel.podUID: "uid-1"]
            sandbox.linux.cgroupParent = machine.controlGroup
            let events = runtime.events()
            let id = try await runtime.runSandbox(sandbox)
            #expect(try await runtime.sandboxStatus(id).addresses.count == 1)

            var container = ContainerConfiguration()
            container.metadata.name = "main"
            container.image.image = "busybox"
            container.command = ["sh", "-c", "echo hello; exit 3"]
            container.logPath = "main/0.log"
            container.labels = [RuntimeLabel.podUID: "uid-1"]
            let first = try await runtime.createContainer(in: id, container, sandboxConfiguration: sandbox)
            try await runtime.startContainer(first)
            for await event in events where event == .exited(id: first, exitCode: 3) { break }
            try await until { try await runtime.containerStatus(first).state == .exited }
            #expect(try await runtime.containerStatus(first).exitCode == 3)
            #expect(
                Files.text("\(machine.folder.path)/logs/main/0.log")?.hasSuffix("stdout F hello\n") == true)

            container.metadata.name = "sleeper"
            container.command = ["sleep", "1000"]
            container.logPath = "sleeper/0.log"
            let second = try await runtime.createContainer(in: id, container, sandboxConfiguration: sandbox)
            try await runtime.startContainer(second)
            let answer = try await runtime.execute(in: second, ["echo", "hi"], timeout: .seconds(10))
            #expect(answer == ExecResult(exitCode: 0, output: Array("hi\n".utf8)))
            #expect(
                try await runtime.executionURL(
                    in: second, ["sh"], StreamChannels(stdin: false, stdout: true, stderr: true, tty: false)
                ).hasPrefix("http://127.0.0.1:"))

            // Another life of ours finds containerd and the pods.
            let next = machine.supervisor()
            try await next.start()
            #expect(await next.processID == supervisor.processID)
            #expect(try await next.runtime.containerStatus(second).state == .running)

            // A killed containerd comes again, and the pods have gone on.
            let watch = Task { try await next.supervise() }
            let before = try #require(await next.processID)
            kill(before, SIGKILL)
            try await until { await next.processID.map { $0 != before } ?? false }
            #expect(try await next.runtime.containerStatus(second).state == .running)

            for _ in 0..<600 { _ = try await next.runtime.version() }

            try await next.runtime.stopContainer(second, grace: .seconds(0))
            try await next.runtime.stopSandbox(id)
            try await next.runtime.removeSandbox(id)
            #expect(try await next.runtime.sandboxes(podUID: nil).isEmpty)
            watch.cancel()
            _ = try? await watch.value
            await next.stop()
        }
    }

    @Test func aMissingImageSaysSo() async throws {
        let machine = try await Machine()
        try await machine.use { supervisor in
            let error = await #expect(throws: GRPCError.self) {
                try await supervisor.runtime.pullImage("nowhere.invalid/none:1", credentials: nil)
            }
            #expect(error?.message.contains("nowhere.invalid/none:1") == true)
        }
    }
}

/// A containerd with a folder, a network configuration and an image registry of its own.
private final class Machine: Sendable {
    let folder: TemporaryFolder
    let registry: ImageRegistry
    let controlGroup = "/swiftlet-test-\(getpid())"
    private let logger = Logger(label: "test")

    init() async throws {
        folder = try TemporaryFolder()
        let images = try ImageFolder(path: "\(folder.path)/images", logger: logger)
        try images.addPauseImage()
        try BusyboxImage.archive().map { try Files.write($0, to: "\(images.path)/busybox.tar") }
        // Not the range of NodeAgentTests: both run at the same time in one network namespace, and each
        // gives out addresses without knowing of the other.
        let network: JSONValue = [
            "cniVersion": "0.4.0", "name": "test",
            "plugins": [
                [
                    "type": "ptp", "ipMasq": false,
                    "ipam": [
                        "type": "host-local", "dataDir": .string("\(folder.path)/ipam"),
                        "ranges": [[["subnet": "10.244.1.0/24"]]], "routes": [["dst": "0.0.0.0/0"]],
                    ],
                ]
            ],
        ]
        try Files.createFolder("\(folder.path)/net.d")
        try Files.write(network.json(), to: "\(folder.path)/net.d/10-test.conflist")
        registry = try await ImageRegistry.start(
            folder: images, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
    }

    func supervisor() -> ContainerdSupervisor {
        let configuration = ContainerdConfiguration(
            stateDirectory: "\(folder.path)/state", runDirectory: "\(folder.path)/run",
            logFile: "\(folder.path)/containerd.log", cniConfigurationDirectory: "\(folder.path)/net.d")
        return ContainerdSupervisor(
            configuration: configuration, environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"],
            group: MultiThreadedEventLoopGroup.singleton, logger: logger)
    }

    func use(_ body: (ContainerdSupervisor) async throws -> Void) async throws {
        let supervisor = supervisor()
        try await supervisor.useRegistry(port: registry.port)
        do {
            try await supervisor.start()
            try await body(supervisor)
        } catch {
            Issue.record(error)
        }
        await supervisor.stop()
        await registry.stop()
        RuntimeRemains.remove(below: folder.path)
        ControlGroups.remove(controlGroup)
        #expect(RuntimeRemains.mounts(below: folder.path).isEmpty)
    }
}
