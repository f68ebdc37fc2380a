import ContainerRuntime
import Glibc
import HTTPService
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Logging
import NIOPosix
import NodeAgent
import Synchronization
import Testing

/// Pods for real: containerd, network namespaces, an API server in memory. Needs `scripts/sandbox`.
@Suite(.enabled(if: Sandbox.isInside), .serialized) struct NodeAgentTests {
    private static func pod(_ name: String, _ command: [String], _ change: (inout Pod) -> Void = { _ in })
        -> Pod
    {
        var pod = Pod(metadata: ObjectMeta(name: name, namespace: "default"))
        pod.spec.containers = [
            Container(
                name: "main", image: "busybox", command: command,
                terminationMessagePath: "/dev/termination-log",
                imagePullPolicy: "IfNotPresent")
        ]
        pod.spec.restartPolicy = "Always"
        pod.spec.nodeName = "node"
        pod.spec.dnsPolicy = "ClusterFirst"
        pod.spec.terminationGracePeriodSeconds = 30
        change(&pod)
        return pod
    }

    @Test func aPodLivesAndDies() async throws {
        try await Node.run { node in
            _ = try await node.client.create(
                ConfigMap(
                    metadata: ObjectMeta(name: "map", namespace: "default"), data: ["key": "from the map"]))
            let script =
                "cat /config/key /token/token; echo; echo $GREETING; cat /etc/resolv.conf; "
                + "trap 'echo bye; exit 0' TERM; while true; do sleep 0.1; done"
            _ = try await node.client.create(
                Self.pod("one", ["sh", "-c", script]) { pod in
                    pod.spec.volumes = [
                        Volume(name: "config", configMap: ConfigMapVolumeSource(name: "map")),
                        Volume(
                            name: "token",
                            projected: ProjectedVolumeSource(sources: [
                                VolumeProjection(
                                    serviceAccountToken: ServiceAccountTokenProjection(path: "token"))
                            ])),
                    ]
                    pod.spec.containers[0].volumeMounts = [
                        VolumeMount(name: "config", mountPath: "/config"),
                        VolumeMount(name: "token", mountPath: "/token"),
                    ]
                    pod.spec.containers[0].env = [EnvVar(name: "GREETING", value: "hello")]
                    pod.spec.containers[0].resources.requests["cpu"] = "250m"
                    pod.spec.containers[0].readinessProbe = Probe(
                        exec: ExecAction(command: ["sh", "-c", "true"]), timeoutSeconds: 1, periodSeconds: 10)
                })
            try await until {
                node.api.pod("one")?.status.conditions.first { $0.type == "Ready" }?.status == "True"
            }
            #expect(node.traffic.wired.withLock { $0 } == 1)
            let pod = try #require(node.api.pod("one"))
            #expect(pod.status.phase == "Running")
            #expect(pod.status.podIP.hasPrefix("10.244.0."))
            #expect(pod.status.hostIP == "192.0.2.10")
            #expect(pod.status.containerStatuses.first?.started == true)
            // The pod weighs what its containers request, in whichever version of control groups has the processor.
            let weights = ControlGroups.hierarchies().flatMap { hierarchy in
                ["cpu.shares", "cpu.weight"].compactMap { file in
                    Files.text("\(hierarchy)\(Node.controlGroup)/pod\(pod.metadata.uid)/\(file)")
                }
            }
            #expect(weights.allSatisfy { ["256", "10"].contains($0.split(separator: "\n").first) })
            #expect(!weights.isEmpty)
            try await until { node.api.events("one").contains("Started: Started container main") }
            // The machine has it: that the runtime had yet to read it is nobody's business.
            #expect(
                node.api.events("one").first
                    == "Pulled: Container image \"busybox\" already present on machine")

            let logs = CollectingWriter()
            let answer = await node.agent.api.respond(
                to: HTTPRequest(target: "/containerLogs/default/one/main?follow=true"))
            guard case .stream(let body) = answer.body else {
                Issue.record("No stream")
                return
            }
            async let following: Void = body(logs)
            try await until { logs.text.contains("ndots:5") }
            #expect(logs.text.hasPrefix("from the mapthe-token\nhello\nsearch default.svc.cluster.local"))

            try await node.client.delete(Pod.self, name: "one", namespace: "default")
            try await until { node.api.pod("one") == nil }
            try await following
            #expect(logs.text.hasSuffix("bye\n"))
            #expect(Set(node.traffic.passed.withLock { $0 }) == ["one"])
            #expect(node.traffic.forgotten.withLock { $0 } == ["one"])
            try await until { try await node.supervisor.runtime.sandboxes(podUID: nil).isEmpty }
            try await until { Files.list("\(node.folder.path)/agent/pods").isEmpty }
            try await until { Files.list("\(node.folder.path)/logs").isEmpty }
        }
    }

    @Test func hooksProbesAndStreamsReachTheContainer() async throws {
        try await Node.run { node in
            let server =
                "mkdir -p /www; echo ok > /www/healthz; trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"
            _ = try await node.client.create(
                Self.pod("web", ["sh", "-c", server]) { pod in
                    pod.spec.containers[0].ports = [ContainerPort(name: "http", containerPort: 8080)]
                    pod.spec.containers[0].readinessProbe = Probe(
                        httpGet: HTTPGetAction(path: "/healthz", port: "http"), timeoutSeconds: 1,
                        periodSeconds: 1, failureThreshold: 3)
                    pod.spec.containers[0].livenessProbe = Probe(
                        tcpSocket: TCPSocketAction(port: 8080), initialDelaySeconds: 1, timeoutSeconds: 1,
                        periodSeconds: 1, failureThreshold: 30)
                    pod.spec.containers[0].lifecycle = Lifecycle(
                        postStart: LifecycleHandler(
                            exec: ExecAction(command: ["sh", "-c", "echo > /started"])),
                        preStop: LifecycleHandler(
                            exec: ExecAction(command: ["sh", "-c", "echo > /shared/stopped"])))
                    pod.spec.containers[0].volumeMounts = [VolumeMount(name: "shared", mountPath: "/shared")]
                    pod.spec.volumes = [
                        Volume(
                            name: "shared", hostPath: HostPathVolumeSource(path: "\(node.folder.path)/shared")
                        )
                    ]
                })
            _ = try await node.client.create(
                Self.pod("over", ["sh", "-c", "true"]) { $0.spec.restartPolicy = "Never" })
            try await until {
                node.api.pod("web")?.status.conditions.first { $0.type == "Ready" }?.status == "True"
            }
            let upgrade: HTTPHeaders = [
                "connection": "Upgrade", "upgrade": "SPDY/3.1",
                "x-stream-protocol-version": "v4.channel.k8s.io",
            ]
            for target in [
                "/exec/default/web/main?command=cat&command=/started&output=1",
                "/attach/default/web/main?output=1",
                "/portForward/default/web?ports=8080",
            ] {
                var headers = upgrade
                if target.hasPrefix("/port") {
                    headers.replaceOrAdd(name: "x-stream-protocol-version", value: "portforward.k8s.io")
                }
                let answer = await node.agent.api.respond(
                    to: HTTPRequest(method: .POST, target: target, headers: headers))
                #expect(answer.status == .switchingProtocols)
                #expect(answer.headers.first(name: "upgrade") == "SPDY/3.1")
                if case .tunnel(let body) = answer.body {
                    // The server cancels the task when the client goes away.
                    let (near, far) = Tunnel.pair()
                    let joined = Task { try await body(far) }
                    joined.cancel()
                    _ = await joined.result
                    near.close()
                }
            }
            try await until { node.api.pod("over")?.status.phase == "Succeeded" }
            // Without a terminal the log would be replayed.
            let late = await node.agent.api.respond(
                to: HTTPRequest(
                    method: .POST, target: "/attach/default/over/main?output=1&tty=1", headers: upgrade)
            )
            #expect(late.status == .internalServerError)
            let plain = await node.agent.api.respond(
                to: HTTPRequest(method: .POST, target: "/exec/default/web/main?command=true&output=1"))
            #expect(plain.status == .badRequest)

            try await node.client.delete(Pod.self, name: "web", namespace: "default")
            try await until { node.api.pod("web") == nil }
            #expect(Files.exists("\(node.folder.path)/shared/stopped"))
        }
    }

    @Test func podsOutliveTheAgentAndCrashesAreSeen() async throws {
        try await Node.run { node in
            _ = try await node.client.create(Self.pod("stays", ["sleep", "1000"]))
            _ = try await node.client.create(
                Self.pod("done", ["sh", "-c", "echo result > /dev/termination-log"]) {
                    $0.spec.restartPolicy = "Never"
                })
            _ = try await node.client.create(Self.pod("crash", ["sh", "-c", "exit 3"]))
            _ = try await node.client.create(
                Self.pod("nope", ["true"]) {
                    $0.spec.containers[0].image = "nowhere.invalid/nope:1"
                    $0.spec.containers[0].imagePullPolicy = "Never"
                })
            try await until { node.api.pod("done")?.status.phase == "Succeeded" }
            #expect(
                node.api.pod("done")?.status.containerStatuses.first?.state.terminated?.message == "result\n")
            try await until {
                node.api.pod("crash")?.status.containerStatuses.first?.state.waiting?.reason
                    == "CrashLoopBackOff"
            }
            #expect(node.api.pod("crash")?.status.containerStatuses.first?.restartCount == 1)
            try await until {
                node.api.pod("nope")?.status.containerStatuses.first?.state.waiting?.reason
                    == "ErrImageNeverPull"
            }
            try await until { node.api.pod("stays")?.status.phase == "Running" }
            let before = try #require(node.api.pod("stays")?.status.containerStatuses.first)

            try await node.restartAgent()
            try await until { node.agent.knows("stays") }
            try await node.client.delete(Pod.self, name: "crash", namespace: "default")
            try await until { node.api.pod("crash") == nil }
            #expect(node.api.pod("stays")?.status.containerStatuses.first == before)

            try await node.client.delete(
                Pod.self, name: "stays", namespace: "default", options: DeleteOptions(gracePeriodSeconds: 0))
            try await until {
                try await node.supervisor.runtime.sandboxes(podUID: nil).allSatisfy { $0.podName != "stays" }
            }
        }
    }
}

/// Notes the pods that come to the gates and lets them pass.
final class NotingTraffic: PodTraffic {
    let passed = Mutex<[String]>([])
    func standing(of pod: Pod) -> TrafficStanding {
        passed.withLock { $0.append(pod.metadata.name) }
        return .left
    }
    func changes() -> AsyncStream<Void> { AsyncStream { $0.yield() } }
    func connections(to pod: Pod) async throws -> PodConnections { PodConnections() }
    /// How many pods got their network.
    let wired = Mutex<Int>(0)
    /// Pods whose connections were forgotten.
    let forgotten = Mutex<[String]>([])
    func forgetConnections(to pod: Pod) async { forgotten.withLock { $0.append(pod.metadata.name) } }
}

/// A node with a containerd of its own and an API server in memory.
private final class Node: Sendable {
    let folder: TemporaryFolder
    let api = FakeAPI()
    let client: KubernetesClient
    let traffic = NotingTraffic()
    let supervisor: ContainerdSupervisor
    private let registry: ImageRegistry
    private let running: Mutex<(agent: NodeAgent, task: Task<Void, any Error>)>
    private let logger: Logger

    var agent: NodeAgent { running.withLock { $0.agent } }

    static func run(_ body: (Node) async throws -> Void) async throws {
        let node = try await Node()
        do {
            try await body(node)
        } catch {
            Issue.record(error)
        }
        await node.stop()
    }

    private init() async throws {
        var logger = Logger(label: "test")
        logger.logLevel = .notice
        self.logger = logger
        folder = try TemporaryFolder()
        let images = try ImageFolder(path: "\(folder.path)/images", logger: logger)
        try images.addPauseImage()
        try BusyboxImage.archive().map { try Files.write($0, to: "\(images.path)/busybox.tar") }
        let network: JSONValue = [
            "cniVersion": "0.4.0", "name": "test",
            "plugins": [
                [
                    "type": "ptp", "ipMasq": false,
                    "ipam": [
                        "type": "host-local", "dataDir": .string("\(folder.path)/ipam"),
                        "ranges": [[["subnet": "10.244.0.0/24"]]], "routes": [["dst": "0.0.0.0/0"]],
                    ],
                ]
            ],
        ]
        try Files.createFolder("\(folder.path)/net.d")
        try Files.write(network.json(), to: "\(folder.path)/net.d/10-test.conflist")
        registry = try await ImageRegistry.start(
            folder: images, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
        let configuration = ContainerdConfiguration(
            stateDirectory: "\(folder.path)/state", runDirectory: "\(folder.path)/run",
            logFile: "\(folder.path)/containerd.log", cniConfigurationDirectory: "\(folder.path)/net.d")
        supervisor = ContainerdSupervisor(
            configuration: configuration, environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"],
            group: MultiThreadedEventLoopGroup.singleton, logger: logger)
        try await supervisor.useRegistry(port: registry.port)
        try await supervisor.start()
        client = KubernetesClient(transport: InProcessTransport(responder: api, user: "node", groups: []))
        running = Mutex(
            try await Self.start(client, folder.path, supervisor.runtime, traffic, logger))
    }

    private static func start(
        _ client: KubernetesClient, _ folder: String, _ runtime: CRIRuntime, _ traffic: NotingTraffic,
        _ logger: Logger
    ) async throws -> (agent: NodeAgent, task: Task<Void, any Error>) {
        let informers = InformerSet(client: client, logger: logger)
        let agent = try await NodeAgent(
            configuration: try configuration(folder, logger), client: client, informers: informers,
            runtime: runtime,
            traffic: traffic, podIsWired: { traffic.wired.withLock { $0 += 1 } }, logger: logger)
        try await agent.register()
        let task = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await informers.run() }
                group.addTask { try await agent.run() }
                try await group.waitForAll()
            }
        }
        return (agent, task)
    }

    static let controlGroup = "/swiftlet-agent-test-\(getpid())"

    private static func configuration(_ folder: String, _ logger: Logger) throws -> NodeConfiguration {
        var configuration = NodeConfiguration(
            nodeName: "node", addresses: ["192.0.2.10"], podCIDRs: ["10.244.0.0/24"],
            stateDirectory: "\(folder)/agent",
            runDirectory: "\(folder)/agent-run")
        configuration.podLogDirectory = "\(folder)/logs"
        configuration.controlGroup = controlGroup
        let images = try ImageFolder(path: "\(folder)/images", logger: logger)
        configuration.hasImage = { images.has($0) }
        return configuration
    }

    func restartAgent() async throws {
        let task = running.withLock { $0.task }
        task.cancel()
        _ = await task.result
        let next = try await Self.start(client, folder.path, supervisor.runtime, traffic, logger)
        running.withLock { $0 = next }
    }

    func stop() async {
        let task = running.withLock { $0.task }
        task.cancel()
        _ = await task.result
        await agent.teardown()
        let left = (try? await supervisor.runtime.sandboxes(podUID: nil)) ?? []
        #expect(left.isEmpty)
        await supervisor.stop()
        await registry.stop()
        RuntimeRemains.remove(below: folder.path)
        #expect(RuntimeRemains.mounts(below: folder.path).isEmpty)
        #expect(
            ControlGroups.children(of: "/").allSatisfy { !$0.hasPrefix("swiftlet-agent-test-\(getpid())") })
    }
}
