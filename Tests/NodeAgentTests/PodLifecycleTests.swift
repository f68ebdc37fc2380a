import ContainerRuntime
import KubernetesAPI
import NodeAgent
import Testing

/// A pod, what is there of it, and the time: the scene of a test without IO.
struct Scene {
    var pod: Pod
    var sandboxes: [SandboxObservation] = []
    var containers: [ContainerObservation] = []
    var probes: [String: ProbeResults] = [:]
    var lifecycle = PodLifecycle()
    var gateConditions: [PodCondition] = []
    var now: Duration = .seconds(1000)

    init(restartPolicy: String = "Always", _ containers: [String] = ["main"], initContainers: [String] = []) {
        pod = Pod(metadata: ObjectMeta(name: "p", namespace: "default", uid: "u", generation: 1))
        pod.spec.restartPolicy = restartPolicy
        pod.spec.containers = containers.map { Container(name: $0, image: "busybox") }
        pod.spec.initContainers = initContainers.map { Container(name: $0, image: "busybox") }
        pod.spec.terminationGracePeriodSeconds = 30
    }

    var wall: Int64 { now.components.seconds * 1_000_000_000 }
    var observation: PodObservation {
        PodObservation(sandboxes: sandboxes, containers: containers, probes: probes)
    }
    var status: PodStatus {
        PodStatusBuilder(
            nodeAddresses: ["192.0.2.10"], wall: Time(nanoseconds: wall), gateConditions: gateConditions
        )
        .status(pod, observation, lifecycle)
    }

    mutating func step(isGone: Bool = false) -> PodLifecycle.Decision {
        let decision = lifecycle.step(pod, observation, isGone: isGone, now: now, wall: wall)
        pod.status = status
        return decision
    }

    mutating func addSandbox(_ id: String = "s0", attempt: Int = 0) {
        sandboxes.append(
            SandboxObservation(
                id: id, podName: "p", podNamespace: "default", podUID: "u", attempt: attempt, isReady: true,
                addresses: ["10.244.0.2"]))
        lifecycle.sandboxCreated()
    }

    mutating func start(_ name: String, attempt: Int = 0, sandbox: String = "s0") {
        containers.append(
            ContainerObservation(
                id: "\(name)-\(attempt)", name: name, attempt: attempt, sandboxID: sandbox, state: .running,
                startedAt: wall,
                annotations: [ContainerBuilder.imageAnnotation: pod.container(name)?.image ?? ""]))
        lifecycle.containerStarted(name)
    }

    mutating func exit(_ name: String, code: Int) {
        guard let index = containers.lastIndex(where: { $0.name == name }) else { return }
        containers[index].state = .exited
        containers[index].exitCode = code
        containers[index].finishedAt = wall
        containers[index].reason = code == 0 ? "Completed" : "Error"
    }
}

@Suite struct PodLifecycleTests {
    @Test func aPodStartsWithItsSandbox() {
        var scene = Scene(["a", "b"])
        #expect(scene.step().actions == [.createSandbox(attempt: 0)])
        #expect(scene.pod.status.phase == "Pending")
        #expect(scene.pod.status.containerStatuses.first?.state.waiting?.reason == "ContainerCreating")
        scene.addSandbox()
        #expect(
            scene.step().actions == [
                .startContainer(name: "a", attempt: 0), .startContainer(name: "b", attempt: 0),
            ])
        scene.start("a")
        #expect(scene.step().actions == [.startContainer(name: "b", attempt: 0)])
        scene.start("b")
        #expect(scene.step().actions.isEmpty)
        let status = scene.status
        #expect(status.phase == "Running")
        #expect(status.podIP == "10.244.0.2")
        #expect(status.conditions.allSatisfy { $0.status == "True" })
        #expect(
            status.conditions.map(\.type) == [
                "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
            ])
    }

    @Test func aRunningPodIsAdoptedUntouched() {
        var scene = Scene()
        scene.addSandbox()
        scene.start("main", attempt: 4)
        #expect(scene.step().actions.isEmpty)
        #expect(scene.pod.status.containerStatuses.first?.restartCount == 4)
    }

    @Test func initContainersRunOneAfterTheOther() {
        var scene = Scene(["main"], initContainers: ["one", "two"])
        scene.addSandbox()
        #expect(scene.step().actions == [.startContainer(name: "one", attempt: 0)])
        #expect(scene.pod.status.containerStatuses.first?.state.waiting?.reason == "PodInitializing")
        #expect(
            scene.pod.status.conditions.first { $0.type == "Initialized" }?.message
                == "containers with incomplete status: [one two]")
        scene.start("one")
        #expect(scene.step().actions.isEmpty)
        scene.exit("one", code: 0)
        #expect(scene.step().actions == [.startContainer(name: "two", attempt: 0)])
        scene.start("two")
        scene.exit("two", code: 1)
        #expect(scene.step().actions == [.startContainer(name: "two", attempt: 1)])
        scene.start("two", attempt: 1)
        scene.exit("two", code: 0)
        #expect(scene.step().actions == [.startContainer(name: "main", attempt: 0)])
        #expect(scene.pod.status.initContainerStatuses.allSatisfy { $0.ready })
    }

    @Test func aFailedInitContainerFailsAPodThatNeverRestarts() {
        var scene = Scene(restartPolicy: "Never", ["main"], initContainers: ["one"])
        scene.addSandbox()
        scene.start("one")
        scene.exit("one", code: 1)
        _ = scene.step()
        #expect(scene.pod.status.phase == "Failed")
        #expect(scene.step().actions == [.stopSandbox(id: "s0")])
    }

    @Test func sidecarsStayAndDoNotHoldUp() {
        var scene = Scene(["main"], initContainers: ["proxy"])
        scene.pod.spec.initContainers[0].restartPolicy = "Always"
        scene.addSandbox()
        #expect(scene.step().actions == [.startContainer(name: "proxy", attempt: 0)])
        scene.start("proxy")
        #expect(scene.step().actions == [.startContainer(name: "main", attempt: 0)])
        scene.start("main")
        scene.exit("proxy", code: 0)
        #expect(scene.step().actions == [.startContainer(name: "proxy", attempt: 1)])
    }

    @Test func crashesWaitLongerEachTime() {
        var scene = Scene()
        scene.addSandbox()
        scene.start("main")
        scene.exit("main", code: 1)
        // The first restart is immediate.
        #expect(scene.step().actions == [.startContainer(name: "main", attempt: 1)])
        scene.start("main", attempt: 1)
        scene.exit("main", code: 1)
        let decision = scene.step()
        #expect(
            decision.actions == [
                .report(
                    container: "main", type: "Warning", reason: "BackOff",
                    message: "Back-off restarting failed container main in pod p_default(u)")
            ])
        #expect(decision.wakeAfter == .seconds(10))
        #expect(scene.step().actions.isEmpty, "told once a wait")
        let status = scene.pod.status.containerStatuses.first
        #expect(status?.state.waiting?.reason == "CrashLoopBackOff")
        #expect(
            status?.state.waiting?.message
                == "back-off 10s restarting failed container=main pod=p_default(u)")
        #expect(status?.lastState.terminated?.exitCode == 1)
        #expect(scene.pod.status.phase == "Running")
        scene.now += .seconds(10)
        #expect(scene.step().actions == [.startContainer(name: "main", attempt: 2)])
        scene.start("main", attempt: 2)
        scene.exit("main", code: 1)
        #expect(scene.step().wakeAfter == .seconds(20))
    }

    @Test func ephemeralContainersRunOnce() {
        var scene = Scene()
        scene.addSandbox()
        scene.start("main")
        scene.pod.spec.ephemeralContainers = [EphemeralContainer(name: "debugger", image: "busybox")]
        #expect(scene.step().actions == [.startContainer(name: "debugger", attempt: 0)])
        scene.start("debugger")
        #expect(scene.step().actions.isEmpty)
        #expect(scene.pod.status.ephemeralContainerStatuses.first?.state.running != nil)
        scene.exit("debugger", code: 3)
        #expect(scene.step().actions.isEmpty)
        let ended = scene.pod.status.ephemeralContainerStatuses.first?.state.terminated
        #expect(ended?.exitCode == 3)
        #expect(scene.pod.status.phase == "Running")
        #expect(scene.pod.status.containerStatuses.map(\.name) == ["main"])
    }

    @Test func restartPoliciesDecide() {
        for (policy, code, phase) in [
            ("Never", 0, "Succeeded"), ("Never", 1, "Failed"), ("OnFailure", 0, "Succeeded"),
        ] {
            var scene = Scene(restartPolicy: policy)
            scene.addSandbox()
            scene.start("main")
            scene.exit("main", code: code)
            #expect(scene.step().actions.isEmpty)
            #expect(scene.pod.status.phase == phase)
            #expect(scene.step().actions == [.stopSandbox(id: "s0")])
            #expect(scene.pod.status.conditions.first { $0.type == "Ready" }?.status == "False")
        }
        var scene = Scene(restartPolicy: "OnFailure")
        scene.addSandbox()
        scene.start("main")
        scene.exit("main", code: 2)
        #expect(scene.step().actions == [.startContainer(name: "main", attempt: 1)])
    }

    @Test func failedPullsAreShownAndThenWaitedFor() {
        var scene = Scene()
        scene.addSandbox()
        _ = scene.step()
        scene.lifecycle.containerFailed("main", WaitingReason("ErrImagePull", "no such host"), at: scene.now)
        #expect(scene.step().actions.isEmpty)
        #expect(scene.pod.status.containerStatuses.first?.state.waiting?.reason == "ErrImagePull")
        scene.now += .seconds(4)
        let decision = scene.step()
        #expect(decision.wakeAfter == .seconds(6))
        #expect(
            decision.actions == [
                .report(
                    container: "main", type: "Normal", reason: "BackOff",
                    message: "Back-off pulling image \"busybox\""),
                .report(
                    container: "main", type: "Warning", reason: "Failed", message: "Error: ImagePullBackOff"),
            ])
        scene.pod.status = scene.status
        let waiting = scene.pod.status.containerStatuses.first?.state.waiting
        #expect(waiting?.reason == "ImagePullBackOff")
        #expect(waiting?.message == "Back-off pulling image \"busybox\": ErrImagePull: no such host")
        scene.now += .seconds(6)
        #expect(scene.step().actions == [.startContainer(name: "main", attempt: 0)])
    }

    @Test func failedProbesRestartTheContainer() {
        var scene = Scene()
        scene.addSandbox()
        scene.start("main")
        scene.probes["main-0"] = ProbeResults(isStarted: true, isReady: false, failure: .liveness)
        #expect(
            scene.step().actions == [
                .killContainer(
                    id: "main-0", name: "main",
                    message: "Container main failed liveness probe, will be restarted", probe: .liveness)
            ])
        #expect(scene.pod.status.containerStatuses.first?.ready == false)
        #expect(
            scene.pod.status.conditions.first { $0.type == "Ready" }?.message
                == "containers with unready status: [main]")
        // Its end takes its time, and is asked for once.
        #expect(scene.step().actions.isEmpty)
        scene.lifecycle.containerEnded("main-0")
        #expect(scene.step().actions.count == 1)
    }

    /// Others serve in its place: should they begin to go as well, nobody goes back to one that was told to end. A last
    /// endpoint serves to the end.
    @Test(arguments: [
        (GateReport.drained(after: .zero), "False"), (.undrained(1, after: .zero), "False"),
        (.confirmed(after: .zero), "True"), (.withoutSuccessor(after: .zero), "True"),
        (.unused(after: .zero), "True"), (.unconfirmed(after: .zero), "True"),
    ])
    func aPodThatHasPassedItsGatesIsNotServing(report: GateReport, ready: String) {
        var scene = Scene()
        scene.addSandbox()
        scene.start("main")
        _ = scene.step()
        scene.pod.metadata.deletionTimestamp = Time(seconds: 1000)
        #expect(scene.status.conditions.first { $0.type == "Ready" }?.status == "True")
        scene.gateConditions = [report.condition(at: Time(seconds: 1000))]
        _ = scene.step()
        let conditions = scene.pod.status.conditions
        #expect(conditions.first { $0.type == "Ready" }?.status == ready)
        #expect(conditions.first { $0.type == "ContainersReady" }?.status == "True")
        #expect(conditions.contains(scene.gateConditions[0]))
        // A worker that comes to it later knows as much.
        scene.gateConditions = []
        #expect(scene.status.conditions == conditions)
    }

    /// Whatever the restart policy, without a wait, and out of its Services first.
    @Test(arguments: ["Always", "OnFailure", "Never"])
    func anotherImageRestartsTheContainer(restartPolicy: String) {
        var scene = Scene(restartPolicy: restartPolicy, ["main", "other"])
        scene.addSandbox()
        scene.start("main")
        scene.start("other")
        #expect(scene.step().actions.isEmpty)
        scene.pod.spec.containers[0].image = "web:2.0"
        #expect(
            scene.step().actions == [
                .killContainer(
                    id: "main-0", name: "main",
                    message: "Container main definition changed, will be restarted")
            ])
        #expect(scene.pod.status.conditions.first { $0.type == "Ready" }?.status == "False")
        #expect(scene.step().actions.isEmpty)
        scene.exit("main", code: 0)
        scene.lifecycle.containerEnded("main-0")
        #expect(scene.step().actions == [.startContainer(name: "main", attempt: 1)])
        #expect(scene.pod.status.phase == "Running")
        #expect(scene.pod.status.containerStatuses.first?.state.waiting?.reason == "ContainerCreating")
        #expect(scene.pod.status.containerStatuses.first?.lastState.terminated?.exitCode == 0)
        let restarting = scene.pod
        scene.start("main", attempt: 1)
        #expect(scene.step().actions.isEmpty)
        let findings = scene.pod.validateStatusUpdate(from: restarting)
        #expect(findings.allSatisfy { !$0.field.hasSuffix("state") })
        #expect(scene.pod.status.containerStatuses.first?.restartCount == 1)
        #expect(scene.pod.status.conditions.first { $0.type == "Ready" }?.status == "True")
    }

    @Test func theOnlyContainerOfAPodThatNeverRestartsStartsWithItsNewImage() {
        var scene = Scene(restartPolicy: "Never")
        scene.addSandbox()
        scene.start("main")
        scene.pod.spec.containers[0].image = "web:2.0"
        _ = scene.step()
        scene.exit("main", code: 143)
        #expect(scene.step().actions == [.startContainer(name: "main", attempt: 1)])
        #expect(scene.pod.status.phase == "Running")
        // What ends of itself afterwards stays.
        scene.start("main", attempt: 1)
        scene.exit("main", code: 1)
        _ = scene.step()
        #expect(scene.pod.status.phase == "Failed")
    }

    @Test func sidecarsAreRestartedForTheirImageAndInitContainersAreNot() {
        var scene = Scene(["main"], initContainers: ["side", "one"])
        scene.pod.spec.initContainers[0].restartPolicy = "Always"
        scene.addSandbox()
        scene.start("side")
        scene.start("one")
        #expect(scene.step().actions.isEmpty)
        for index in scene.pod.spec.initContainers.indices {
            scene.pod.spec.initContainers[index].image = "web:2.0"
        }
        #expect(
            scene.step().actions == [
                .killContainer(id: "side-0", name: "side", message: "Init container side definition changed")
            ])
    }

    @Test func anotherImageIsPulledWithoutAWait() {
        var scene = Scene()
        scene.addSandbox()
        _ = scene.step()
        scene.lifecycle.containerFailed("main", WaitingReason("ErrImagePull"), at: scene.now)
        #expect(scene.step().actions.isEmpty)
        scene.pod.spec.containers[0].image = "web:2.0"
        #expect(scene.step().actions == [.startContainer(name: "main", attempt: 0)])
    }

    @Test func whatIsToBeRestartedLeavesItsServicesFirst() {
        var scene = Scene()
        scene.addSandbox()
        scene.start("main")
        scene.probes["main-0"] = ProbeResults(isStarted: true, isReady: true, failure: .liveness)
        _ = scene.step()
        #expect(scene.pod.status.conditions.first { $0.type == "Ready" }?.status == "False")
    }

    @Test func afterARebootThePodGetsANewSandbox() {
        var scene = Scene()
        scene.addSandbox()
        scene.start("main")
        scene.sandboxes[0].isReady = false
        scene.exit("main", code: 255)
        #expect(scene.step().actions == [.stopSandbox(id: "s0"), .createSandbox(attempt: 1)])
        scene.addSandbox("s1", attempt: 1)
        #expect(
            scene.step().actions == [
                .stopSandbox(id: "s0"), .removeSandbox(id: "s0"), .startContainer(name: "main", attempt: 1),
            ])
    }

    @Test func aDeletedPodIsTakenDownOnceAndHastened() {
        var scene = Scene()
        scene.addSandbox()
        scene.start("main")
        scene.pod.metadata.deletionTimestamp = Time(seconds: 1000)
        scene.pod.metadata.deletionGracePeriodSeconds = 30
        #expect(scene.step().actions == [.terminate(grace: .seconds(30))])
        #expect(scene.step().actions.isEmpty)
        scene.pod.metadata.deletionGracePeriodSeconds = 5
        #expect(scene.step().actions == [.hasten(grace: .seconds(5))])
        #expect(scene.step(isGone: true).actions == [.hasten(grace: .zero)])
        scene.exit("main", code: 143)
        scene.lifecycle.stopped()
        #expect(scene.step().actions == [.finish])
        #expect(scene.pod.status.phase == "Failed")
        scene.lifecycle.finished()
        #expect(scene.step().actions.isEmpty)
    }

    @Test func aDeadlineEndsThePod() {
        var scene = Scene()
        scene.pod.spec.activeDeadlineSeconds = 60
        scene.addSandbox()
        scene.start("main")
        _ = scene.step()
        #expect(scene.step().wakeAfter == .seconds(60))
        scene.now += .seconds(61)
        let kill = PodAction.killContainer(id: "main-0", name: "main", message: "Stopping container main")
        let report = PodAction.report(
            container: "", type: "Normal", reason: "DeadlineExceeded",
            message: "Pod was active on the node longer than the specified deadline")
        #expect(scene.step().actions == [report, kill])
        #expect(scene.pod.status.phase == "Failed")
        #expect(scene.pod.status.reason == "DeadlineExceeded")
        // It keeps its network to its end.
        #expect(scene.step().actions.isEmpty)
        scene.exit("main", code: 137)
        #expect(scene.step().actions == [.stopSandbox(id: "s0")])
    }

    @Test func onlyTwoAttemptsAreKept() {
        var scene = Scene()
        scene.addSandbox()
        for attempt in 0..<4 {
            scene.start("main", attempt: attempt)
            if attempt < 3 { scene.exit("main", code: 1) }
        }
        #expect(scene.step().actions == [.removeContainer(id: "main-1"), .removeContainer(id: "main-0")])
    }

    /// Whatever the runtime shows, a step neither crashes nor starts anything in a pod that is going away.
    @Test func randomScenesAreSurvived() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<2000 {
            var scene = Scene(
                restartPolicy: ["Always", "Never", "OnFailure"].randomElement(using: &generator) ?? "Always",
                ["a", "b"], initContainers: Bool.random(using: &generator) ? ["i"] : [])
            for index in 0..<Int.random(in: 0...2, using: &generator) {
                scene.addSandbox("s\(index)", attempt: index)
                scene.sandboxes[index].isReady = Bool.random(using: &generator)
            }
            for _ in 0..<Int.random(in: 0...5, using: &generator) {
                let name = ["a", "b", "i", "x"].randomElement(using: &generator) ?? "a"
                scene.start(name, attempt: .random(in: 0...3, using: &generator), sandbox: "s0")
                if Bool.random(using: &generator) {
                    scene.exit(name, code: .random(in: 0...1, using: &generator))
                }
            }
            if Bool.random(using: &generator) { scene.pod.metadata.deletionTimestamp = Time(seconds: 1) }
            for _ in 0..<3 {
                let actions = scene.step().actions
                if scene.pod.metadata.deletionTimestamp != nil {
                    let startsSomething = actions.contains { action in
                        switch action {
                        case .createSandbox, .startContainer: true
                        default: false
                        }
                    }
                    #expect(!startsSomething)
                }
                scene.now += .seconds(Int.random(in: 0...20, using: &generator))
            }
        }
    }
}

@Suite struct ContainerOwnersTests {
    @Test func anExitBeforeTheClaimIsNotLost() {
        var owners = ContainerOwners()
        #expect(owners.exited("c") == nil)
        #expect(owners.claim(["s", "c"], for: "pod") == ["c"])
        #expect(owners.claim(["s", "c"], for: "pod") == [])
        #expect(owners.exited("s") == "pod")
        owners.forget("pod")
        #expect(owners.owner("c") == nil)
        for index in 0..<5000 { #expect(owners.exited("x\(index)") == nil) }
        #expect(owners.claim(["x0", "x4999"], for: "pod") == ["x4999"])
    }
}
