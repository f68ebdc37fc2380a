import ContainerRuntime
import Glibc
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Logging

/// Looks after one pod: observes, lets `PodLifecycle` decide, does it, and tells the API server.
package actor PodWorker {
    private let context: PodContext
    /// Tells which containers and sandboxes are this pod's, so that their events find it; returns those whose
    /// exit has been seen already.
    private let claim: @Sendable ([String]) -> Set<String>
    private let logger: Logger
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    private var pod: Pod
    private var isGone = false
    private var lifecycle = PodLifecycle()
    private var observation = PodObservation()
    private var volumes: [String: String] = [:]
    private var volumesAreDue: Duration = .zero
    private var probers: [String: Prober] = [:]
    private var ended: [String: ContainerObservation] = [:]
    private var addresses: [String: [String]] = [:]
    private var terminationMessages: [String: String] = [:]
    private var expectedExits: Set<String> = []
    private var wasReady: Set<String>
    private var termination: Task<Void, Never>?
    private var haste = Haste(grace: .zero)
    /// What the gates that a terminating pod has passed say in its status.
    private var gateConditions: [PodCondition] = []
    /// Whether the pod was on its way out before this worker knew it.
    private let wasTerminating: Bool
    private var pull: Task<Result<String, ContainerStartFailure>, Never>?

    package init(pod: Pod, context: PodContext, claim: @escaping @Sendable ([String]) -> Set<String>) {
        self.pod = pod
        self.context = context
        self.claim = claim
        var logger = context.logger
        logger[metadataKey: "pod"] = "\(pod.key)"
        self.logger = logger
        wasTerminating = pod.metadata.deletionTimestamp != nil
        wasReady = Set(
            (pod.status.containerStatuses + pod.status.initContainerStatuses).filter(\.ready).map(
                \.containerID))
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: - What others tell

    /// A newer state of the API object.
    package func update(_ newer: Pod) {
        guard (Int(newer.metadata.resourceVersion) ?? .max) >= (Int(pod.metadata.resourceVersion) ?? 0) else {
            return
        }
        pod = newer
        if newer.metadata.deletionTimestamp != nil { pull?.cancel() }
        signal.yield()
    }

    /// The API object does not exist any more.
    package func objectIsGone() {
        isGone = true
        pull?.cancel()
        signal.yield()
    }

    /// Something happened in the runtime; `exited` is certain to have ended, even if the runtime's list does
    /// not say so yet.
    package func look(exited: String? = nil) {
        if let exited { expectedExits.insert(exited) }
        signal.yield()
    }

    // MARK: - The loop

    /// Runs until the pod is gone, or the task is cancelled (which leaves the pod as it is).
    package func run() async {
        while !Task.isCancelled {
            do {
                try await observe()
            } catch {
                logger.debug("The runtime cannot be observed: \(error)")
                await wait(.seconds(1))
                continue
            }
            await syncProbers()
            var decision = lifecycle.step(
                pod, observation, isGone: isGone, now: context.clock.now(),
                wall: context.clock.wallNanoseconds())
            if !(await publish()) { decision.wakeAfter = min(decision.wakeAfter ?? .seconds(1), .seconds(1)) }
            for action in decision.actions {
                if Task.isCancelled { break }
                await perform(action)
            }
            if lifecycle.termination == .finished { break }
            if decision.actions.isEmpty { await wait(await nextWake(decision)) }
        }
        for prober in probers.values { await prober.stop() }
    }

    private func nextWake(_ decision: PodLifecycle.Decision) async -> Duration {
        var wake = min(decision.wakeAfter ?? Self.resync, Self.resync)
        // The runtime learns of an exit a moment after its event is out.
        if observation.containers.contains(where: { expectedExits.contains($0.id) && $0.state == .running }) {
            wake = min(wake, .milliseconds(10))
        }
        if lifecycle.termination == .none, !pod.hasEnded, !volumes.isEmpty {
            if context.clock.now() >= volumesAreDue { await refreshVolumes() }
            wake = min(wake, max(volumesAreDue - context.clock.now(), .milliseconds(100)))
        }
        return wake
    }

    /// A look without an occasion, to repair what an event that never came left wrong.
    private static let resync: Duration = .seconds(60)

    private func wait(_ duration: Duration) async {
        let alarm = Task { [signal, sleep = context.clock.sleep] in
            do { try await sleep(duration) } catch { return }
            signal.yield()
        }
        for await _ in signals { break }
        alarm.cancel()
    }

    // MARK: - Observing

    private func observe() async throws {
        let uid = pod.metadata.uid
        var sandboxes = try await context.runtime.sandboxes(podUID: uid)
        for index in sandboxes.indices where sandboxes[index].isReady {
            let id = sandboxes[index].id
            if addresses[id] == nil {
                let status = try await context.runtime.sandboxStatus(id)
                addresses[id] = status.addresses
            }
            sandboxes[index].addresses = addresses[id] ?? []
        }
        var containers: [ContainerObservation] = []
        for listed in try await context.runtime.containers(podUID: uid) {
            if let known = ended[listed.id] {
                containers.append(known)
                continue
            }
            guard var status = try await status(listed.id) else { continue }
            status.sandboxID = listed.sandboxID
            if status.state == .exited {
                ended[status.id] = status
                expectedExits.remove(status.id)
                terminationMessages[status.id] = terminationMessage(status)
            }
            containers.append(status)
        }
        observation = PodObservation(sandboxes: sandboxes, containers: containers)
        expectedExits.formUnion(claim(sandboxes.map(\.id) + containers.map(\.id)))
    }

    /// Nil when the container is not there any more.
    private func status(_ id: String) async throws -> ContainerObservation? {
        do {
            return try await context.runtime.containerStatus(id)
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }

    /// What a container wrote to its termination message file, or, when it failed and its policy says so, the
    /// end of its log.
    private func terminationMessage(_ container: ContainerObservation) -> String {
        guard let spec = pod.container(container.name) else { return container.message }
        let path = context.folders.terminationMessage(
            pod.metadata.uid, container: container.name, attempt: container.attempt)
        if let bytes = try? Files.read(path), !bytes.isEmpty {
            return String(decoding: bytes.prefix(4096), as: UTF8.self)
        }
        if spec.terminationMessagePolicy == "FallbackToLogsOnError", container.exitCode != 0,
            let bytes = try? Files.read(container.logPath)
        {
            let lines = bytes.suffix(64 << 10).split(separator: UInt8(ascii: "\n")).suffix(80)
            let text = lines.compactMap { CRILogLine($0)?.content }.flatMap { $0 + [UInt8(ascii: "\n")] }
            return String(decoding: text.suffix(2048), as: UTF8.self)
        }
        return container.message
    }

    private func syncProbers() async {
        var alive: Set<String> = []
        if let sandbox = observation.readySandbox, !pod.hasEnded {
            for container in observation.containers where container.state == .running {
                guard let spec = pod.container(container.name) else { continue }
                alive.insert(container.id)
                if probers[container.id] == nil, !ContainerProbes(spec).isEmpty {
                    let prober = makeProber(spec, container, sandbox)
                    probers[container.id] = prober
                    await prober.start()
                }
            }
        }
        for (id, prober) in probers where !alive.contains(id) {
            await prober.stop()
            probers[id] = nil
        }
        if pod.metadata.deletionTimestamp != nil {
            for prober in probers.values { await prober.podIsTerminating() }
        }
        for (id, prober) in probers { observation.probes[id] = await prober.results }
    }

    private func makeProber(
        _ spec: Container, _ container: ContainerObservation, _ sandbox: SandboxObservation
    ) -> Prober {
        let address = pod.spec.hostNetwork ? context.configuration.addresses.first : sandbox.addresses.first
        let (context, pod, signal) = (context, pod, signal)
        return Prober(
            pod: pod, container: spec, id: container.id, address: address ?? "127.0.0.1",
            startedAt: container.startedAt, wasReady: wasReady.contains("containerd://\(container.id)"),
            client: context.probeClient, clock: context.clock, changed: { signal.yield() },
            report: { kind, outcome in
                let name = kind.rawValue.prefix(1).uppercased() + kind.rawValue.dropFirst()
                context.event(
                    pod, "Warning", "Unhealthy", "\(name) probe failed: \(outcome.message)", container: spec)
            })
    }

    // MARK: - Telling

    /// Writes the status if it has changed; false when that did not work and should be tried again.
    private func publish() async -> Bool {
        if isGone { return true }
        let builder = PodStatusBuilder(
            nodeAddresses: context.configuration.addresses, wall: context.clock.wall,
            terminationMessages: terminationMessages, gateConditions: gateConditions)
        let status = builder.status(pod, observation, lifecycle)
        guard status != pod.status else { return true }
        do {
            let answer = try await context.client.patch(
                Pod.self, name: pod.metadata.name, namespace: pod.metadata.namespace, subresource: "status",
                body: Self.patch(from: pod.status, to: status, uid: pod.metadata.uid), fieldManager: "kubelet"
            )
            if answer.metadata.uid == pod.metadata.uid {
                // Without the deletion that may have come in between: it arrives by the watch as well.
                pod.status = answer.status
                if (Int(answer.metadata.resourceVersion) ?? 0) > (Int(pod.metadata.resourceVersion) ?? 0) {
                    pod = answer
                }
            }
            return true
        } catch {
            if isNotFound(error) || isConflict(error) { return true }
            logger.debug("The status cannot be written: \(error)")
            return false
        }
    }

    /// A merge patch of what differs; the uid keeps it from hitting a later pod of the same name.
    private static func patch(from old: PodStatus, to new: PodStatus, uid: String) -> JSONValue {
        let before = old.jsonValue.objectValue ?? JSONObject()
        let after = new.jsonValue.objectValue ?? JSONObject()
        var changes = JSONObject()
        for (key, value) in after where before[key] != value { changes[key] = value }
        for (key, _) in before where after[key] == nil { changes[key] = .null }
        return ["metadata": ["uid": .string(uid)], "status": .object(changes)]
    }

    // MARK: - Doing

    private func perform(_ action: PodAction) async {
        switch action {
        case .createSandbox(let attempt): await createSandbox(attempt)
        case .stopSandbox(let id):
            addresses[id] = nil
            await attempt("stop the sandbox") { try await context.runtime.stopSandbox(id) }
        case .removeSandbox(let id):
            await attempt("remove the sandbox") { try await context.runtime.removeSandbox(id) }
        case .startContainer(let name, let attempt): await startContainer(name, attempt)
        case .killContainer(let id, let name, let message, let probe): kill(id, name, message, probe)
        case .removeContainer(let id):
            await attempt("remove a container") { try await context.runtime.removeContainer(id) }
        case .report(let name, let type, let reason, let message):
            context.event(pod, type, reason, message, container: pod.container(name))
        case .terminate(let grace):
            haste = Haste(grace: grace)
            let terminator = terminator()
            termination = Task {
                await terminator.run()
                self.hasStopped()
            }
        case .hasten(let grace):
            let terminator = terminator()
            Task { await terminator.hasten(grace: grace) }
        case .finish: await finish()
        }
    }

    private func terminator() -> PodTerminator {
        PodTerminator(
            context: context, pod: pod, observation: observation, elapsed: elapsed, haste: haste
        ) { [weak self] report in
            await self?.hasPassed(report)
        }
    }

    /// How long ago the deletion was asked for, if that was before this worker's time. (Times of the API have
    /// seconds; the one that may be counted too much is left out.)
    private var elapsed: Duration {
        guard wasTerminating, let deadline = pod.metadata.deletionTimestamp else { return .zero }
        let asked = deadline.seconds - (pod.metadata.deletionGracePeriodSeconds ?? 0)
        return .seconds(max(0, context.clock.wall.seconds - asked - 1))
    }

    private func hasPassed(_ report: GateReport) {
        context.event(pod, report.isWarning ? "Warning" : "Normal", report.reason, report.message)
        gateConditions.append(report.condition(at: context.clock.wall))
        signal.yield()
    }

    private func hasStopped() {
        lifecycle.stopped()
        signal.yield()
    }

    private func attempt(_ what: String, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            if (error as? GRPCError)?.code == .notFound { return }
            logger.warning("Cannot \(what): \(error)")
            try? await context.clock.sleep(.milliseconds(200))
        }
    }

    private func createSandbox(_ attempt: Int) async {
        do {
            volumes = try await context.volumes.prepare(context.facts(pod, addresses: []))
            volumesAreDue = context.clock.now() + Self.resync
        } catch {
            context.event(pod, "Warning", "FailedMount", "\(error)")
            lifecycle.sandboxFailed(at: context.clock.now())
            return
        }
        if attempt > 0 {
            context.event(
                pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        }
        do {
            weighContainersTogether()
            let configuration = try context.sandboxConfiguration(pod, attempt: attempt)
            try Files.createFolder(configuration.logDirectory)
            let runtime = context.runtime
            _ = try await context.starts.pass { try await runtime.runSandbox(configuration) }
            if !pod.spec.hostNetwork { context.podIsWired() }
            lifecycle.sandboxCreated()
        } catch {
            let text = (error as? GRPCError)?.goDescription ?? "\(error)"
            logger.warning("The sandbox cannot be created: \(text)")
            context.event(pod, "Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: \(text)")
            lifecycle.sandboxFailed(at: context.clock.now())
        }
    }

    /// Makes the control group of the pod, before the runtime does: its own ones have the weight of one process and no
    /// limit, whatever the containers in it ask for.
    private func weighContainersTogether() {
        let group = SandboxBuilder.controlGroup(
            context.configuration.controlGroup, podUID: pod.metadata.uid)
        let limits = ControlGroupLimits(pod)
        do {
            try ControlGroups.setShares(limits.cpuShares, of: group)
            try ControlGroups.limit(
                group, quota: limits.cpuQuota, period: limits.cpuPeriod, memory: limits.memory)
        } catch {
            logger.warning("The pod's containers are weighed and limited one by one only: \(error)")
        }
    }

    private func startContainer(_ name: String, _ attempt: Int) async {
        guard let container = pod.container(name), let sandbox = observation.readySandbox else { return }
        if volumes.isEmpty, !pod.spec.volumes.isEmpty { await refreshVolumes() }
        let starter = ContainerStarter(context: context, pod: pod, sandbox: sandbox, volumes: volumes)
        let turnstile = context.starts
        let task = Task { () -> Result<String, ContainerStartFailure> in
            do throws(ContainerStartFailure) {
                return .success(
                    try await turnstile.pass { () async throws(ContainerStartFailure) in
                        try await starter.start(container, attempt: attempt)
                    })
            } catch {
                return .failure(error)
            }
        }
        pull = task
        let result = await task.value
        pull = nil
        switch result {
        case .success: lifecycle.containerStarted(name)
        case .failure(let failure):
            logger.info(
                "Container \(name) does not start: \(failure.reason.reason): \(failure.reason.message)")
            lifecycle.containerFailed(name, failure.reason, at: context.clock.now())
        }
    }

    /// Ends a container that is to start anew or whose pod has ended: first it leaves its Services, which the
    /// status as published has brought about.
    private func kill(_ id: String, _ name: String, _ message: String, _ failed: ProbeResults.Failure?) {
        let container = pod.container(name)
        context.event(pod, "Normal", "Killing", message, container: container)
        let probe: Probe? =
            switch failed {
            case .liveness: container?.livenessProbe
            case .startup: container?.startupProbe
            case nil: nil
            }
        let grace = Duration.seconds(
            max(
                0,
                probe?.terminationGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30))
        let ending = ContainerEnding(
            context: context, pod: pod, sandbox: observation.readySandbox, volumes: volumes, grace: grace)
        Task {
            await ending.run(id, container)
            self.lifecycle.containerEnded(id)
            self.signal.yield()
        }
    }

    private func refreshVolumes() async {
        volumesAreDue = context.clock.now() + Self.resync
        do {
            let addresses = observation.readySandbox?.addresses ?? []
            volumes = try await context.volumes.prepare(context.facts(pod, addresses: addresses))
        } catch {
            context.event(pod, "Warning", "FailedMount", "\(error)")
        }
    }

    /// Nothing runs any more: tell the API server first, so that a successor is not kept waiting, then remove
    /// what is left.
    private func finish() async {
        if !isGone, !(await deleteObject()) { return }
        await removeRemains()
        lifecycle.finished()
    }

    private func deleteObject() async -> Bool {
        var options = DeleteOptions(gracePeriodSeconds: 0)
        options.preconditions = Preconditions(uid: pod.metadata.uid)
        do {
            try await context.client.delete(
                Pod.self, name: pod.metadata.name, namespace: pod.metadata.namespace, options: options)
        } catch {
            if isNotFound(error) || isConflict(error) { return true }
            logger.warning("The pod cannot be deleted from the API, trying again: \(error)")
            try? await context.clock.sleep(.seconds(1))
            return false
        }
        return true
    }

    private func removeRemains() async {
        for container in observation.containers {
            await attempt("remove a container") { try await context.runtime.removeContainer(container.id) }
        }
        for sandbox in observation.sandboxes {
            await attempt("remove the sandbox") { try await context.runtime.removeSandbox(sandbox.id) }
        }
        PodRemains.remove(pod.metadata.uid, context.configuration)
        context.volumes.forget(pod.metadata.uid)
    }
}

/// What a pod leaves on the node besides containers.
package enum PodRemains {
    /// Removes folders, mounts, logs and control groups of a pod.
    package static func remove(_ uid: String, _ configuration: NodeConfiguration) {
        try? configuration.folders.remove(uid)
        configuration.folders.removeLogs(uid)
        ControlGroups.remove(SandboxBuilder.controlGroup(configuration.controlGroup, podUID: uid))
    }
}
